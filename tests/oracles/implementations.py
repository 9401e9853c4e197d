"""The reference and the compiled library behind one signature, so that a test can name either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fastrnn
from fastrnn import _reference as reference
from fastrnn.layers import Recurrent

Arrays = dict[str, np.ndarray]
Sizes = tuple[int, int, int, int]

# How many blocks of hidden_size rows the parameters of a cell hold.
GATES = {"rnn": 1, "lstm": 4, "gru": 3}

LAYERS: dict[str, type[Recurrent]] = {
    "rnn": fastrnn.RNN,
    "lstm": fastrnn.LSTM,
    "gru": fastrnn.GRU,
}
CELLS = tuple(LAYERS)
GATED_CELLS = ("lstm", "gru")

# A kind is an Elman cell named by its nonlinearity, or a cell with gates named as it is.
NONLINEARITIES = ("tanh", "relu", "sigmoid", "linear")
KINDS = (*NONLINEARITIES, *GATED_CELLS)

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
STATES = {"rnn": ("h",), "lstm": ("h", "c"), "gru": ("h",)}


@dataclass
class Case:
    """One forward and backward pass: weights are named as in a state dict."""

    kind: str
    weights: Arrays
    x: np.ndarray
    h_0: np.ndarray | None = None
    c_0: np.ndarray | None = None
    grad_output: np.ndarray | None = None
    grad_h_n: np.ndarray | None = None
    grad_c_n: np.ndarray | None = None

    @property
    def cell(self) -> str:
        return "rnn" if self.kind in NONLINEARITIES else self.kind

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.weights["weight_ih_l0"].dtype

    @property
    def hidden_size(self) -> int:
        return self.weights["weight_hh_l0"].shape[1]

    @property
    def ids(self) -> bool:
        return self.x.dtype.kind in "iu"

    @property
    def arrays(self) -> Arrays:
        """Everything that a call or a backward pass is given, by name."""
        names = ("x", "h_0", "c_0", "grad_output", "grad_h_n", "grad_c_n")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Case:
        """The case with ``change`` applied to everything that it gives."""
        return replace(self, **{name: change(value) for name, value in self.arrays.items()})

    @property
    def state(self) -> Any:
        """The initial state as a layer takes it: an array, a tuple of two, or None."""
        return None if self.h_0 is None else in_layer_form(self.cell, self.arrays, "{}_0")

    @property
    def plain_state(self) -> Arrays:
        """The initial state as the reference takes it, or the zeros it stands for, (B, H) each."""
        zero = np.zeros((self.x.shape[1], self.hidden_size), self.dtype)
        names = [f"{state}_0" for state in STATES[self.cell]]
        return {name: self.arrays[name][0] if name in self.arrays else zero for name in names}

    @property
    def plain_weights(self) -> Arrays:
        """The weights as the reference names them."""
        return {name: self.weights[f"{name}_l0"] for name in WEIGHTS}


def in_layer_form(cell: str, arrays: Arrays, pattern: str) -> Any:
    """The state whose parts ``arrays`` holds by name: an array, or for an LSTM a tuple of two."""
    parts = tuple(arrays[pattern.format(state)] for state in STATES[cell])
    return parts if cell == "lstm" else parts[0]


def by_name(cell: str, state: Any, pattern: str) -> Arrays:
    """The parts of a state in a layer's form, copied, as ``h_n`` and ``c_n`` for ``"{}_n"``."""
    if cell == "lstm":
        assert isinstance(state, tuple)
    else:
        state = (state,)
    assert all(type(part) is np.ndarray for part in state)
    names = [pattern.format(name) for name in STATES[cell]]
    return {name: np.array(part) for name, part in zip(names, state, strict=True)}


def make_case(
    seed: int,
    sizes: Sizes,
    kind: str = "tanh",
    dtype: Any = np.float64,
    *,
    ids: bool = False,
    with_state: bool = True,
) -> Case:
    """A random case of sizes (seq_len, batch, input_size, hidden_size)."""
    seq_len, batch, input_size, hidden_size = sizes
    rng = np.random.default_rng(seed)
    k = hidden_size**-0.5

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-k, k, shape).astype(dtype)

    x = rng.integers(input_size, size=(seq_len, batch)) if ids else normal(*sizes[:3])
    case = Case(kind=kind, weights={}, x=x)
    rows = GATES[case.cell] * hidden_size
    case.weights = {
        "weight_ih_l0": uniform(rows, input_size),
        "weight_hh_l0": uniform(rows, hidden_size),
        "bias_ih_l0": uniform(rows),
        "bias_hh_l0": uniform(rows),
    }
    given = {"h_0": (1, batch, hidden_size)} if with_state else {}
    given |= {"grad_output": (seq_len, batch, hidden_size), "grad_h_n": (1, batch, hidden_size)}
    if case.cell == "lstm":
        given |= {"c_0": (1, batch, hidden_size)} if with_state else {}
        given |= {"grad_c_n": (1, batch, hidden_size)}
    return replace(case, **{name: normal(*shape) for name, shape in given.items()})


