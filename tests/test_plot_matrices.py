"""Pictures of weights hold the parameters, and eigenvalues are those of each gate's own matrix."""

from __future__ import annotations

import numpy as np
import pytest

import fastrnn
from fastrnn import plot

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")


def draw(function, *arguments):
    return function(*arguments, fig=figure.Figure())


@pytest.mark.parametrize(
    "module",
    [
        fastrnn.RNN(3, 5, num_layers=2, bidirectional=True, seed=0),
        fastrnn.LSTM(3, 5, proj_size=2, layer_norm=True, seed=0),
        fastrnn.GRU(3, 5, bias=False, seed=0),
        fastrnn.Jordan(3, 5, 2, seed=0),
        fastrnn.Linear(3, 5, seed=0),
        fastrnn.Embedding(3, 5, seed=0),
    ],
    ids=lambda module: type(module).__name__,
)
def test_every_matrix_of_a_layer_is_a_heatmap(module) -> None:
    matrices = {name: value for name, value in module.parameters().items() if value.ndim == 2}
    panels = draw(plot.weights, module)
    for ax, (name, matrix) in zip(panels, matrices.items(), strict=True):
        (image,) = ax.get_images()
        np.testing.assert_array_equal(image.get_array(), matrix)
        assert ax.get_title() == f"{name}\n{matrix.shape[0]} × {matrix.shape[1]}"
        low, high = image.get_clim()
        assert -low == high == panels[0].get_images()[0].get_clim()[1]


def test_those_that_are_named_are_shown_in_this_order() -> None:
    panels = draw(plot.weights, fastrnn.RNN(3, 5, seed=0), ["weight_hh_l0", "weight_ih_l0"])
    titles = [ax.get_title().split("\n")[0] for ax in panels]
    assert titles == ["weight_hh_l0", "weight_ih_l0"]


def test_one_large_weight_leaves_the_others_their_colours() -> None:
    layer = fastrnn.Linear(20, 20, seed=0)
    weight = layer.weight.copy()
    weight[3, 4] = 1000
    layer.weight = weight
    (ax,) = draw(plot.weights, layer)
    assert ax.get_images()[0].get_clim()[1] < 1
    assert ax.get_images()[0].colorbar.extend == "both"
    assert ax.get_images()[0].colorbar.ax.get_ylabel() == "weight"


