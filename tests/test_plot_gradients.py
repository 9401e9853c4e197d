"""The lines of vanishing gradients are what BPTT through the layers' own weights gives."""

from __future__ import annotations

import numpy as np
import pytest

import fastrnn
from fastrnn import plot, unrolled

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

X = np.random.default_rng(0).normal(size=(12, 3))


def layers():
    options = {"dtype": np.float64, "seed": 0}
    return {
        "Elman": fastrnn.RNN(3, 5, **options),
        "LSTM $": fastrnn.LSTM(3, 5, num_layers=2, **options),
        "GRU": fastrnn.GRU(3, 5, layer_norm=True, **options),
    }


def draw(*arguments, **options):
    return plot.gradient_norms(*arguments, ax=figure.Figure().subplots(), **options)


def test_a_line_holds_the_norms_of_its_layer() -> None:
    ax = draw(layers(), X)
    for line, (name, layer) in zip(ax.get_lines(), layers().items(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), range(13))
        np.testing.assert_array_equal(line.get_ydata(), unrolled.gradient_norms(layer, X))
        assert line.get_label() == name.replace("$", r"\$")
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "distance in time $k$ (steps)"
    assert ax.get_ylabel().startswith(r"gradient norm $\|\partial L / \partial s_{T-k}\|$")
    assert ax.get_ylabel().endswith(", 1 at $k = 0$")
    np.testing.assert_allclose([line.get_ydata()[0] for line in ax.get_lines()], 1, rtol=1e-15)


def test_the_legend_names_every_line_whatever_its_name_begins_with() -> None:
    ax = figure.Figure().subplots()
    ax.plot([0, 1], [1, 2], label="mine")
    plot.gradient_norms({"_a": layers()["GRU"], "_": layers()["Elman"]}, X, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mine", "_a", "_"]


def test_a_scale_multiplies_the_recurrent_weights_of_all_layers_of_a_copy() -> None:
    given = layers()
    before = {name: layer.state_dict() for name, layer in given.items()}
    lines = {line.get_label(): line for line in draw(given, X, scales=[1, 3]).get_lines()}
    scaled = layers()["LSTM $"]
    for name in ("weight_hh_l0", "weight_hh_l1"):
        setattr(scaled, name, 3 * getattr(scaled, name))
    norms = unrolled.gradient_norms(scaled, X)
    np.testing.assert_array_equal(lines[r"LSTM \$, W_hh × 3"].get_ydata(), norms)
    plain = unrolled.gradient_norms(given["GRU"], X)
    np.testing.assert_array_equal(lines["GRU, W_hh × 1"].get_ydata(), plain)
    for name, layer in given.items():
        for parameter, value in layer.state_dict().items():
            np.testing.assert_array_equal(value, before[name][parameter])


def test_layers_have_colours_and_scales_have_styles() -> None:
    lines = draw(layers(), X, scales=[0.5, 1, 2, 4]).get_lines()
    assert len(lines) == 12
    assert len({line.get_color() for line in lines}) == 3
    assert len({line.get_linestyle() for line in lines}) == 4
    assert len({line.get_color() for line in lines[:4]}) == 1


def test_a_gradient_beyond_all_numbers_ends_its_line() -> None:
    layer = fastrnn.RNN(1, 2, nonlinearity="linear", bias=False, dtype=np.float32, seed=0)
    layer.weight_hh_l0 = np.eye(2, dtype=np.float32) * 1e10
    with np.errstate(all="ignore"):
        (line,) = draw({"Elman": layer}, np.zeros((6, 1), np.float32)).get_lines()
    norms = line.get_ydata()
    np.testing.assert_allclose(norms[:4], [1, 1e10, 1e20, 1e30], rtol=1e-6)
    assert np.isnan(norms[4:]).all()


def test_token_ids_can_be_what_is_read() -> None:
    (line,) = draw({"GRU": fastrnn.GRU(4, 3, seed=0)}, [0, 3, 1]).get_lines()
    expected = unrolled.gradient_norms(fastrnn.GRU(4, 3, seed=0), [0, 3, 1])
    np.testing.assert_array_equal(line.get_ydata(), expected)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((fastrnn.RNN(3, 5), X), {}, TypeError, "layers must be a dict of layers, got RNN"),
        (({}, X), {}, ValueError, "layers must hold 1 to 7 layers, got 0"),
        (({"a": fastrnn.Linear(3, 5)}, X), {}, TypeError, "each of layers must be a recurrent"),
        (({5: fastrnn.RNN(3, 5)}, X), {}, TypeError, "each name of layers must be a str, got 5"),
        (({"a": fastrnn.RNN(3, 5, bidirectional=True)}, X), {}, ValueError, "in one direction"),
        (({"a": fastrnn.RNN(3, 5)}, X), {}, TypeError, "x has dtype float64, expected float32"),
        ((layers(), X), {"scales": []}, ValueError, "scales must be one-dimensional and not empty"),
        ((layers(), X), {"scales": range(5)}, ValueError, "scales must have at most 4 entries"),
        ((layers(), X), {"scales": [1, 1.0]}, ValueError, "scales must differ from each other"),
        ((layers(), X), {"scales": ["1"]}, TypeError, "scales must hold numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, options, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        plot.gradient_norms(*arguments, **options)
    assert pyplot.get_fignums() == []