def reference_forward(kind: str, **arguments: np.ndarray) -> Arrays:
    """Every state from the initial one on, (T + 1, B, H): h, and c if the cell has one."""
    if kind == "lstm":
        return dict(zip("hc", reference.lstm_forward(**arguments), strict=True))
    if kind == "gru":
        return {"h": reference.gru_forward(**arguments)}
    return {"h": reference.rnn_forward(**arguments, nonlinearity=kind)}


def reference_states(case: Case) -> Arrays:
    """The states of `reference_forward` for a case."""
    return reference_forward(case.kind, x=case.x, **case.plain_state, **case.plain_weights)


def reference_backward(case: Case, states: Arrays) -> dict[str, Any]:
    """What the reference's BPTT returns for given states."""
    arguments: dict[str, Any] = {"x": case.x, **states, **case.plain_weights}
    if case.cell == "rnn":
        del arguments["bias_ih"], arguments["bias_hh"]
        arguments["nonlinearity"] = case.kind
    arguments["grad_output"] = case.grad_output
    for state in STATES[case.cell]:
        gradient = case.arrays.get(f"grad_{state}_n")
        arguments[f"grad_{state}_n"] = None if gradient is None else gradient[0]
    backward = {
        "rnn": reference.rnn_backward,
        "lstm": reference.lstm_backward,
        "gru": reference.gru_backward,
    }
    return dict(backward[case.cell](**arguments))


def reference_gradients(case: Case, states: Arrays) -> Arrays:
    """The gradients of the reference for given states, under the compiled library's names."""
    gradients = reference_backward(case, states)
    named = {f"grad/{name}_l0": gradients[name] for name in WEIGHTS}
    named |= {f"grad/{name}_0": gradients[f"{name}_0"][np.newaxis] for name in states}
    if gradients["x"] is not None:
        named["grad/x"] = gradients["x"]
    return named


def reference_pass(case: Case) -> Arrays:
    """Output, final state and every gradient of the reference."""
    states = reference_states(case)
    final = {f"{name}_n": value[-1:] for name, value in states.items()}
    return {"output": states["h"][1:]} | final | reference_gradients(case, states)


def gradient_sizes(case: Case, states: Arrays) -> dict[str, float]:
    """How large the terms behind the gradients are, under the names of the gradients.

    A parameter's gradient is a sum over steps and batch of delta_t times an input. Its size is the
    largest root of a sum of squares of those terms, which the sum itself may cancel far below.
    The deltas come from the reference: they are the gradient of an input that W_ih = 1 passes on.
    (Where those of W_hh differ, in a GRU, they are smaller.)
    """
    weight_ih = case.weights["weight_ih_l0"]
    identity = np.eye(len(weight_ih), dtype=case.dtype)
    passed_on = replace(
        case,
        x=reference.input_projection(case.x, weight_ih),
        weights=case.weights | {"weight_ih_l0": identity},
    )
    delta = reference_backward(passed_on, states)["x"]
    h = states["h"]

    def size(inputs: np.ndarray) -> float:
        return float(np.sqrt(np.einsum("tbg,tbi->gi", delta**2, inputs**2).max()))

    one = np.ones((*case.x.shape[:2], 1), h.dtype)
    largest = float(np.abs(delta).max())
    sizes = {f"grad/{name}_0": largest for name in states}
    return sizes | {
        "grad/x": largest,
        "grad/weight_ih_l0": size(one if case.ids else case.x),
        "grad/weight_hh_l0": size(h[:-1]),
        "grad/bias_ih_l0": size(one),
        "grad/bias_hh_l0": size(one),
    }


def compiled_layer(case: Case) -> Any:
    """A layer of the case's kind with its weights."""
    options = {"nonlinearity": case.kind} if case.cell == "rnn" else {}
    input_size = case.weights["weight_ih_l0"].shape[1]
    layer = LAYERS[case.cell](input_size, case.hidden_size, dtype=case.dtype, seed=0, **options)
    layer.load_state_dict(case.weights)
    return layer


def compiled_backward(layer: Any, case: Case, num_threads: int | None = None) -> Arrays:
    """What ``layer.backward`` returns and the gradients of all parameters."""
    gradients = [case.arrays.get(f"grad_{state}_n") for state in STATES[case.cell]]
    grad_x, grad_state = layer.backward(case.grad_output, *gradients, num_threads=num_threads)
    results = by_name(case.cell, grad_state, "grad/{}_0")
    results |= {f"grad/{name}": np.array(value) for name, value in layer.grad.items()}
    if grad_x is not None:
        results["grad/x"] = grad_x
    return results


def compiled_pass(case: Case, num_threads: int | None = None) -> Arrays:
    """Output, final state and every gradient of the public API."""
    layer = compiled_layer(case)
    output, state = layer(case.x, case.state, num_threads=num_threads)
    results = {"output": np.array(output)} | by_name(case.cell, state, "{}_n")
    return results | compiled_backward(layer, case, num_threads)


IMPLEMENTATIONS: dict[str, Callable[[Case], Arrays]] = {
    "reference": reference_pass,
    "compiled": compiled_pass,
}