def test_weights_that_are_all_zero_can_be_drawn() -> None:
    layer = fastrnn.Linear(3, 3, seed=0)
    layer.weight = np.zeros((3, 3), np.float32)
    (ax,) = draw(plot.weights, layer)
    assert ax.get_images()[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("module", "labels"),
    [
        (
            fastrnn.RNN(3, 5, num_layers=2),
            {
                "weight_ih_l0": ("input", "row"),
                "weight_hh_l0": ("previous state", "row"),
                "weight_ih_l1": ("input", "row"),
                "weight_hh_l1": ("previous state", "row"),
            },
        ),
        (
            fastrnn.LSTM(3, 5, proj_size=2),
            {
                "weight_ih_l0": ("input", "gate (5 units each)"),
                "weight_hh_l0": ("previous state", "gate (5 units each)"),
                "weight_hr_l0": ("hidden unit", "row"),
            },
        ),
        (
            fastrnn.Jordan(3, 5, 2),
            {
                "weight_ih_l0": ("input", "row"),
                "weight_hh_l0": ("previous output", "row"),
                "weight_ho_l0": ("hidden unit", "row"),
            },
        ),
        (fastrnn.Linear(3, 5), {"weight": ("input", "row")}),
        (fastrnn.Embedding(3, 5), {"weight": ("dimension of the vector", "id")}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_rows_and_columns_say_what_they_are(module, labels) -> None:
    panels = draw(plot.weights, module)
    found = {ax.get_title().split("\n")[0]: (ax.get_xlabel(), ax.get_ylabel()) for ax in panels}
    assert found == labels


@pytest.mark.parametrize(
    ("layer", "gates"),
    [
        (fastrnn.RNN(2, 4), [""]),
        (fastrnn.LSTM(2, 4), ["i", "f", "g", "o"]),
        (fastrnn.GRU(2, 4), ["r", "z", "n"]),
    ],
)
def test_gates_are_named_where_they_stand(layer, gates) -> None:
    ax = draw(plot.weights, layer)[1]
    if len(gates) > 1:
        assert [label.get_text() for label in ax.get_yticklabels()] == gates
        middles = [4 * place + 1.5 for place in range(len(gates))]
        assert list(ax.get_yticks()) == middles
        between = [4 * place - 0.5 for place in range(1, len(gates))]
        assert [line.get_ydata()[0] for line in ax.get_lines()] == between
    titles = [ax.get_title().split("\n")[0] for ax in draw(plot.eigenvalues, layer)]
    assert titles == [f"weight_hh_l0, gate {gate}" if gate else "weight_hh_l0" for gate in gates]


def points(ax) -> np.ndarray:
    _, found = ax.get_lines()
    return found.get_xdata() + 1j * found.get_ydata()


def test_eigenvalues_are_those_that_are_put_into_each_gate() -> None:
    layer = fastrnn.LSTM(2, 2, seed=0)
    turn = np.array([[0, -1], [1, 0]])
    blocks = [np.diag([0.5, -2]), turn, 3 * np.eye(2), 0.25 * turn]
    layer.weight_hh_l0 = np.concatenate(blocks).astype(np.float32)
    panels = draw(plot.eigenvalues, layer)
    expected = [[-2, 0.5], [-1j, 1j], [3, 3], [-0.25j, 0.25j]]
    for ax, numbers, largest in zip(panels, expected, [2, 1, 3, 0.25], strict=True):
        np.testing.assert_allclose(np.sort_complex(points(ax)), numbers, atol=1e-12)
        assert ax.get_title().endswith(f"largest |λ| = {largest}")
        assert ax.get_xlim() == ax.get_ylim() == (-1.1 * 3, 1.1 * 3)
        on_the_left, at_the_bottom = ax in panels[::2], ax in panels[2:]
        assert ax.get_xlabel() == ("real part" if at_the_bottom else "")
        assert ax.get_ylabel() == ("imaginary part" if on_the_left else "")
        circle, _ = ax.get_lines()
        np.testing.assert_allclose(np.hypot(*circle.get_xydata().T), 1)


@pytest.mark.parametrize("name", ["weight_hh_l1", "weight_hh_l0_reverse"])
def test_any_recurrent_matrix_can_be_chosen(name: str) -> None:
    layer = fastrnn.GRU(2, 3, num_layers=2, bidirectional=True, seed=0)
    for gate, ax in enumerate(draw(plot.eigenvalues, layer, name)):
        block = getattr(layer, name)[3 * gate : 3 * gate + 3].astype(np.float64)
        for number in points(ax):
            assert abs(np.linalg.det(block - number * np.eye(3))) < 1e-12


def test_an_orthogonal_matrix_has_all_of_them_on_the_circle() -> None:
    (ax,) = draw(plot.eigenvalues, fastrnn.RNN(2, 9, init="orthogonal", seed=0))
    np.testing.assert_allclose(abs(points(ax)), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (plot.weights, ("gru",), TypeError, "module must be a layer, got 'gru'"),
        (plot.weights, (fastrnn.RNN(2, 3), "weight_hh_l0"), TypeError, "names must be a sequence"),
        (plot.weights, (fastrnn.RNN(2, 3), []), ValueError, "names is empty, expected some of wei"),
        (
            plot.weights,
            (fastrnn.RNN(2, 3), ["bias_hh_l0"]),
            ValueError,
            "each of names must be",
        ),
        (
            plot.weights,
            (fastrnn.RNN(2, 3), ["weight_hh_l0", "weight_hh_l0"]),
            ValueError,
            "names must differ from each other, got .*'weight_hh_l0', 'weight_hh_l0'",
        ),
        (
            plot.eigenvalues,
            (fastrnn.Jordan(2, 3, 3),),
            TypeError,
            "layer must be an RNN, LSTM",
        ),
        (plot.eigenvalues, (fastrnn.Linear(3, 3),), TypeError, "layer must be an RNN, LSTM or GRU"),
        (plot.eigenvalues, (fastrnn.LSTM(2, 3, proj_size=2),), ValueError, "3 × 2 and have no eig"),
        (plot.eigenvalues, (fastrnn.RNN(2, 3), "weight_ih_l0"), ValueError, "name must be one of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(function, arguments, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        function(*arguments)
    assert pyplot.get_fignums() == []
