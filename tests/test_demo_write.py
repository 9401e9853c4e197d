"""The page writes what CharRNN.generate returns, and its model can be trained and replaced."""

from __future__ import annotations

import re

import pytest
from browser import drag, eventually, eventually_drawn, eventually_holds, numbers

import fastrnn
from fastrnn.demo.models import write

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
UNTRAINED = {"temperature": 0.7, "seed": 0}


@pytest.fixture(scope="module")
def model() -> fastrnn.CharRNN:
    return fastrnn.CharRNN("lstm", 12, seed=0).fit(VERSE, steps=40, lr=0.01)


@pytest.fixture
def page(open_view):
    return open_view("write-text")


def typed(page):
    return page.locator(".typed").last


def shown(text: str) -> str:
    """Return a text as the page has it, a cursor behind it."""
    return text + "\xa0"


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def upload(page, content: bytes, name: str = "verse.safetensors") -> None:
    page.get_by_label("Or load a model").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def test_it_writes_what_generate_returns_one_by_one_and_back(page) -> None:
    untrained = write.untrained("gru", 64)

    def expect(length: int, prompt: str = "The ", **changed) -> None:
        text = untrained.generate(prompt, length, **{**UNTRAINED, **changed}) if length else prompt
        eventually(typed(page), shown(text), str)

    expect(80)
    press(page, "Write one character")
    expect(81)
    drag(page.get_by_label("Temperature"), 1.5)
    expect(81, temperature=1.5)
    drag(page.get_by_label("Top-k"), 3)
    expect(81, temperature=1.5, top_k=3)
    page.get_by_label("Seed").fill("7")
    expect(81, temperature=1.5, top_k=3, seed=7)
    page.get_by_label("Prompt").fill("A cell ")
    expect(81, "A cell ", temperature=1.5, top_k=3, seed=7)
    press(page, "Take one back")
    expect(80, "A cell ", temperature=1.5, top_k=3, seed=7)
    press(page, "Start over")
    expect(0, "A cell ")
    written = write.write(untrained, "A cell ", 0, temperature=1.5, top_k=3, seed=7)
    best = written.choices[0]
    expected = [round(best.logit, 3), 1.5, round(best.probability, 3)]
    eventually(page.locator(".formula"), expected, lambda text: numbers(text.split("\n")[-1])[-3:])
    eventually_drawn(page, "probability", [choice.probability for choice in written.choices])
    eventually_drawn(page, "image", [written.states.T.ravel().tolist()])
    press(page, "Play")
    press(page, "Pause")
    assert typed(page).inner_text().startswith("A cell")
    drag(page.get_by_label("Temperature"), 0)
    page.get_by_text("always the most probable").wait_for()


def test_a_model_is_loaded_or_learns_the_readers_own_text(
    page, model: fastrnn.CharRNN, tmp_path
) -> None:
    model.save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    upload(page, content)
    # Its vocabulary has no T: the prompt is empty.
    eventually(typed(page), shown(model.generate("", 80, **UNTRAINED)))
    eventually_holds(page.get_by_label("Prompt"), "")
    page.get_by_text("from verse.safetensors").wait_for()
    field = page.get_by_label("Or load a model")
    assert field.evaluate("field => field.files[0].name") == "verse.safetensors"
    for damaged, told in (
        (b"%PDF-1.4 no model", "“odd.safetensors” is no model that this page can read, or only a"),
        (content[:-9], "“odd.safetensors” is no model that this page can read, or only a part"),
        (content[:-9] + bytes(9), "“odd.safetensors” is a model's file, but it was damaged after"),
    ):
        upload(page, damaged, "odd.safetensors")
        page.get_by_text(told).wait_for()
        page.get_by_text("from verse.safetensors").wait_for()
    press(page, "Write one character")
    eventually(typed(page), shown(model.generate("", 81, **UNTRAINED)))
    for prompt, named in (("Äh", "“Ä”"), ("the\tcat", "a tab"), ("\x7f", "character U+007F")):
        page.get_by_label("Prompt").fill(prompt)
        page.locator("#message-prompt", has_text=f"{named}: it is none of the").wait_for()
    eventually(typed(page), shown(model.generate("", 81, **UNTRAINED)))
    page.get_by_label("Prompt").fill("")
    learns_the_readers_own_text(page)


