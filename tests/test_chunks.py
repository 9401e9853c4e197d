"""The way back, done in chunks of steps, gives what it gives done at once."""

import numpy as np
import pytest
from oracles.implementations import CELLS, LAYERS
from tolerances import assert_within, rounding

import fastrnn
from fastrnn.layers import sweep

STEPS, BATCH, TOKENS, UNITS = 11, 3, 5, 9

# One step at a time, a few, and all but one in the first.
every_size = pytest.mark.parametrize("rows", [1, BATCH, 4 * BATCH, (STEPS - 1) * BATCH + 2])
every_cell = pytest.mark.parametrize("cell", CELLS)


def in_chunks(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(sweep, "CHUNK_ROWS", rows)
    monkeypatch.setattr(sweep, "CHUNK_NUMBERS", 0)


def network(cell: str, **options: object) -> fastrnn.Network:
    layer = LAYERS[cell](TOKENS, UNITS, dtype=np.float64, seed=0, **options)
    readout = fastrnn.Linear(layer.output_size, TOKENS, dtype=np.float64, seed=1)
    return fastrnn.Network(layer, readout)


def ids() -> tuple[np.ndarray, np.ndarray]:
    text = np.random.default_rng(2).integers(TOKENS, size=(STEPS + 1, BATCH))
    return text[:-1], text[1:]


def loss_and_grads(net: fastrnn.Network, **options: object) -> dict[str, np.ndarray]:
    x, target = ids()
    if options.get("loss") == "mse":
        target = np.random.default_rng(3).normal(size=(STEPS, BATCH, TOKENS))
    net.zero_grad()
    loss, state = net.loss_and_grad(x, target, **options)
    parts = {f"{i}.{n}": g.copy() for i, m in enumerate(net.modules) for n, g in m.grad.items()}
    return parts | {"loss": np.array(loss), "state": np.array(state)}


def assert_alike(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        assert_within(got[name], value, rounding(np.float64))


@every_size
@every_cell
def test_a_training_steps_loss_and_gradients(monkeypatch, cell, rows) -> None:
    net = network(cell)
    expected = loss_and_grads(net)
    in_chunks(monkeypatch, rows)
    assert_alike(loss_and_grads(net), expected)
    assert_alike(loss_and_grads(net), expected)  # with memory that the first has left


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "mse"},
        {"reduction": "sum"},
        {"outputs": "all", "dropout": 0.4, "seed": 5},
        {"class_weight": np.arange(1.0, TOKENS + 1)},
    ],
    ids=lambda options: next(iter(options)),
)
@every_cell
def test_every_kind_of_loss(monkeypatch, cell, options) -> None:
    net = network(cell)
    expected = loss_and_grads(net, **options)
    in_chunks(monkeypatch, 2 * BATCH)
    assert_alike(loss_and_grads(net, **options), expected)


@pytest.mark.parametrize("embedding", ["tied", "own"])
@every_cell
def test_vectors_in_place_of_ids(monkeypatch, cell, embedding) -> None:
    layer = LAYERS[cell](UNITS, UNITS, dtype=np.float64, seed=0)
    readout = fastrnn.Linear(UNITS, TOKENS, dtype=np.float64, seed=1)
    own = fastrnn.Embedding(TOKENS, UNITS, dtype=np.float64, seed=2)
    net = fastrnn.Network(layer, readout, embedding="tied" if embedding == "tied" else own)
    expected = loss_and_grads(net)
    in_chunks(monkeypatch, 2 * BATCH)
    assert_alike(loss_and_grads(net), expected)


@pytest.mark.parametrize(
    "options",
    [{"num_layers": 3}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}],
    ids=str,
)
@every_cell
def test_several_layers_and_both_directions(monkeypatch, cell, options) -> None:
    net = network(cell, **options)
    expected = loss_and_grads(net)
    in_chunks(monkeypatch, 2 * BATCH)
    assert_alike(loss_and_grads(net), expected)


@every_size
@every_cell
def test_a_layers_own_way_back(monkeypatch, cell, rows) -> None:
    rng = np.random.default_rng(4)
    layer = LAYERS[cell](4, UNITS, dtype=np.float64, seed=0)
    x = rng.normal(size=(STEPS, BATCH, 4))

    def gradients() -> dict[str, np.ndarray]:
        layer.zero_grad()
        output, _ = layer(x)
        grad_x, grad_state = layer.backward(np.ones_like(output))
        parts = {name: grad.copy() for name, grad in layer.grad.items()}
        return parts | {"x": grad_x, "state": np.array(grad_state)}

    expected = gradients()
    in_chunks(monkeypatch, rows)
    assert_alike(gradients(), expected)


@pytest.mark.usefixtures("always_split")
@every_cell
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch, cell) -> None:
    in_chunks(monkeypatch, 2 * BATCH)
    net = network(cell)
    expected = loss_and_grads(net, num_threads=1)
    for threads in (2, 3, 5):
        got = loss_and_grads(net, num_threads=threads)
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_a_large_network_is_done_in_chunks() -> None:
    """With the sizes that they have unless changed."""
    net = fastrnn.Network(fastrnn.RNN(TOKENS, 256, seed=0), fastrnn.Linear(256, TOKENS, seed=1))
    text = np.zeros((21, 16), np.int64)
    loss, _ = net.loss_and_grad(text[:-1], text[1:])
    kept = net._workspace._arrays
    assert kept["grad_h"].shape == (256, 256)
    assert kept["dz_l0"].shape == (256 + 16, 256)  # and a step after the chunk's last
    assert net.loss(text[:-1], text[1:])[0] == loss
