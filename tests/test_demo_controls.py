"""What a reader types into a field is taken, or answered by a sentence beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("panel")

from fastrnn.demo import controls


@given(st.floats(-1e300, 1e300))
def test_any_number_of_the_range_is_taken(value) -> None:
    assert controls.number(repr(value), -1e300, 1e300) == value


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_number_of_the_range_or_gets_a_sentence(typed) -> None:
    try:
        value = controls.number(typed, -2, 7)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = "Expected a number from -2 to 7, " if -2 <= value <= 7 else "nothing"
    assert sentence.startswith("Expected a number from -2 to 7, ")


@pytest.mark.parametrize(
    ("typed", "bounds", "sentence"),
    [
        ("abc", {}, "Expected a number, got “abc”."),
        ("  ", {}, "Expected a number, but the field is empty."),
        ("nan", {}, "Expected a number, got “nan”."),
        ("inf", {"minimum": 0}, "Expected a number of at least 0, got “inf”."),
        ("-0,5", {}, "Expected a number, got “-0,5”: write a point instead of the comma."),
        (
            "1,5",
            {"minimum": 2},
            "Expected a number of at least 2, got “1,5”: write a point instead of the comma.",
        ),
        ("1,000", {}, "Expected a number, got “1,000”."),
        ("1,000,000", {}, "Expected a number, got “1,000,000”."),
        ("1,5", {"whole": True}, "Expected a whole number, got “1,5”."),
        ("2.5", {"whole": True}, "Expected a whole number, got “2.5”."),
        ("1_000", {}, "Expected a number, got “1_000”."),
        ("x", {"maximum": 2**31}, "Expected a number of at most 2147483648, got “x”."),
        ("11", {"maximum": 10}, "Expected a number of at most 10, got “11”."),
        ("9" * 400, {"whole": True}, "Expected a whole number, got “" + "9" * 29 + "…”."),
    ],
)
def test_the_sentence_says_what_was_expected(typed, bounds, sentence) -> None:
    with pytest.raises(ValueError, match=r"^Expected") as caught:
        controls.number(typed, **bounds)
    assert str(caught.value) == sentence


def test_the_minus_sign_that_the_page_writes_is_read() -> None:
    assert controls.number("−0.5") == -0.5
    assert controls.number("−3", whole=True) == -3


def test_a_field_keeps_its_value_until_another_can_be_read() -> None:
    field = controls.NumberField("Steps T", 4, 1, 9, whole=True)
    seen = []
    field.param.watch(lambda event: seen.append(event.new), "value")
    field.text = "x"
    assert (field.value, field.message) == (4, "Expected a whole number from 1 to 9, got “x”.")
    field.text = "7"
    assert (field.value, field.message, seen) == (7, "", [7])


def test_a_text_that_is_put_is_read_again_though_it_stands_there_already() -> None:
    most = 9
    field = controls.TextField("Window", "7", lambda text: controls.number(text, 1, most))
    field.text = "12"
    assert (field.value, field.message) == (7, "Expected a number from 1 to 9, got “12”.")
    most = 20
    field.put("12")
    assert (field.value, field.message) == (12, "")
    most = 9
    field.put("12")
    assert (field.value, field.message) == (12, "Expected a number from 1 to 9, got “12”.")


def test_a_text_too_long_to_be_sent_is_told_until_another_stands_there() -> None:
    field = controls.TextField("Your text", "short")
    field.too_long = 5_000_001
    assert field.message == "The text has 5,000,001 characters; 5,000,000 at most are taken here."
    field.too_long = 0
    assert (field.value, field.message) == ("short", "")


def test_a_name_is_the_labels_in_small_letters_and_hyphens() -> None:
    assert controls.slug("W_hidden (state to state)") == "w-hidden-state-to-state"
