"""Layers, directions, lengths, fresh starts and all other options agree with the reference.

Every two values of any two options meet in one of the cases, forward and backward; gradients are
held against central differences of the reference along random directions.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from oracles.options import Combination, all_pairs, pairs
from tolerances import FINITE_DIFFERENCES, assert_within, rounding

import fastrnn
from fastrnn import _reference as reference

LAYERS = {"rnn": fastrnn.RNN, "lstm": fastrnn.LSTM, "gru": fastrnn.GRU}
KINDS = ("tanh", "relu", "sigmoid", "linear", "lstm", "gru")

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
}

SEQ_LEN, BATCH, INPUTS, HIDDEN = 6, 5, 3, 4


def allowed(c: Combination) -> bool:
    if c["input"] == "one_sequence":
        return not c["batch_first"] and c["lengths"] is None
    return True


TABLE = all_pairs(OPTIONS, allowed)


def name_of(c: Combination) -> str:
    return "-".join(str(getattr(value, "__name__", value)) for value in c.values())


class Case:
    """Arguments of a call under some options, as a layer and as the reference takes them."""

    def __init__(self, options: Combination, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.options, dtype = options, options["dtype"]
        kind = options["kind"]
        self.cell = kind if kind in LAYERS else "rnn"
        own = {"nonlinearity": kind} if self.cell == "rnn" else {}
        self.layer = LAYERS[self.cell](
            INPUTS,
            HIDDEN,
            options["num_layers"],
            bias=options["bias"],
            batch_first=options["batch_first"],
            bidirectional=options["bidirectional"],
            dtype=dtype,
            seed=1,
            **own,
        )
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
        self.initial = tuple(
            self.normal(rng, sweeps, self.batch, HIDDEN)
            if options["state"]
            else np.zeros((sweeps, self.batch, HIDDEN), dtype)
            for _ in parts
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
            self.options["kind"],
        )
        initial = tuple(arguments[f"initial_{i}"] for i in range(len(self.initial)))
        x = arguments.get("x", self.x)
        return reference.stack_forward(stack, x, initial, self.lengths, self.reset_mask)

    def loss(self, arguments: dict[str, np.ndarray]) -> float:
        """The sum of what the outputs and final states count, by the reference."""
        output, final = self.reference(arguments)
        values = zip([output, *final], [self.grad_output, *self.grad_final], strict=True)
        return float(sum((value * grad.astype(np.float64)).sum() for value, grad in values))


def test_every_pair_of_options_is_in_the_table() -> None:
    held = set().union(*map(pairs, TABLE))
    for (a, a_values), (b, b_values) in itertools.combinations(OPTIONS.items(), 2):
        for values in itertools.product(a_values, b_values):
            pair = dict(zip((a, b), values, strict=True))
            if allowed({"batch_first": False, "lengths": None, "input": "floats"} | pair):
                assert frozenset(pair.items()) in held


@pytest.mark.parametrize("options", TABLE, ids=name_of)
def test_outputs_and_final_states_are_those_of_the_reference(options: Combination) -> None:
    case = Case(options)
    output, final = case.call()
    expected, expected_final = case.reference(case.arguments())
    bound = rounding(options["dtype"])
    assert_within(output, expected, bound)
    for part, wanted in zip(final, expected_final, strict=True):
        assert_within(part, wanted, bound)


@pytest.mark.parametrize("options", TABLE, ids=name_of)
def test_gradients_are_slopes_of_the_reference(options: Combination) -> None:
    case = Case(options | {"dtype": np.float64})
    case.call()
    grads, arguments = case.backward(), case.arguments()
    assert grads.keys() == arguments.keys()
    rng = np.random.default_rng(7)
    step = 6e-6
    for name, value in arguments.items():
        along = rng.standard_normal(value.shape)
        above = case.loss(arguments | {name: value + step * along})
        below = case.loss(arguments | {name: value - step * along})
        slope = (above - below) / (2 * step)
        got = float((grads[name] * along).sum())
        size = max(1.0, float(np.abs(grads[name] * along).sum()))
        assert abs(got - slope) < 100 * FINITE_DIFFERENCES * size, name
