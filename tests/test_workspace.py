"""Memory is kept between training steps, and no result lives in it."""

from __future__ import annotations

import copy
import pickle
import resource

import numpy as np
import pytest
from oracles.implementations import CELLS, LAYERS

import fastrnn
from fastrnn.layers.workspace import Workspace

every_cell = pytest.mark.parametrize("cell", CELLS)


def network(cell: str, hidden: int = 24) -> fastrnn.Network:
    return fastrnn.Network(LAYERS[cell](5, hidden, seed=0), fastrnn.Linear(hidden, 5, seed=1))


def text(seed: int, seq_len: int = 30, batch: int = 6) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(seed).integers(0, 5, (seq_len + 1, batch))
    return ids[:-1], ids[1:]


@every_cell
def test_a_result_is_not_overwritten_by_the_next_step(cell: str) -> None:
    net = network(cell)
    _, state = net.loss_and_grad(*text(0))
    before = copy.deepcopy(state)
    net.loss_and_grad(*text(1), state)
    for got, wanted in zip(np.atleast_1d(state), np.atleast_1d(before), strict=True):
        np.testing.assert_array_equal(got, wanted)


@every_cell
def test_steps_of_changing_sizes_equal_those_of_a_new_network(cell: str) -> None:
    net = network(cell)
    for seed, seq_len, batch in ((0, 30, 6), (1, 7, 6), (2, 30, 2), (3, 30, 6)):
        net.zero_grad()
        fresh = network(cell)
        batch_ids = text(seed, seq_len, batch)
        assert net.loss_and_grad(*batch_ids)[0] == fresh.loss_and_grad(*batch_ids)[0]
        for name, grad in net.layer.grad.items():
            np.testing.assert_array_equal(grad, fresh.layer.grad[name])


def test_what_is_taken_is_nobody_elses_until_it_is_given_back() -> None:
    workspace = Workspace()
    first = workspace.take("h", (4, 3), np.dtype(np.float32))
    second = workspace.take("h", (4, 3), np.dtype(np.float32))
    assert not np.shares_memory(first, second)
    workspace.give("h", second)
    assert workspace.take("h", (4, 3), np.dtype(np.float64)).dtype == np.float64
    workspace.give("h", second)
    assert workspace.take("h", (4, 3), np.dtype(np.float32)) is second


def test_copies_and_pickles_do_not_carry_it() -> None:
    net = network("gru", 64)
    size = len(pickle.dumps(net))
    net.loss_and_grad(*text(0, 200, 16))
    assert len(pickle.dumps(net)) == size
    assert copy.deepcopy(net).loss_and_grad(*text(0))[0] == net.loss_and_grad(*text(0))[0]


def test_training_does_not_fetch_new_pages_at_every_step() -> None:
    net, ids = network("rnn", 128), text(0, 50, 32)
    for _ in range(3):
        net.loss_and_grad(*ids, num_threads=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        net.loss_and_grad(*ids, num_threads=1)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    # The states alone, 0.8 MB, are 200 pages.
    assert faults < 20 * 100
