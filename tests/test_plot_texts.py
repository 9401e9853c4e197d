"""Coloured text has every character on the colour of its own number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import plot
from fastrnn.plot.texts import line_places

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

TEXT = "to be or\nnot"


def axes():
    return figure.Figure().subplots()


def test_every_character_stands_on_its_number() -> None:
    ax = plot.colored_text(TEXT, np.arange(12.0) - 4, label="$ a unit", width=6, ax=axes())
    (image,) = ax.get_images()
    assert image.colorbar.ax.get_ylabel() == r"\$ a unit"
    blank = np.nan
    np.testing.assert_array_equal(
        image.get_array().filled(blank),
        [[-4, -3, -2, -1, 0, 1], [2, 3, 4, blank, blank, blank], [5, 6, 7, blank, blank, blank]],
    )
    places = {text.get_position(): text.get_text() for text in ax.texts}
    assert places == {
        (0, 0): "t", (1, 0): "o", (3, 0): "b", (4, 0): "e",
        (0, 1): "o", (1, 1): "r", (2, 1): "⏎",
        (0, 2): "n", (1, 2): "o", (2, 2): "t",
    }  # fmt: skip


def test_what_stands_for_a_byte_without_a_form_is_smaller() -> None:
    ax = plot.colored_text("$é".encode(), [1.0, 2.0, 3.0], ax=axes())
    dollar, first, second = ax.texts
    assert [text.get_text() for text in ax.texts] == [r"\$", "c3", "a9"]
    assert dollar.get_fontsize() > first.get_fontsize() == second.get_fontsize()


@pytest.mark.parametrize("width", [20, 60, 120])
def test_letters_are_no_wider_than_their_cells(width: int) -> None:
    ax = plot.colored_text("m" * 200, np.linspace(0, 1, 200), width=width, ax=axes())
    renderer = pytest.importorskip("matplotlib.backends.backend_agg").FigureCanvasAgg(ax.figure)
    cell = ax.get_window_extent().width / width
    widths = [text.get_window_extent(renderer.get_renderer()).width for text in ax.texts[:5]]
    assert max(widths) <= cell + 1  # a pixel of rounding
    assert ax.texts[0].get_fontsize() > 3


def test_numbers_of_both_signs_have_white_at_zero_and_others_begin_there() -> None:
    (both,) = plot.colored_text("abc", [-1.0, 0.5, 3.0], ax=axes()).get_images()
    (one,) = plot.colored_text("abc", [1.0, 0.5, 3.0], ax=axes()).get_images()
    assert (both.get_clim(), one.get_clim()) == ((-3, 3), (0, 3))
    for image in both, one:
        np.testing.assert_allclose(image.to_rgba(0.0), (1, 1, 1, 1), atol=0.01)


@given(st.text(alphabet="ab \n", min_size=1, max_size=60), st.integers(1, 12))
def test_lines_hold_all_characters_in_order_and_none_is_too_long(text: str, width: int) -> None:
    for symbols in text, text.encode():
        places = line_places(symbols, width)
        assert len(places) == len(text)
        lines: dict[int, str] = {}
        for (line, column), character in zip(places, text, strict=True):
            lines[line] = lines.get(line, "") + character
            assert column == len(lines[line]) - 1 < width
        assert list(lines) == list(range(len(lines)))
        assert "".join(lines.values()) == text
        for line, following in zip(list(lines.values()), list(lines.values())[1:], strict=False):
            assert "\n" not in line[:-1]
            if not line.endswith(("\n", " ")):  # a word is cut only where it alone is too long
                assert len(line) == width
                assert " " not in line
                assert following


def test_a_unit_s_panel_holds_its_states() -> None:
    model = fastrnn.CharRNN(hidden_size=6, vocabulary=TEXT, seed=3)
    states = model.states(TEXT)
    panels = plot.unit_text(states, TEXT, [4, 1], width=20, fig=figure.Figure())
    limit = np.abs(states[:, [4, 1]].astype(float)).max()
    for ax, unit in zip(panels, [4, 1], strict=True):
        (image,) = ax.get_images()
        np.testing.assert_array_equal(image.get_array().compressed(), states[:, unit])
        assert image.get_clim() == (-limit, limit)
        assert ax.get_title(loc="left") == f"unit {unit}"
        assert "".join(text.get_text() for text in ax.texts) == "tobeor⏎not"
    (image,) = panels[0].get_images()
    assert image.colorbar.ax.get_ylabel() == "$h_t$ after the character"


def test_the_four_units_that_vary_most_are_shown_unless_they_are_chosen() -> None:
    states = np.outer([1.0, -1.0], [3, 0, 5, 1, 4, 2]) + 10
    panels = plot.unit_text(states, "ab", fig=figure.Figure())
    titles = [ax.get_title(loc="left") for ax in panels]
    assert titles == ["unit 2", "unit 4", "unit 0", "unit 5"]
    assert len(plot.unit_text(states[:, :2], "ab", fig=figure.Figure())) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, 2.0], "ab"), ValueError, "states must be two-dimensional"),
        (([[1.0]], "ab"), ValueError, "text must have 1 entry, one for each step of states, go"),
        (([[1.0]], 5), TypeError, "text must be a str or bytes, got 5"),
        (([[1.0]], "a", 0), TypeError, "units must be a sequence of integers, got 0"),
        (([[1.0]], "a", "0"), TypeError, "units must be a sequence of integers"),
        (([[1.0]], "a", []), ValueError, "units is empty"),
        (([[1.0]], "a", [1]), ValueError, "each of units must be between 0 and 0, got 1"),
        (([[1.0]], "a", [0.0]), TypeError, "each of units must be an integer"),
    ],
)
def test_units_that_cannot_be_drawn_are_refused(arguments, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        plot.unit_text(*arguments)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("ab", [1.0]), {}, ValueError, "text must have 1 entry, one for each of numbers, got 2"),
        (("ab", [1.0, np.inf]), {}, ValueError, "numbers must be finite, got inf at index 1"),
        (("", []), {}, ValueError, "numbers must be one-dimensional and not empty"),
        (("a", [1.0]), {"width": 0}, ValueError, "width must be between 1"),
        (("a", [1.0]), {"label": 5}, TypeError, "label must be a str, got 5"),
    ],
)
def test_text_that_cannot_be_drawn_is_refused(arguments, options, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        plot.colored_text(*arguments, **options)
    assert pyplot.get_fignums() == []
