"""An update, its clipping and the packed copies of the new weights are one sweep, bit for bit."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import optim

CELLS = {
    "rnn": (fastrnn.RNN, {}),
    "gru": (fastrnn.GRU, {}),
    "lstm": (fastrnn.LSTM, {}),
    "jordan": (fastrnn.Jordan, {"output_size": 3}),
    "no bias": (fastrnn.GRU, {"bias": False}),
    "projected": (fastrnn.LSTM, {"proj_size": 5}),
    "normalised": (fastrnn.GRU, {"layer_norm": True}),
    "stacked both ways": (fastrnn.GRU, {"num_layers": 2, "bidirectional": True}),
}
OPTIMIZERS = {
    "sgd": lambda modules: optim.SGD(modules, 0.1),
    "nesterov": lambda modules: optim.SGD(modules, 0.1, 0.9, weight_decay=0.1, nesterov=True),
    "rmsprop": lambda modules: optim.RMSprop(modules, 0.01, momentum=0.5, centered=True),
    "adam": lambda modules: optim.Adam(modules, 0.01, weight_decay=0.1),
    "adamw": lambda modules: optim.AdamW(modules, 0.01),
}


class Problem:
    """A layer and its readout, and what they are called with."""

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 20,
        inputs: int = 7,
        dtype: Any = np.float32,
        ids: bool = True,
    ) -> None:
        kind, options = CELLS[cell]
        self.layer = kind(inputs, hidden_size, dtype=dtype, seed=1, **options)
        self.net = fastrnn.Network(
            self.layer, fastrnn.Linear(self.layer.output_size, 5, dtype=dtype, seed=2)
        )
        rng = np.random.default_rng(3)
        self.x = rng.standard_normal((4, 3, inputs)).astype(dtype)
        if ids:
            self.x = rng.integers(0, inputs, (4, 3))
        self.targets = rng.integers(0, 5, (4, 3))

    def gradients(self) -> float:
        self.net.zero_grad()
        loss, _ = self.net.loss_and_grad(self.x, self.targets)
        return loss

    def after(self) -> list[np.ndarray]:
        """Return all that depends on the packed copies, there and back."""
        loss = self.gradients()
        grads = [module._grad_arena.copy() for module in self.net.modules]
        return [np.array(loss), *grads]

    def weights(self) -> list[np.ndarray]:
        return [module._arena.copy() for module in self.net.modules]


def assert_same_bits(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def copies(module: fastrnn.Module) -> set[str]:
    """Return the names of the copies that a module has of the weights that there are now."""
    version, packed = module._packed_now or (None, [])
    assert version in (None, module._version)
    parts = packed if isinstance(packed, list) else [packed]
    return {name for part in parts for name in vars(part) if not name.startswith("_")}


# Packing


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "vectors"])
@pytest.mark.parametrize("cell", CELLS)
@given(hidden_size=st.integers(1, 50), inputs=st.integers(1, 40))
def test_what_is_packed_in_the_sweep_is_what_is_packed_anew(
    cell: str, ids: bool, dtype: Any, hidden_size: int, inputs: int
) -> None:
    if CELLS[cell][1].get("proj_size", 0) >= hidden_size:
        hidden_size += 5
    problem = Problem(cell, hidden_size, inputs, dtype, ids)
    problem.gradients()
    optim.Adam(problem.net, 0.01).step()
    by_the_sweep = problem.after()
    problem.net.invalidate()
    assert_same_bits(by_the_sweep, problem.after())


@pytest.mark.parametrize(("hidden_size", "inputs"), [(300, 65), (17, 1100), (257, 257), (64, 64)])
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "vectors"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_weights_of_several_blocks_are_packed_whole(cell, ids, hidden_size, inputs) -> None:
    problem = Problem(cell, hidden_size, inputs, ids=ids)
    problem.gradients()
    optim.Adam(problem.net, 0.01).step()
    by_the_sweep = problem.after()
    problem.net.invalidate()
    assert_same_bits(by_the_sweep, problem.after())


@pytest.mark.parametrize("hidden_size", [32, 21])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "vectors"])
def test_nothing_that_training_packs_is_left_to_be_packed_later(
    cell: str, ids: bool, hidden_size: int
) -> None:
    problem = Problem(cell, hidden_size, ids=ids)
    problem.gradients()
    optim.Adam(problem.net).step()
    swept = [copies(module) for module in problem.net.modules]
    problem.gradients()
    assert all(swept)
    assert [copies(module) for module in problem.net.modules] == swept


def test_embeddings_are_followed_by_what_is_made_of_them() -> None:
    embedding = fastrnn.Embedding(9, 7, seed=0)
    problem = Problem()
    problem.net = fastrnn.Network(problem.layer, problem.net.readout, embedding=embedding)
    problem.x = problem.x % 7
    problem.gradients()
    optim.SGD(problem.net, 0.5).step()
    by_the_sweep = problem.after()
    problem.net.invalidate()
    assert_same_bits(by_the_sweep, problem.after())


def test_a_stream_keeps_the_weights_that_it_was_made_with() -> None:
    problem = Problem(hidden_size=32)
    problem.layer.stream()  # has what a stream needs packed, so that the sweep does
    problem.gradients()
    optimizer = optim.Adam(problem.net, 0.5)
    optimizer.step()
    problem.gradients()
    before, after = (problem.layer.stream() for _ in range(2))
    outputs = [before.step(token).copy() for token in (1, 2, 3)]
    for _ in range(3):
        optimizer.step()
        problem.gradients()
    assert_same_bits([after.step(token).copy() for token in (1, 2, 3)], outputs)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "vectors"])
def test_the_memory_of_copies_that_nobody_else_has_is_used_again(cell: str, ids: bool) -> None:
    problem = Problem(cell, 32, ids=ids)
    optimizer, updates = optim.Adam(problem.net, 0.1), []
    for _ in range(4):
        problem.gradients()
        updates.append(optimizer._prepared())
        optimizer._make(updates[-1], None)
    assert updates[0] is updates[2]
    assert updates[1] is updates[3]
    by_the_sweep = problem.after()
    problem.net.invalidate()
    assert_same_bits(by_the_sweep, problem.after())


def test_copies_that_are_made_between_two_updates_are_renewed_too() -> None:
    problem, vectors = Problem(), np.ones((2, 3, 7), np.float32)
    optimizer = optim.Adam(problem.net, 0.1)
    for _ in range(4):
        problem.gradients()
        optimizer.step()
        problem.layer(vectors)
    by_the_sweep = problem.layer(vectors)[0]
    problem.layer.invalidate()
    np.testing.assert_array_equal(by_the_sweep, problem.layer(vectors)[0])


def test_weights_that_are_set_between_two_updates_are_packed_too() -> None:
    problem, rng = Problem(), np.random.default_rng(4)
    optimizer = optim.Adam(problem.net, 0.1)
    for _ in range(3):
        problem.gradients()
        optimizer.step()
    for name in ("weight_hh_l0", "bias_hh_l0"):
        shape = getattr(problem.layer, name).shape
        setattr(problem.layer, name, rng.standard_normal(shape, np.float32))
    problem.gradients()
    optimizer.step()
    by_the_sweep = problem.after()
    problem.net.invalidate()
    assert_same_bits(by_the_sweep, problem.after())


@pytest.mark.parametrize("remake", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_net_and_optimizer_goes_on_by_itself(remake) -> None:
    problem = Problem()
    optimizer = optim.Adam(problem.net, 0.1)
    for _ in range(2):
        problem.gradients()
        optimizer.step()
    other = Problem()
    other.net, theirs = remake((problem.net, optimizer))
    before = problem.weights()
    for _ in range(2):
        other.gradients()
        theirs.step()
    assert_same_bits(before, problem.weights())
    for _ in range(2):
        problem.gradients()
        optimizer.step()
    assert_same_bits(other.weights(), problem.weights())


def test_while_weights_are_updated_a_call_has_the_copies_from_before(monkeypatch) -> None:
    problem = Problem(hidden_size=32)
    optimizer = optim.SGD(problem.net, 0.1)
    for _ in range(3):
        problem.gradients()
        optimizer.step()
    before, (last, spare) = problem.net(problem.x)[0], optimizer._updates

    def amid_the_update(self: Any, step: int) -> Any:
        np.testing.assert_array_equal(problem.net(problem.x)[0], before)
        version, packed = problem.layer._packed_now
        assert version == problem.layer._version
        assert packed is last._packed[0]
        assert optimizer._updates == (spare, last)
        for made in spare._packed[0]:
            for name in copies(problem.layer):
                assert vars(made)[name] is not vars(packed[0])[name]
        return undisturbed(self, step)

    undisturbed = optim.SGD._rule
    monkeypatch.setattr(optim.SGD, "_rule", amid_the_update)
    optimizer.step()
    monkeypatch.undo()
    assert copies(problem.layer)


@pytest.mark.parametrize("change", ["assigned", "loaded"])
def test_weights_that_are_set_while_they_are_updated_leave_no_old_copies(change: str) -> None:
    """By another thread, at any moment of it."""
    problem = Problem("lstm", 400, 65)
    optimizer = optim.SGD(problem.net, 0.0)
    weights, rng = problem.layer.weight_hh_l0.copy(), np.random.default_rng(5)
    for trial in range(60):
        problem.gradients()
        new = weights * np.float32(1 + 0.01 * trial)
        state = problem.layer.state_dict() | {"weight_hh_l0": new}
        other = threading.Thread(target=optimizer.step)
        other.start()
        time.sleep(rng.uniform(0, 0.002))
        if change == "assigned":
            problem.layer.weight_hh_l0 = new
        else:
            problem.layer.load_state_dict(state)
        other.join()
        loss = problem.gradients()
        problem.net.invalidate()
        assert problem.gradients() == loss


def test_a_change_amid_an_update_is_not_taken_for_what_was_packed() -> None:
    problem = Problem()
    problem.gradients()
    optimizer, attributes = optim.SGD(problem.net, 0.1), vars(problem.layer)
    update = optimizer._prepared()

    class Version(int):
        """Another thread changes parameters once the update has looked at it."""

        def __add__(self, other: int) -> int:
            attributes["_version"] = 100
            return int(self) + other

    attributes["_version"] = Version(attributes["_version"])
    optimizer._make(update, None)
    assert attributes["_version"] == 101
    assert attributes["_packed_now"] is None
    assert copies(problem.net.readout)


def test_copies_that_a_call_has_yet_to_take_are_not_used_again() -> None:
    problem = Problem("stacked both ways", 32)
    optimizer = optim.SGD(problem.net, 0.5)
    for _ in range(3):
        problem.gradients()
        optimizer.step()
    problem.gradients()
    packed = problem.layer._packed()  # as a call in another thread has it
    before = packed[1].hh.copy()
    for _ in range(3):
        optimizer.step()
        problem.gradients()
        np.testing.assert_array_equal(packed[1].hh, before)
        assert problem.layer._packed() is not packed


@pytest.mark.parametrize("disturb", ["step before any call", "weights set before a step"])
def test_updates_that_pack_less_than_is_needed_are_not_made_again(disturb: str) -> None:
    problem = Problem()
    optimizer = optim.Adam(problem.net, 0.01)
    if disturb == "step before any call":
        optimizer.step()
    for _ in range(2):
        problem.gradients()
        optimizer.step()
    if disturb == "weights set before a step":
        problem.gradients()
        problem.layer.bias_ih_l0 = problem.layer.bias_ih_l0 * np.float32(0.9)
        optimizer.step()
    made = []
    for _ in range(8):
        problem.gradients()
        optimizer.step()
        made.append(optimizer._updates[0])
    assert len(set(map(id, made[-4:]))) == 2
    assert all(copies(module) for module in problem.net.modules)


# Clipping


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("max_norm", [1e-3, 1e3])
def test_clipping_in_the_sweep_is_clipping_before_it(optimizer: str, max_norm: float) -> None:
    one, other = Problem(), Problem()
    in_one, apart = (OPTIMIZERS[optimizer](problem.net) for problem in (one, other))
    for _ in range(3):
        one.gradients(), other.gradients()
        before = [module._grad_arena.copy() for module in one.net.modules]
        norm = in_one.step(max_norm=max_norm)
        assert norm == optim.clip_grad_norm(other.net, max_norm)
        apart.step()
        assert_same_bits(before, [module._grad_arena for module in one.net.modules])
    assert_same_bits(one.weights(), other.weights())


def test_a_step_without_a_norm_returns_none() -> None:
    problem = Problem()
    problem.gradients()
    assert optim.Adam(problem.net).step() is None


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
def test_a_norm_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="max_norm must be"):
        optim.Adam(Problem().net).step(max_norm=wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_without_a_norm_leave_everything_as_it_was(value: float) -> None:
    problem = Problem()
    problem.gradients()
    optimizer, before = optim.Adam(problem.net), problem.weights()
    problem.net.readout.grad["bias"][1] = value
    with pytest.raises(FloatingPointError, match="norm of the gradients"):
        optimizer.step(max_norm=1.0)
    assert_same_bits(before, problem.weights())
    assert optimizer.steps == 0
    assert not any(array.any() for array in optimizer.state_dict()["state"].values())


# The parameters from before


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_parameters_from_before_are_kept(optimizer: str) -> None:
    problem = Problem()
    problem.gradients()
    before = problem.weights()
    previous = [np.full_like(weights, 7) for weights in before]
    updates = OPTIMIZERS[optimizer](problem.net)
    update = updates._prepared(previous)
    assert not update.sweep.done
    updates._make(update, None)
    assert update.sweep.done
    assert update.sweep.finite
    assert_same_bits(previous, before)
    assert not np.array_equal(problem.weights()[0], before[0])


@pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l0"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_whether_parameters_are_finite_is_looked_at_one_by_one(name: str, value: float) -> None:
    """Squares of 3e38 have no finite sum."""
    problem = Problem()
    problem.gradients()
    problem.layer.grad[name].ravel()[-1] = value
    updates = optim.SGD(problem.net, 1.0)
    update = updates._prepared(problem.weights())
    updates._make(update, None)
    assert update.sweep.finite == bool(np.isfinite(value))


def test_a_part_that_is_not_finite_is_not_forgotten_for_a_later_one_that_is() -> None:
    problem = Problem()
    problem.gradients()
    problem.layer.grad["bias_ih_l0"][0] = np.nan  # biases are updated before weights
    problem.layer.grad["weight_hh_l0"][0, 0] = 3e38
    updates = optim.SGD(problem.net, 1.0)
    update = updates._prepared(problem.weights())
    updates._make(update, None)
    assert not update.sweep.finite


# Threads


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", ["gru", "stacked both ways", "projected"])
def test_the_bits_do_not_depend_on_threads(optimizer: str, cell: str) -> None:
    results = []
    for threads in (1, 2, 3):
        fastrnn.set_num_threads(threads)
        try:
            problem = Problem(cell, 200, 70)
            updates = OPTIMIZERS[optimizer](problem.net)
            for _ in range(3):
                problem.gradients()
                norm = updates.step(max_norm=1.0)
        finally:
            fastrnn.set_num_threads(None)
        results.append([*problem.weights(), np.array(norm), *problem.after()])
    assert_same_bits(results[0], results[1])
    assert_same_bits(results[0], results[2])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("always_split")
def test_means_that_fade_become_zero_and_not_subnormal_on_every_thread(threads: int) -> None:
    """Whatever the caller's own mode: a worker's would be another."""
    fastrnn.set_num_threads(threads)
    try:
        problem = Problem(hidden_size=200)
        optimizer = optim.Adam(problem.net)
        for module in problem.net.modules:
            module._grad_arena[...] = 1e-20
        optimizer.step(max_norm=1e30)
    finally:
        fastrnn.set_num_threads(None)
    means = optimizer.state_dict()["state"]
    assert all(means[f"exp_avg.{i}"].all() for i in range(2))
    assert not any(means[f"exp_avg_sq.{i}"].any() for i in range(2))
