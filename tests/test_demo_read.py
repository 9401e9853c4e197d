"""The page reads a sentence as fastrnn.sentiment does."""

from __future__ import annotations

import functools

import pytest
from browser import eventually, eventually_drawn, numbers

from fastrnn import sentiment

FIRST = "the film was not good at all"

train = functools.cache(sentiment.train)


@pytest.fixture
def page(open_view):
    return open_view("read-a-sentence")


def remark(page):
    return page.get_by_text("praise with a probability of")


def expect(page, reading: sentiment.Reading, place: int) -> None:
    probability = float(reading.probabilities[place])
    eventually(remark(page), [min(max(round(probability, 3), 0.001), 0.999)], numbers)
    beginning = f"After “{reading.words[place]}”"
    eventually(remark(page), beginning, lambda text: text[: len(beginning)])
    told = "" if reading.known[place] else "\n(unknown)"
    eventually(page.locator(".words .now"), reading.words[place] + told)
    eventually_drawn(page, "probability", reading.probabilities.tolist())
    eventually_drawn(page, "image", [reading.states.T.ravel().tolist()])
    eventually_drawn(page, "state", reading.states[place].tolist())


def test_it_shows_the_librarys_numbers_and_tells_what_it_cannot_read(page) -> None:
    reading = train(cell="rnn").read(FIRST)
    expect(page, reading, 6)
    assert page.get_by_role("button", name="Next word").is_disabled()
    for place in (5, 4):
        page.get_by_role("button", name="Previous word").click()
        expect(page, reading, place)
    page.get_by_role("button", name="Next word").click()
    expect(page, reading, 5)
    probability = round(float(reading.probabilities[5]), 3)
    eventually(page.locator(".formula"), [probability], lambda text: numbers(text)[-1:])
    page.get_by_label("Cell").select_option("LSTM")
    expect(page, train(cell="lstm").read(FIRST), 5)
    page.get_by_label("Example").select_option("i do not hate this book")
    expect(page, train(cell="lstm").read("i do not hate this book"), 5)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    expect(page, train(cell="lstm").read("i do not hate this book"), 0)
    page.get_by_label("Cell").select_option("RNN (tanh)")
    unknown_words_are_pointed_out(page)


def unknown_words_are_pointed_out(page) -> None:
    field = page.get_by_label("Sentence", exact=True)
    field.fill("The zebra wasn't <b>bad</b>")
    page.get_by_text("It has never met “zebra”, “b” and passes over it: such words are").wait_for()
    expect(page, train(cell="rnn").read("The zebra wasn't <b>bad</b>"), 6)
    assert page.locator(".words li").all_inner_texts() == [
        "the", "zebra\n(unknown)", "was", "not", "b\n(unknown)", "bad", "b\n(unknown)"
    ]  # fmt: skip
    for text, told in (
        ("", "Write a sentence: there is no word in the field."),
        ("zebra", "The network has met none of these words: in its training it learned 75."),
        ("good " * 61, "The text has 61 words; 60 at most"),
    ):
        field.fill(text)
        page.get_by_text(told).wait_for()
        assert field.get_attribute("aria-invalid") == "true"
    page.get_by_label("Cell").select_option("GRU")
    expect(page, train(cell="gru").read("The zebra wasn't <b>bad</b>"), 6)
    field.fill("good")
    expect(page, train(cell="gru").read("good"), 0)
    assert field.get_attribute("aria-invalid") is None


def test_long_words_and_many_fit_a_phone(open_view) -> None:
    page = open_view("read-a-sentence", viewport={"width": 360, "height": 740})
    page.get_by_label("Sentence", exact=True).fill("good film " * 29 + "z" * 80)
    eventually(page.locator(".words .now"), "z" * 80 + "\n(unknown)")
    page.get_by_text("It has never met").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
