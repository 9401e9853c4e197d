"""A state that is not in its cell's form is refused, and the message says which part and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.implementations import LAYERS, STATES, by_name

import fastrnn

F32 = np.float32
BAD = np.zeros((1, 2, 5), F32)
GOOD = np.zeros((1, 2, 4), F32)


def layer(cell: str) -> Any:
    return LAYERS[cell](3, 4, seed=0)


def network(cell: str) -> fastrnn.Network:
    return fastrnn.Network(layer(cell), fastrnn.Linear(4, 2, seed=1))


X, TARGET = np.zeros((5, 2, 3), F32), np.zeros((5, 2), int)

# Every way by which a state comes in.
ENTRANCES: dict[str, Callable[[str, Any], Any]] = {
    "layer": lambda cell, state: layer(cell)(X, state),
    "evaluated layer": lambda cell, state: layer(cell).eval()(X, state),
    "stream": lambda cell, state: layer(cell).stream(batch_size=2).reset(state),
    "network": lambda cell, state: network(cell)(X, state),
    "loss": lambda cell, state: network(cell).loss(X, TARGET, state),
    "loss_and_grad": lambda cell, state: network(cell).loss_and_grad(X, TARGET, state),
}


def called(enter: Any, name: str) -> str:
    """What the entrance calls a state's only part."""
    return "state" if enter is ENTRANCES["stream"] else name


every_entrance = pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES)

# A part that does not fit, whichever it is.
PARTS = [
    (np.zeros((2, 4), F32), ValueError, r"{} has shape \(2, 4\), expected \(1, 2, 4\)"),
    (np.zeros((1, 2, 5), F32), ValueError, r"{} has shape \(1, 2, 5\), expected \(1, 2, 4\)"),
    (np.zeros((1, 3, 4), F32), ValueError, r"{} has shape \(1, 3, 4\), expected \(1, 2, 4\)"),
    (np.zeros((2, 2, 4), F32), ValueError, r"{} has shape \(2, 2, 4\), expected \(1, 2, 4\)"),
    (np.zeros((1, 2, 4), np.float64), TypeError, "{} has dtype float64, expected float32"),
    (np.zeros((1, 2, 4), np.int32), TypeError, "{} has dtype int32, expected float32"),
    (np.zeros((1, 2, 4), bool), TypeError, "{} has dtype bool, expected float32"),
    ("a state", TypeError, "{} must hold numbers"),
    ([[1.0], [2.0, 3.0]], ValueError, "{} cannot be read as an array"),
]


@every_entrance
@pytest.mark.parametrize(("part", "error", "message"), PARTS)
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_single_state_that_does_not_fit_is_refused(
    cell: str, part: Any, error: type[Exception], message: str, enter: Any
) -> None:
    with pytest.raises(error, match=message.format(called(enter, "h_0"))):
        enter(cell, part)


@every_entrance
@pytest.mark.parametrize(("part", "error", "message"), PARTS)
@pytest.mark.parametrize("name", ["h_0", "c_0"])
def test_either_part_of_a_pair_that_does_not_fit_is_refused_by_name(
    name: str, part: Any, error: type[Exception], message: str, enter: Any
) -> None:
    with pytest.raises(error, match=message.format(name)):
        enter("lstm", (part, GOOD) if name == "h_0" else (GOOD, part))


@every_entrance
@pytest.mark.parametrize("state", [(GOOD,), (GOOD, GOOD), ()], ids=len)
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_tuple_is_no_single_state(cell: str, state: Any, enter: Any) -> None:
    message = rf"{called(enter, 'h_0')} must be one array, got a tuple of {len(state)}"
    with pytest.raises(TypeError, match=message):
        enter(cell, state)


@every_entrance
@pytest.mark.parametrize(
    "state",
    [GOOD, np.stack([GOOD, GOOD]), GOOD[0], (GOOD,), (GOOD, GOOD, GOOD), (), 0, "hc"],
    ids=["array", "stacked", "plane", "one", "three", "none", "number", "text"],
)
def test_what_is_not_two_arrays_is_no_pair(state: Any, enter: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a tuple \(h_0, c_0\), got "):
        enter("lstm", state)


@every_entrance
@pytest.mark.parametrize("state", [(None, GOOD), (GOOD, None), (None, None)])
def test_half_a_pair_is_refused(state: Any, enter: Any) -> None:
    with pytest.raises(TypeError, match=r"[hc]_0 must hold numbers, got None"):
        enter("lstm", state)


@pytest.mark.parametrize("cell", LAYERS)
def test_an_unbatched_sequence_takes_an_unbatched_state(cell: str) -> None:
    states = {name: np.zeros((1, 1, 4), F32) for name in STATES[cell]}
    state = tuple(states.values()) if cell == "lstm" else states["h"]
    with pytest.raises(ValueError, match=r"h_0 has shape \(1, 1, 4\), expected \(1, 4\)"):
        layer(cell)(X[:, 0], state)


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ({}, ValueError, "grad_output, grad_h_n and grad_c_n are all None, expected at least one"),
        ({"grad_h_n": BAD}, ValueError, r"grad_h_n has shape \(1, 2, 5\), expected \(1, 2, 4\)"),
        ({"grad_c_n": BAD}, ValueError, r"grad_c_n has shape \(1, 2, 5\), expected \(1, 2, 4\)"),
        ({"grad_c_n": GOOD[0]}, ValueError, r"grad_c_n has shape \(2, 4\), expected"),
        ({"grad_c_n": np.zeros((1, 2, 4))}, TypeError, "grad_c_n has dtype float64, expected"),
        ({"grad_h_n": (GOOD, GOOD)}, ValueError, r"grad_h_n has shape \(2, 1, 2, 4\), expected"),
    ],
)
def test_a_gradient_of_a_pair_that_does_not_fit_is_refused_by_name(
    gradients: Any, error: type[Exception], message: str
) -> None:
    lstm = layer("lstm")
    lstm(X)
    with pytest.raises(error, match=message):
        lstm.backward(**gradients)
    assert all(not gradient.any() for gradient in lstm.grad.values())


@pytest.mark.parametrize("cell", LAYERS)
def test_a_refused_state_leaves_a_stream_as_it_was(cell: str) -> None:
    stream = layer(cell).stream(batch_size=2)
    stream.step(np.ones((2, 3), F32))
    before = by_name(cell, stream.state, "{}")
    with pytest.raises(ValueError, match=r"has shape \(1, 2, 5\), expected \(1, 2, 4\)"):
        stream.reset((GOOD, BAD) if cell == "lstm" else BAD)
    for name, value in by_name(cell, stream.state, "{}").items():
        np.testing.assert_array_equal(value, before[name])


def test_a_pair_may_be_a_list() -> None:
    pair = [np.ones((1, 2, 4), F32), np.full((1, 2, 4), 2, F32)]
    expected, _ = layer("lstm")(X, tuple(pair))
    np.testing.assert_array_equal(layer("lstm")(X, pair)[0], expected)


def test_the_parts_of_a_pair_are_not_interchangeable() -> None:
    one, two = np.ones((1, 2, 4), F32), np.full((1, 2, 4), 2, F32)
    outputs = [layer("lstm")(X, pair)[0] for pair in ((one, two), (two, one))]
    assert not np.array_equal(*outputs)
