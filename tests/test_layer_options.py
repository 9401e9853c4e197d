"""Layers, directions, lengths, fresh starts and all other options agree with the reference.

Every two values of any two options meet in one of the cases, forward and backward; gradients are
held against central differences of the reference along random directions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.options import Combination, all_pairs, pairs
from oracles.sweeps import split_small_problems
from tolerances import FINITE_DIFFERENCES, assert_within, rounding

import fastrnn
from fastrnn import _reference as reference
from fastrnn.layers.composed import dropped_out

LAYERS = {"rnn": fastrnn.RNN, "lstm": fastrnn.LSTM, "gru": fastrnn.GRU}
# An Elman cell is named by its nonlinearity, a Jordan cell by both of its.
JORDAN = {"jordan_tanh_linear", "jordan_sigmoid_tanh", "jordan_linear_sigmoid", "jordan_tanh_relu"}
KINDS = ("tanh", "relu", "sigmoid", "linear", "lstm", "gru", *sorted(JORDAN))

OPTIONS: dict[str, tuple[Any, ...]] = {
    "kind": KINDS,
    "num_layers": (1, 2, 3),
    "bidirectional": (False, True),
    "bias": (True, False),
    "batch_first": (False, True),
    "lengths": (None, "unsorted", "with_zero", "list"),
    "reset_mask": (None, "some", "all", "none"),
    "input": ("floats", "ids", "one_sequence"),
    "state": (True, False),
    "dtype": (np.float64, np.float32),
    "num_threads": (1, 3),
    "dropout": (0.0, 0.4),
    "recurrent_dropout": (0.0, 0.3),
    "layer_norm": (False, True),
    "proj_size": (0, 2),
    "init": ("uniform", "glorot", "orthogonal", "identity"),
}

SEQ_LEN, BATCH, INPUTS, HIDDEN, CONTEXT = 6, 5, 3, 4, 2


def allowed(c: Combination) -> bool:
    return (
        (c["input"] != "one_sequence" or (not c["batch_first"] and c["lengths"] is None))
        and (c["dropout"] == 0 or c["num_layers"] > 1)
        and (c["proj_size"] == 0 or c["kind"] == "lstm")
        and (c["kind"] not in JORDAN or (c["num_layers"] == 1 and not c["bidirectional"]))
        # Without biases, a ReLU of nothing but dropped inputs stands at its kink.
        and ("relu" not in c["kind"] or c["bias"] or c["dropout"] == c["recurrent_dropout"] == 0)
    )


# What all other options can be combined with.
SIMPLE = {name: values[0] for name, values in OPTIONS.items()} | {"kind": "lstm", "num_layers": 2}

TABLE = all_pairs(OPTIONS, allowed)


def name_of(c: Combination) -> str:
    return "-".join(str(getattr(value, "__name__", value)) for value in c.values())


def make_layer(options: Combination) -> Any:
    kind = options["kind"]
    given = {"dtype": options["dtype"], "seed": 1} | {
        name: options[name]
        for name in ("bias", "batch_first", "recurrent_dropout", "layer_norm", "init")
    }
    if kind in JORDAN:
        _, given["nonlinearity"], given["output"] = kind.split("_")
        return fastrnn.Jordan(INPUTS, HIDDEN, CONTEXT, **given)
    given |= {name: options[name] for name in ("num_layers", "bidirectional", "dropout")}
    if kind == "lstm":
        given["proj_size"] = options["proj_size"]
    elif kind != "gru":
        given["nonlinearity"] = kind
    return LAYERS.get(kind, fastrnn.RNN)(INPUTS, HIDDEN, **given)


class Case:
    """Arguments of a call under some options, as a layer and as the reference takes them."""

    def __init__(self, options: Combination, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.options, dtype = options, options["dtype"]
        kind = options["kind"]
        self.cell = kind if kind in LAYERS else "rnn"
        self.layer = make_layer(options)
        for name, value in self.layer.state_dict().items():
            if "_norm_" in name or name.startswith("bias"):  # not what they begin as
                setattr(self.layer, name, value + 0.3 * self.normal(rng, *value.shape))
        self.batch = 1 if options["input"] == "one_sequence" else BATCH
        shape = (SEQ_LEN, self.batch)
        is_ids = options["input"] == "ids"
        self.x = rng.integers(INPUTS, size=shape) if is_ids else self.normal(rng, *shape, INPUTS)
        self.lengths = {
            None: None,
            "unsorted": np.array([2, 6, 1, 4, 4]),
            "with_zero": np.array([0, 5, 3, 0, 6]),
            "list": np.array([3, 1, 6, 2, 2]),
        }[options["lengths"]]
        self.reset_mask = {
            None: None,
            "some": rng.random(shape) < 0.3,
            "all": np.ones(shape, bool),
            "none": np.zeros(shape, bool),
        }[options["reset_mask"]]
        sweeps = options["num_layers"] * (1 + options["bidirectional"])
        parts = ("h", "c") if self.cell == "lstm" else ("h",)
        shapes = [(sweeps, self.batch, size) for size in self.layer.state_sizes]
        assert len(shapes) == len(parts)
        self.initial = tuple(
            self.normal(rng, *shape) if options["state"] else np.zeros(shape, dtype)
            for shape in shapes
        )
        self.grad_output = self.normal(rng, *shape, self.layer.output_size)
        self.grad_final = tuple(self.normal(rng, *part.shape) for part in self.initial)

    def normal(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(self.options["dtype"])

    def as_given(self, array: np.ndarray) -> Any:
        """An array over all steps in the form in which the layer is called."""
        if self.options["lengths"] == "list":
            assert self.lengths is not None
            return [array[:n, b].copy() for b, n in enumerate(self.lengths)]
        if self.options["input"] == "one_sequence":
            return array[:, 0]
        return array.swapaxes(0, 1) if self.options["batch_first"] else array

    def of_state(self, parts: tuple[np.ndarray, ...]) -> Any:
        if self.options["input"] == "one_sequence":
            parts = tuple(part[:, 0] for part in parts)
        return parts if len(parts) > 1 else parts[0]

    def mask_as_given(self) -> Any:
        if self.reset_mask is None or self.options["lengths"] != "list":
            return None if self.reset_mask is None else self.as_given(self.reset_mask)
        return self.reset_mask.swapaxes(0, 1) if self.options["batch_first"] else self.reset_mask

    def call(self) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Output (T, B, D * H) and the final state's parts of the layer."""
        output, state = self.layer(
            self.as_given(self.x),
            self.of_state(self.initial) if self.options["state"] else None,
            lengths=None if self.options["lengths"] == "list" else self.lengths,
            reset_mask=self.mask_as_given(),
            num_threads=self.options["num_threads"],
        )
        return self.plain(output), self.plain_state(state)

    def plain(self, output: Any) -> np.ndarray:
        """What the layer returned over all steps, as (T, B, ...)."""
        if self.options["lengths"] == "list":
            whole = np.zeros((SEQ_LEN, self.batch, *output[0].shape[1:]), output[0].dtype)
            for b, array in enumerate(output):
                whole[: len(array), b] = array
            return whole
        if self.options["input"] == "one_sequence":
            return np.array(output)[:, None]
        return np.array(output.swapaxes(0, 1) if self.options["batch_first"] else output)

    def plain_state(self, state: Any) -> tuple[np.ndarray, ...]:
        parts = state if isinstance(state, tuple) else (state,)
        return tuple(p[:, None] if self.options["input"] == "one_sequence" else p for p in parts)

    def backward(self) -> dict[str, np.ndarray]:
        """Gradients of x (unless it is ids), of the initial state's parts and of all parameters."""
        grads = [self.of_state((grad,)) for grad in self.grad_final]
        grad_x, grad_state = self.layer.backward(self.as_given(self.grad_output), *grads)
        results = {} if grad_x is None else {"x": self.plain(grad_x)}
        parts = self.plain_state(grad_state)
        results |= {f"initial_{i}": part for i, part in enumerate(parts)}
        return results | {name: np.array(grad) for name, grad in self.layer.grad.items()}

    def arguments(self) -> dict[str, np.ndarray]:
        """What the gradients are of, under their names, in float64."""
        named = {} if self.options["input"] == "ids" else {"x": self.x}
        named |= {f"initial_{i}": part for i, part in enumerate(self.initial)}
        named |= self.layer.state_dict()
        return {name: np.asarray(array, np.float64) for name, array in named.items()}

    def reference(self, arguments: dict[str, np.ndarray]) -> tuple[Any, Any]:
        stack = reference.Stack(
            self.cell,
            {n: a for n, a in arguments.items() if n.startswith(("weight", "bias"))},
            self.options["num_layers"],
            self.options["bidirectional"],
            getattr(self.layer, "nonlinearity", ""),
            self.options["layer_norm"],
            getattr(self.layer, "output", "linear"),
            dropped=self.dropped(),
            masks=self.masks(),
        )
        initial = tuple(arguments[f"initial_{i}"] for i in range(len(self.initial)))
        x = arguments.get("x", self.x)
        return reference.stack_forward(stack, x, initial, self.lengths, self.reset_mask)

    def dropped(self) -> dict[int, np.ndarray]:
        """What the last call multiplied each layer's inputs with."""
        run, share = self.layer._kept(), self.options["dropout"]
        if share == 0:
            return {}
        directions = 1 + self.options["bidirectional"]
        ones = np.ones((run.rows.count, self.layer.output_size))
        return {
            k: run.rows.spread(dropped_out(ones, share, run.seed, 2 * k * directions + 1))
            for k in range(1, self.options["num_layers"])
        }

    def masks(self) -> dict[str, np.ndarray]:
        """What the last call multiplied the states of each sequence with."""
        share = self.options["recurrent_dropout"]
        if share == 0:
            return {}
        ones = np.ones((self.batch, self.layer.state_sizes[0]))
        seed = self.layer._kept().seed
        return {
            sweep.suffix: dropped_out(ones, share, seed, 2 * k + 2)
            for k, sweep in enumerate(self.layer._sweeps)
        }

    def loss(self, arguments: dict[str, np.ndarray]) -> float:
        """The sum of what the outputs and final states count, by the reference."""
        output, final = self.reference(arguments)
        values = zip([output, *final], [self.grad_output, *self.grad_final], strict=True)
        return float(sum((value * grad.astype(np.float64)).sum() for value, grad in values))


