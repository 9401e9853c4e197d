"""The reference and the compiled library behind one signature, so that a test can name either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastrnn
from fastrnn import _reference as reference

Arrays = dict[str, np.ndarray]

RNN_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass
class Case:
    """One forward and backward pass: weights are named as in a state dict."""

    nonlinearity: str
    weights: Arrays
    x: np.ndarray
    h_0: np.ndarray | None
    grad_output: np.ndarray | None
    grad_h_n: np.ndarray | None

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.weights["weight_ih_l0"].dtype

    @property
    def batch(self) -> int:
        return self.x.shape[1]

    @property
    def state(self) -> np.ndarray:
        """h_0, or the zeros that stand for it, (B, H)."""
        if self.h_0 is not None:
            return self.h_0[0]
        return np.zeros((self.batch, self.weights["bias_ih_l0"].size), self.dtype)

    @property
    def plain_weights(self) -> Arrays:
        """The weights as the reference names them."""
        return {name: self.weights[f"{name}_l0"] for name in RNN_NAMES}


def make_case(
    seed: int,
    sizes: tuple[int, int, int, int],
    nonlinearity: str = "tanh",
    dtype: Any = np.float64,
    *,
    ids: bool = False,
    with_h_0: bool = True,
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
    return Case(
        nonlinearity=nonlinearity,
        weights={
            "weight_ih_l0": uniform(hidden_size, input_size),
            "weight_hh_l0": uniform(hidden_size, hidden_size),
            "bias_ih_l0": uniform(hidden_size),
            "bias_hh_l0": uniform(hidden_size),
        },
        x=x,
        h_0=normal(1, batch, hidden_size) if with_h_0 else None,
        grad_output=normal(seq_len, batch, hidden_size),
        grad_h_n=normal(1, batch, hidden_size),
    )


def reference_rnn(case: Case) -> Arrays:
    """Output, h_n and every gradient of the reference, under the compiled library's names."""
    h = reference.rnn_forward(
        case.x, case.state, **case.plain_weights, nonlinearity=case.nonlinearity
    )
    return {"output": h[1:], "h_n": h[-1:]} | reference_gradients(case, h)


def reference_gradients(case: Case, h: np.ndarray) -> Arrays:
    """The gradients of the reference for given states h (T + 1, B, H)."""
    gradients = reference.rnn_backward(
        case.x,
        h,
        case.weights["weight_ih_l0"],
        case.weights["weight_hh_l0"],
        case.nonlinearity,
        case.grad_output,
        None if case.grad_h_n is None else case.grad_h_n[0],
    )
    named = {f"grad/{name}_l0": gradients[name] for name in RNN_NAMES}
    named["grad/h_0"] = gradients["h_0"][np.newaxis]
    if gradients["x"] is not None:
        named["grad/x"] = gradients["x"]
    return named


def gradient_sizes(case: Case, h: np.ndarray) -> dict[str, float]:
    """How large the terms behind the gradients are, under the names of the gradients.

    A parameter's gradient is a sum over steps and batch of delta_t times an input. Its size is the
    largest root of a sum of squares of those terms, which the sum itself may cancel far below.
    The deltas come from the reference: they are the gradient of an input that W_ih = 1 passes on.
    """
    identity = np.eye(h.shape[-1], dtype=h.dtype)
    delta = reference.rnn_backward(
        h[1:],
        h,
        identity,
        case.weights["weight_hh_l0"],
        case.nonlinearity,
        case.grad_output,
        None if case.grad_h_n is None else case.grad_h_n[0],
    )["x"]

    def size(inputs: np.ndarray) -> float:
        return float(np.sqrt(np.einsum("tbh,tbi->hi", delta**2, inputs**2).max()))

    one = np.ones((*h[1:].shape[:2], 1), h.dtype)
    largest = float(np.abs(delta).max())
    return {
        "grad/x": largest,
        "grad/h_0": largest,
        "grad/weight_ih_l0": size(one if case.x.dtype.kind in "iu" else case.x),
        "grad/weight_hh_l0": size(h[:-1]),
        "grad/bias_ih_l0": size(one),
        "grad/bias_hh_l0": size(one),
    }


def compiled_layer(case: Case) -> fastrnn.RNN:
    hidden_size, input_size = case.weights["weight_ih_l0"].shape
    layer = fastrnn.RNN(
        input_size, hidden_size, nonlinearity=case.nonlinearity, dtype=case.dtype, seed=0
    )
    layer.load_state_dict(case.weights)
    return layer


def compiled_rnn(case: Case, num_threads: int | None = None) -> Arrays:
    """Output, h_n and every gradient of the public API."""
    layer = compiled_layer(case)
    output, h_n = layer(case.x, case.h_0, num_threads=num_threads)
    grad_x, grad_h_0 = layer.backward(case.grad_output, case.grad_h_n, num_threads=num_threads)
    results = {"output": np.array(output), "h_n": np.array(h_n), "grad/h_0": grad_h_0}
    results |= {f"grad/{name}": np.array(value) for name, value in layer.grad.items()}
    if grad_x is not None:
        results["grad/x"] = grad_x
    return results


IMPLEMENTATIONS: dict[str, Callable[[Case], Arrays]] = {
    "reference": reference_rnn,
    "compiled": compiled_rnn,
}
