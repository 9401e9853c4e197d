"""The way back of a batch in groups of sequences gives what it gives for all of them together."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.implementations import CELLS, LAYERS
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import _team, _threads, readout
from fastrnn.layers import sweep

STEPS, TOKENS, UNITS, FEATURES = 7, 5, 9, 4

Case = Callable[..., dict[str, np.ndarray]]

every_cell = pytest.mark.parametrize("cell", CELLS)
# As many as there are sequences, halves, and parts that differ by one.
every_number = pytest.mark.parametrize(("batch", "groups"), [(4, 4), (6, 2), (11, 3), (33, 2)])

pytestmark = pytest.mark.usefixtures("always_split")


def in_groups(monkeypatch: pytest.MonkeyPatch, groups: int) -> None:
    monkeypatch.setattr(sweep, "FEW_SEQUENCES", 1)
    monkeypatch.setattr(sweep, "SOME_SEQUENCES", 1)
    monkeypatch.setattr(sweep, "GROUP_SEQUENCES", 1)
    monkeypatch.setattr(sweep, "MOST_GROUPS", groups)


def training_step(cell: str, batch: int, **options: Any) -> dict[str, np.ndarray]:
    """Return loss, final state and gradients of a network that reads tokens."""
    threads = options.pop("num_threads", 1)
    kind = {"num_layers": options.pop("num_layers", 1), "dtype": np.float64, "seed": 0}
    layer = LAYERS[cell](TOKENS, UNITS, **kind)
    net = fastrnn.Network(layer, fastrnn.Linear(UNITS, TOKENS, dtype=np.float64, seed=1))
    rng = np.random.default_rng(2)
    x, target = rng.integers(TOKENS, size=(2, STEPS, batch))
    if options.get("loss") == "mse":
        target = rng.normal(size=(STEPS, batch, TOKENS))
    for _ in range(2):  # the second time in memory that the first has left
        net.zero_grad()
        loss, state = net.loss_and_grad(x, target, num_threads=threads, **options)
    parts = {f"{i}.{n}": g for i, m in enumerate(net.modules) for n, g in m.grad.items()}
    return parts | {"loss": np.array(loss), "state": np.array(state)}


def layer_step(cell: str, batch: int, num_threads: int = 1) -> dict[str, np.ndarray]:
    """Return what a layer that reads numbers makes of a gradient of all that it put out."""
    rng = np.random.default_rng(3)
    layer = LAYERS[cell](FEATURES, UNITS, dtype=np.float64, seed=0)
    output, state = layer(rng.normal(size=(STEPS, batch, FEATURES)), num_threads=num_threads)
    finals = state if isinstance(state, tuple) else (state,)
    grads = [rng.normal(size=final.shape) for final in finals]
    grad_x, grad_state = layer.backward(
        rng.normal(size=output.shape), *grads, num_threads=num_threads
    )
    return dict(layer.grad) | {"x": grad_x, "state": np.array(grad_state)}


def assert_alike(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        assert_within(got[name], value, rounding(np.float64))


@every_number
@pytest.mark.parametrize("case", [training_step, layer_step])
@every_cell
def test_all_gradients_are_those_of_one_group(monkeypatch, cell, case, batch, groups) -> None:
    expected = case(cell, batch)
    in_groups(monkeypatch, groups)
    assert_alike(case(cell, batch), expected)


every_kind_of_loss = pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "mse"},
        {"outputs": "all", "dropout": 0.4, "seed": 5},
        {"class_weight": np.arange(1.0, TOKENS + 1), "reduction": "sum"},
        {"num_layers": 2},
        {"lengths": [7, 3, 7, 1, 5, 7, 7, 2, 6, 7, 4]},
    ],
    ids=str,
)


@every_kind_of_loss
@every_cell
def test_every_kind_of_loss_and_several_layers(monkeypatch, cell, options) -> None:
    expected = training_step(cell, 11, **options)
    in_groups(monkeypatch, 2)
    assert_alike(training_step(cell, 11, **options), expected)


def assert_same_bits(case: Case) -> None:
    """For more threads than groups too: then those of a group share its loops."""
    expected = case(num_threads=1)
    for threads in (2, 3, 4, 7):
        got = case(num_threads=threads)
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value, err_msg=name)


@every_kind_of_loss
@every_cell
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch, cell, options) -> None:
    in_groups(monkeypatch, 2)
    assert_same_bits(partial(training_step, cell, 11, **options))


@every_cell
def test_nor_do_those_of_a_layer_by_itself(monkeypatch, cell) -> None:
    in_groups(monkeypatch, 2)
    assert_same_bits(partial(layer_step, cell, 11))


@every_cell
def test_looking_for_signals_between_steps_changes_no_bit(monkeypatch, cell) -> None:
    in_groups(monkeypatch, 2)
    monkeypatch.setattr(sweep, "CHUNK_ROWS", 1)
    monkeypatch.setattr(sweep, "CHUNK_NUMBERS", 1)
    expected = training_step(cell, 11, num_threads=2)
    # Read-out and loop count 45 and 81 to 324 multiply-adds a row and product.
    monkeypatch.setattr(_threads, "SEGMENT_WORK", 5000)
    got = training_step(cell, 11, num_threads=2)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


@given(
    batch=st.integers(4, 12),
    chunk=st.integers(1, 40),
    block=st.integers(1, 40),
    groups=st.integers(2, 4),
    cell=st.sampled_from(CELLS),
)
def test_chunks_and_blocks_of_any_size(batch, chunk, block, groups, cell) -> None:
    """Blocks of the read-out that end amid a step, too."""
    with pytest.MonkeyPatch.context() as patch:
        in_groups(patch, 1)
        expected = training_step(cell, batch)
        in_groups(patch, groups)
        patch.setattr(sweep, "CHUNK_ROWS", chunk)
        patch.setattr(sweep, "CHUNK_NUMBERS", 1)
        patch.setattr(readout, "_BLOCK_ROWS", block)
        assert_alike(training_step(cell, batch, num_threads=2), expected)


def test_a_step_of_more_rows_than_a_product_takes_at_a_time() -> None:
    """There are 300 sequences in a group, and 256 rows in a block."""
    rng = np.random.default_rng(4)
    net = fastrnn.Network(fastrnn.RNN(TOKENS, 40, seed=0), fastrnn.Linear(40, TOKENS, seed=1))
    x, target = rng.integers(TOKENS, size=(2, 3, 600))
    loss, _ = net.loss_and_grad(x, target, num_threads=2)
    got = {name: grad.copy() for name, grad in net.layer.grad.items()}
    net.zero_grad()
    parts = [net.loss_and_grad(x[:, b : b + 4], target[:, b : b + 4])[0] for b in range(0, 600, 4)]
    assert loss == pytest.approx(np.mean(parts))
    for name, grad in got.items():
        assert_within(grad, net.layer.grad[name] / len(parts), 20 * rounding(np.float32))


def test_two_threads_have_a_group_each() -> None:
    """Then the way back is one loop that they share, however many chunks it has."""
    net = fastrnn.Network(fastrnn.GRU(TOKENS, 128, seed=0), fastrnn.Linear(128, TOKENS, seed=1))
    x, target = np.random.default_rng(5).integers(TOKENS, size=(2, 60, 64))
    helped = []
    for _ in range(30):
        before = _team.helped()
        net.loss_and_grad(x, target, num_threads=2)
        helped.append(_team.helped() - before)
    assert max(helped) <= 3  # on the way there, on the way back, in adding up
    assert max(helped) >= 2  # on a busy machine, not at every step
    kept = net._workspace._arrays
    assert {"grad_readout", "grad_l0"} <= kept.keys()
