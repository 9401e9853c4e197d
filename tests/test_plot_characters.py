"""Pictures of predictions say what the model says, of the characters that it says it of."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastrnn
from fastrnn import plot

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

MODEL = fastrnn.CharRNN("gru", hidden_size=6, vocabulary="to be\nr", seed=1)
LINE = "to be or to\nbe"


def axes():
    return figure.Figure().subplots()


def draw_next(text=LINE, **options):
    probs = MODEL.next_probs(text)
    return plot.next_characters(probs, text, MODEL.vocabulary, ax=axes(), **options)


def cells(ax) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in ax.texts}


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_likeliest_characters_stand_above_what_was_read(k: int) -> None:
    ax, probs = draw_next(k=k), MODEL.next_probs(LINE).astype(np.float64)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), -np.sort(-probs, axis=1)[:, :k].T)
    assert len(ax.texts) == k * len(LINE)
    for (t, rank), symbol in cells(ax).items():
        index = MODEL.vocabulary.index({"␣": " ", "⏎": "\n"}.get(symbol, symbol))
        assert probs[t, index] == image.get_array()[rank, t]
    written = [label.get_text() for label in ax.get_xticklabels()]
    assert written == [{" ": "␣", "\n": "⏎"}.get(character, character) for character in LINE]
    assert ax.get_xlabel() == "read so far, up to this character"
    assert ax.get_ylabel() == "likeliest next"
    assert image.colorbar.ax.get_ylabel() == "probability"
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{n + 1}." for n in range(k)]


def test_a_frame_is_around_what_did_come() -> None:
    ax = draw_next(k=7)
    framed = [(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in ax.patches]
    assert sorted(t for t, _ in framed) == list(range(len(LINE) - 1))
    names = {"␣": " ", "⏎": "\n"}
    came = {t: names.get(cells(ax)[t, rank], cells(ax)[t, rank]) for t, rank in framed}
    assert [came[t] for t in range(len(LINE) - 1)] == list(LINE[1:])


def test_a_character_that_is_not_among_the_likeliest_has_no_frame() -> None:
    probs = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]
    ax = plot.next_characters(probs, "aab", "ab", k=1, ax=axes())
    assert [patch.get_x() for patch in ax.patches] == [-0.5]


def test_five_are_shown_or_all_if_there_are_fewer() -> None:
    assert len(draw_next().get_yticks()) == 5
    ax = plot.next_characters([[0.5, 0.5]], "a", "ab", ax=axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1.", "2."]


def test_bytes_are_predicted_as_bytes() -> None:
    model = fastrnn.CharRNN(hidden_size=4, symbols="bytes")
    ax = plot.next_characters(
        model.next_probs("né"), "né".encode(), bytes(range(256)), k=256, ax=axes()
    )
    assert {"n", "c3", "a9", "␣", r"\$"} <= {text.get_text() for text in ax.texts}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["n", "c3", "a9"]
    assert len(ax.patches) == 2


def test_a_text_of_which_nothing_could_be_read_is_refused(pyplot) -> None:
    probs = np.full((801, 5), 0.2)
    with pytest.raises(ValueError, match="text times k must be at most 4000 cells, got 801 × 5"):
        plot.next_characters(probs, "a" * 801, "abcde")
    with pytest.raises(ValueError, match="got 801 × 5; draw a part of the text, or a smaller k"):
        plot.next_characters(probs, "a" * 801, "abcde", k=5)
    assert pyplot.get_fignums() == []
    ax = plot.next_characters(probs, "a" * 801, "abcde", k=1, ax=axes())
    assert len(ax.texts) == 801


def test_bars_are_the_model_s_surprise_in_bits() -> None:
    log_probs = MODEL.log_probs(LINE)
    ax = plot.surprise(log_probs, LINE, ax=axes())
    heights = np.array([bar.get_height() for bar in ax.containers[0]])
    np.testing.assert_allclose(2.0**-heights, np.exp(log_probs), rtol=1e-12)
    places = [bar.get_x() + bar.get_width() / 2 for bar in ax.containers[0]]
    np.testing.assert_allclose(places, range(1, len(LINE)))
    assert "".join(label.get_text() for label in ax.get_xticklabels()) == "to␣be␣or␣to⏎be"
    (average,) = ax.get_lines()
    loss = MODEL.evaluate(LINE)["bits_per_char"]
    assert math.isclose(average.get_ydata()[0], loss, rel_tol=1e-12)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == [f"average: {loss:.2f}", "surprise"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("character", "surprise (bits)")


def test_the_text_itself_stands_on_its_surprise() -> None:
    log_probs = MODEL.log_probs(LINE)
    ax = plot.surprise(log_probs, LINE, style="text", ax=axes())
    (image,) = ax.get_images()
    array = image.get_array()
    np.testing.assert_allclose(array.compressed(), -log_probs / math.log(2), rtol=1e-12)
    assert image.get_clim() == (0, array.max())
    assert [text.get_text() for text in ax.texts] == list("tobeorto⏎be")
    mean = MODEL.evaluate(LINE)["bits_per_char"]
    assert ax.get_title(loc="left") == f"Surprise, on average {mean:.2f} bits"
    assert image.colorbar.ax.get_ylabel() == "surprise (bits)"


@pytest.mark.parametrize(("face", "letters"), [("white", "black"), ("black", "white")])
def test_the_first_character_stands_on_blank(face: str, letters: str) -> None:
    ax = axes()
    ax.set_facecolor(face)
    plot.surprise([-1.0, -2.0], "abc", style="text", ax=ax)
    (image,) = ax.get_images()
    assert image.get_array().mask.tolist() == [[True, False, False]]
    first = ax.texts[0]
    assert (first.get_text(), first.get_position(), first.get_color()) == ("a", (0, 0), letters)


def test_what_is_certain_is_no_surprise() -> None:
    ax = plot.surprise([0.0, -0.0], "abc", ax=axes())
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert [math.copysign(1, height) for height in heights] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0.5, 0.5], "a", "ab"), {}, ValueError, "probs must be two-dimensional"),
        (
            ([[1.5, 0.5]], "a", "ab"),
            {},
            ValueError,
            "probs must be .* got 0.5 to 1.5",
        ),
        (([[-0.5, 0.5]], "a", "ab"), {}, ValueError, "probs must be probabilities"),
        (
            ([[0.5, 0.5]], "ab", "ab"),
            {},
            ValueError,
            "text must have 1 entry, one for each row",
        ),
        (([[0.5, 0.5]], "a", "abc"), {}, ValueError, "vocabulary must have 2 entries"),
        (([[0.5, 0.5]], ["a"], "ab"), {}, TypeError, "text must be a str or bytes"),
        (([[0.5, 0.5]], b"a", "ab"), {}, TypeError, "vocabulary must be a bytes, as text is"),
        (([[0.5, 0.5]], "a", b"ab"), {}, TypeError, "vocabulary must be a str, as text is"),
        (([[0.5, 0.5]], "a", "ab"), {"k": 3}, ValueError, "k must be between 1 and 2, got 3"),
    ],
)
def test_predictions_that_cannot_be_drawn_are_refused(
    arguments, options, error, message, pyplot
) -> None:
    with pytest.raises(error, match=message):
        plot.next_characters(*arguments, **options)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([[-1.0]], "ab"), {}, ValueError, "log_probs must be one-dimensional"),
        (([0.5], "ab"), {}, ValueError, "log_probs must be logarithms .* at most 0, got 0.5"),
        (([-np.inf], "ab"), {}, ValueError, "log_probs must be finite"),
        (([-1.0], "a"), {}, ValueError, "text must have 2 entries, one more than log_probs, got 1"),
        (([-1.0], "ab"), {"style": "pie"}, ValueError, "style must be one of 'bars', 'text'"),
        (([-1.0], "ab"), {"style": "text", "width": 0}, ValueError, "width must be between 1"),
        (([-1.0], "ab"), {"width": 0}, ValueError, "width must be between 1"),
    ],
)
def test_surprise_that_cannot_be_drawn_is_refused(
    arguments, options, error, message, pyplot
) -> None:
    with pytest.raises(error, match=message):
        plot.surprise(*arguments, **options)
    assert pyplot.get_fignums() == []