def slope_at_zero(f: Callable[[float], float], layer_norm: bool) -> float:
    """The derivative by five points, of which the first error is the fifth derivative's.

    A normalised row of zeros bends within 0.003, the root of what is added to its variance, and
    each step and layer of these multiplies slopes by 300.
    """
    step = 1e-7 if layer_norm else 6e-6
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def test_every_pair_of_options_is_in_the_table() -> None:
    held = set().union(*map(pairs, TABLE))
    for (a, a_values), (b, b_values) in itertools.combinations(OPTIONS.items(), 2):
        for values in itertools.product(a_values, b_values):
            pair = dict(zip((a, b), values, strict=True))
            if allowed(SIMPLE | pair) or allowed(SIMPLE | {"num_layers": 1} | pair):
                assert frozenset(pair.items()) in held


@split_small_problems
@pytest.mark.parametrize("options", TABLE, ids=name_of)
def test_outputs_and_final_states_are_those_of_the_reference(options: Combination) -> None:
    case = Case(options)
    output, final = case.call()
    expected, expected_final = case.reference(case.arguments())
    bound, scale = rounding(options["dtype"]), scale_of(case)
    assert_within(output, expected, bound, scale)
    for part, wanted in zip(final, expected_final, strict=True):
        assert_within(part, wanted, bound, scale)


