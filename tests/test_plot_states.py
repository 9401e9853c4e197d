"""A picture of hidden states holds the layer's own, digit for digit, above what was read."""

from __future__ import annotations

import numpy as np
import pytest

import fastrnn
from fastrnn import plot

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

WORDS = ["a", "word", "costs $5 or $6"]


def axes():
    return figure.Figure().subplots()


def written_below(ax) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


@pytest.mark.parametrize("layer", [fastrnn.RNN(2, 4, seed=0), fastrnn.LSTM(2, 9, seed=1)])
def test_lines_and_heatmap_are_the_output_of_the_layer(layer) -> None:
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    output, _ = layer(x)
    lines, heat = plot.hidden_states(output, "abcdef", fig=figure.Figure())
    assert len(lines.get_lines()) == layer.hidden_size
    for unit, line in enumerate(lines.get_lines()):
        np.testing.assert_array_equal(line.get_xdata(), range(6))
        np.testing.assert_array_equal(line.get_ydata(), output[:, unit])
    (image,) = heat.get_images()
    np.testing.assert_array_equal(image.get_array(), output.T)
    assert written_below(heat) == list("abcdef")
    assert (lines.get_xlabel(), lines.get_ylabel()) == ("", "$h_t$")
    assert (heat.get_xlabel(), heat.get_ylabel()) == ("input $x_t$", "unit")
    assert image.colorbar.ax.get_ylabel() == "$h_t$"


def test_states_of_a_character_model_are_drawn_as_they_are() -> None:
    model = fastrnn.CharRNN("gru", hidden_size=5, vocabulary="to be\n")
    (image,) = plot.state_heatmap(model.states("to be\n"), "to be\n", ax=axes()).get_images()
    ids = [model.vocabulary.index(character) for character in "to be\n"]
    np.testing.assert_array_equal(image.get_array(), model.network.layer(ids)[0].T)


def test_zero_is_white_and_both_signs_reach_as_far() -> None:
    (image,) = plot.state_heatmap([[0.0, 0.5], [-0.25, 0.1]], ax=axes()).get_images()
    assert image.get_clim() == (-0.5, 0.5)
    np.testing.assert_allclose(image.to_rgba(0.0), (1, 1, 1, 1), atol=0.01)
    blue, orange = image.to_rgba(-0.5), image.to_rgba(0.5)
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


def test_without_inputs_steps_are_numbered() -> None:
    for draw in (plot.state_lines, plot.state_heatmap):
        assert draw(np.ones((3, 2)), ax=axes()).get_xlabel() == "step $t$"


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_the_first_unit_is_at_the_top_whatever_matplotlib_s_settings(origin: str, pyplot) -> None:
    with pyplot.rc_context({"image.origin": origin}):
        low, high = plot.state_heatmap([[1.0, 2.0, 3.0]], ax=axes()).get_ylim()
    assert (low, high) == (2.5, -0.5)


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        ("a \n", ["a", "␣", "⏎"]),
        ("é日\x07", ["é", "日", "07"]),
        ("né".encode(), ["n", "c3", "a9"]),
        (WORDS, ["a", "word", r"costs \$5 or \$6"]),
        ([0.12345, -1, 3e9], ["0.123", "-1", "3e+09"]),
        (np.array([1, 2, 3]), ["1", "2", "3"]),
        (np.array(["x", "y", " "]), ["x", "y", "␣"]),
    ],
)
def test_inputs_are_written_below_their_steps(labels, written) -> None:
    for draw in (plot.state_lines, plot.state_heatmap):
        ax = draw(np.ones((3, 2)), labels, ax=axes())
        assert written_below(ax) == written
        assert list(ax.get_xticks()) == [0, 1, 2]


def test_labels_that_would_cover_each_other_are_thinned_out() -> None:
    ax = plot.state_lines(np.zeros((250, 1)), range(250), ax=axes())
    assert written_below(ax) == [str(t) for t in range(0, 250, 3)]


def test_seven_units_have_names_and_colours_and_more_have_neither() -> None:
    for units, expected in ((7, list("0123456")), (8, ["each of 8"])):
        ax = plot.state_lines(np.zeros((2, units)), ax=axes())
        assert [text.get_text() for text in ax.get_legend().get_texts()] == expected
        assert len({line.get_color() for line in ax.get_lines()}) == (units if units == 7 else 1)


@pytest.mark.parametrize("draw", [plot.hidden_states, plot.state_lines, plot.state_heatmap])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, 2.0],), ValueError, r"states must be two-dimensional .* got shape \(2,\)"),
        ((np.zeros((0, 3)),), ValueError, r"states must be .* not empty, got shape \(0, 3\)"),
        ((np.zeros((2, 1, 3)),), ValueError, r"states must be two-dim.* got shape \(2, 1, 3\)"),
        (([[1.0, np.nan]],), ValueError, r"states must be finite, got nan at index \(0, 1\)"),
        (("states",), TypeError, "states must hold numbers"),
        (([[1.0]], "ab"), ValueError, "labels must have 1 entry, one for each step of states"),
        (([[1.0]], 5), TypeError, "labels must be a text, or a sequence of words or numbers"),
        (([[1.0]], np.zeros((1, 1))), TypeError, "labels must be a text, or a sequence"),
        (([[1.0]], [None]), TypeError, "each of labels must be a number, got None"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, arguments, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        draw(*arguments)
    assert pyplot.get_fignums() == []