def learns_the_readers_own_text(page) -> None:
    page.get_by_label("Text to learn").select_option("My own text")
    press(page, "Train")
    page.get_by_text("The text has 0 characters; paste at least 200").wait_for()
    # Pasted: typing so much would take the browser a minute.
    page.get_by_label("Your text").evaluate(
        """field => {
            field.value = "a".repeat(20_000_000)
            field.dispatchEvent(new Event("change"))
        }"""
    )
    page.get_by_text("The text has 20,000,000 characters; 5,000,000 at most").wait_for()
    press(page, "Train")
    page.get_by_text("There is too much text to learn from.", exact=True).wait_for()
    page.get_by_label("Your text").fill(VERSE)
    page.get_by_label("Cell").select_option("RNN (tanh)")
    page.get_by_label("Hidden units").select_option("16")
    drag(page.get_by_label("Training steps"), 100)
    press(page, "Train")
    page.get_by_text("Done after 100").wait_for()
    expected = fastrnn.CharRNN("rnn", 16, seed=0).fit(VERSE, steps=100)
    eventually(typed(page), shown(expected.generate("", 80, **UNTRAINED)))
    losses = [record["loss"] for record in expected.history]
    eventually_drawn(page, "loss", losses)
    page.get_by_text("What it writes after its training").wait_for()
    wanted = expected.generate(length=160, temperature=0.6)
    eventually(page.locator(".typed").first, shown(wanted))
    eventually(page.get_by_text("Done after"), [100, float(f"{losses[-1]:.3g}")], numbers)
    assert page.get_by_text("paste at least 200").count() == 0


# In which frames of the browser the letters and the bars change.
WATCH_FRAMES = """() => {
  const frames = window.frames_seen = {letters: [], bars: []}
  let frame = 0
  const count = () => { frame += 1; requestAnimationFrame(count) }
  count()
  const models = [...Bokeh.documents[0]._all_models.values()]
  const bars = models.find((model) => model.type === "ColumnDataSource" && "rank" in model.data)
  const letters = models.filter((model) => `${model.data?.object}`.includes("typed")).at(-1)
  bars.properties.data.change.connect(() => frames.bars.push(frame))
  letters.data.properties.object.change.connect(() => frames.letters.push(frame))
}"""


def test_letters_and_bars_change_together_while_it_plays(page) -> None:
    eventually(typed(page), shown(write.untrained("gru", 64).generate("The ", 80, **UNTRAINED)))
    page.evaluate(WATCH_FRAMES)
    press(page, "Play")
    page.wait_for_function("frames_seen.bars.length > 5 && frames_seen.letters.length > 5")
    press(page, "Pause")
    seen = page.evaluate("frames_seen")
    assert seen["letters"][:5] == seen["bars"][:5]


def test_a_training_moves_on_and_is_stopped_for_one_reader_alone(page, open_view) -> None:
    other = open_view("write-text")
    before = typed(other).inner_text()
    drag(page.get_by_label("Training steps"), 10_000)
    press(page, "Train")
    page.get_by_text(re.compile(r"\d+%, loss")).wait_for()
    page.get_by_text("What it writes by now").wait_for()
    press(page, "Stop")
    page.get_by_text("Stopped after").wait_for()
    (steps, _) = numbers(page.get_by_text("Stopped after").inner_text().replace(",", ""))
    assert 0 < steps < 10_000
    page.get_by_text("trained here").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_enabled()
    assert typed(page).inner_text() != before
    assert typed(other).inner_text() == before
    assert other.get_by_text("untrained", exact=True).count() == 1