def scale_of(case: Case) -> float:
    """How far a rounding of each argument moves the outputs, in units of that rounding.

    A normalised row multiplies it by up to 300, where its numbers happen to be nearly equal.
    """
    if not case.options["layer_norm"]:
        return 1.0
    rng, eps = np.random.default_rng(5), 2.0**-40
    arguments = case.arguments()
    moved = {
        name: value * (1 + eps * rng.choice([-1, 1], value.shape))
        for name, value in arguments.items()
    }
    pairs = zip(case.reference(arguments)[:1], case.reference(moved)[:1], strict=True)
    return max(1.0, *(float(np.abs(a - b).max()) / eps for a, b in pairs))


@split_small_problems
@pytest.mark.parametrize("options", TABLE, ids=name_of)
def test_gradients_are_slopes_of_the_reference(options: Combination) -> None:
    case = Case(options | {"dtype": np.float64})
    case.call()
    grads, arguments = case.backward(), case.arguments()
    assert grads.keys() == arguments.keys()
    rng = np.random.default_rng(7)
    for name, value in arguments.items():
        along = rng.standard_normal(value.shape)

        def loss(
            s: float, name: str = name, at: np.ndarray = value, to: np.ndarray = along
        ) -> float:
            return case.loss(arguments | {name: at + s * to})

        slope = slope_at_zero(loss, options["layer_norm"])
        got = float((grads[name] * along).sum())
        size = max(1.0, float(np.abs(grads[name] * along).sum()))
        assert abs(got - slope) < 100 * FINITE_DIFFERENCES * size, name


@pytest.mark.parametrize("is_list", [False, True], ids=["padded", "list"])
@pytest.mark.parametrize("kind", KINDS)
def test_as_many_steps_are_computed_as_the_sequences_have(kind: str, is_list: bool) -> None:
    case = Case(SIMPLE | {"kind": kind, "num_layers": 1 if kind in JORDAN else 2})
    lengths = [1, SEQ_LEN, 0, 2, 1]
    if is_list:
        case.layer([case.x[:n, b] for b, n in enumerate(lengths)])
    else:
        case.layer(case.x, lengths=lengths)
    assert case.layer._kept().rows.count == sum(lengths)


@split_small_problems
@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
@pytest.mark.parametrize("lengths", [(90, 61, 2), (90, 45), (33, 33, 33)], ids=str)
def test_threads_may_be_at_different_blocks_of_projections(kind: str, lengths: Any) -> None:
    """Of fewer than four sequences, projections of many steps are computed at once."""
    layer = LAYERS.get(kind, fastrnn.RNN)(64, 64, seed=0).eval()
    x = np.random.default_rng(0).standard_normal((90, len(lengths), 64), dtype=np.float32)
    expected, _ = layer(x, lengths=lengths, num_threads=1)
    for num_threads in (2, 3):
        for _ in range(5):
            output, _ = layer(x, lengths=lengths, num_threads=num_threads)
            np.testing.assert_array_equal(output, expected)


def test_sequences_without_steps_end_in_what_they_begin_with() -> None:
    layer = fastrnn.LSTM(3, 4, 2, bidirectional=True, seed=0)
    empty = [np.zeros((0, 3), np.float32)] * 2
    initial = tuple(np.full((4, 2, 4), value, np.float32) for value in (0.5, 0.25))
    output, final = layer(empty, initial)
    assert [one.shape for one in output] == [(0, 8), (0, 8)]
    grad_x, grads = layer.backward(output, *initial)
    assert [one.shape for one in grad_x] == [(0, 3), (0, 3)]
    for given, ended, grad in zip(initial, final, grads, strict=True):
        np.testing.assert_array_equal(ended, given)
        np.testing.assert_array_equal(grad, given)
    assert all((grad == 0).all() for grad in layer.grad.values())


def test_ids_that_are_not_read_need_be_no_ids() -> None:
    layer = fastrnn.GRU(5, 4, seed=0)
    wanted, _ = layer([[1, 2], [3, 0]], lengths=[2, 1])
    got, _ = layer([[1, 2], [3, -1]], lengths=[2, 1])
    np.testing.assert_array_equal(got, wanted)
    with pytest.raises(ValueError, match="x must hold ids from 0 to 4, got -1"):
        layer([[1, 2], [3, -1]], lengths=[2, 2])


def test_ids_that_are_changed_after_a_call_are_not_read_again() -> None:
    layer, ids = fastrnn.GRU(5, 4, seed=0), np.array([[1], [2]])
    output, _ = layer(ids)
    ids[...] = 2**62
    layer.backward(np.ones_like(output))
    assert np.flatnonzero(np.abs(layer.grad["weight_ih_l0"]).sum(axis=0)).tolist() == [1, 2]


def test_lists_may_mix_integer_types() -> None:
    layer = fastrnn.RNN(5, 4, seed=0)
    outputs, _ = layer([np.array([1, 2], np.uint64), np.array([3], np.int8)])
    expected, _ = layer(np.array([1, 2]))
    np.testing.assert_array_equal(outputs[0], expected)


@pytest.mark.parametrize(
    "layer",
    [
        fastrnn.LSTM(64, 128, layer_norm=True, seed=0),
        fastrnn.GRU(64, 128, recurrent_dropout=0.5, seed=0),
        fastrnn.LSTM(64, 128, proj_size=100, seed=0),
    ],
    ids=["layer_norm", "recurrent_dropout", "projection"],
)
def test_nothing_is_kept_for_the_way_back_where_there_is_none(layer: Any) -> None:
    x = np.zeros((500, 8, 64), np.float32)
    sizes = []
    for keep in (False, True):
        run = layer._forward(x, None, None, keep=keep, seed=1 if keep else None)
        _, more, _ = run.sweeps[0].more or (None, {}, None)
        arrays = [run.sweeps[0].h, *more.values()]
        of_steps = [a for a in arrays if isinstance(a, np.ndarray) and len(a) >= 500]
        sizes.append(sum(a.nbytes for a in of_steps if a is not run.sweeps[0].x))
    states = 500 * 8 * 128 * 4
    assert sizes[0] < 2.5 * states < sizes[1]


def test_what_drops_out_in_one_place_does_not_in_the_next_step_of_another() -> None:
    ones = np.ones((1, 4096), np.float32)
    masks = [dropped_out(ones, 0.5, seed, place)[0] for seed in range(4) for place in range(5)]
    for one, other in itertools.combinations(masks, 2):
        assert 0.4 < float((one == other).mean()) < 0.6


def test_a_trace_follows_a_normalised_layer() -> None:
    layer = fastrnn.RNN(3, 4, layer_norm=True, seed=0)
    trace = layer.trace(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))
    for step in trace:
        np.testing.assert_allclose(np.tanh(step.pre_activation), step.state, atol=1e-6)


def test_what_an_option_was_is_shown_unless_it_is_as_usual() -> None:
    shown = repr(fastrnn.LSTM(3, 4, 2, proj_size=2, forget_bias=0.0, dropout=0.5, seed=0))
    assert shown == (
        "LSTM(3, 4, proj_size=2, forget_bias=0.0, num_layers=2, dropout=0.5, dtype=float32)"
    )
    assert repr(fastrnn.LSTM(3, 4)) == "LSTM(3, 4, dtype=float32)"
