"""What must come out of a row, by the NumPy reference in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _reference as reference

Array = np.ndarray
Outcome = dict[str, Array]


def output(cell: str, x: Array, layer: Outcome) -> Array:
    """Return the states after every step (T, B, H) that ``cell`` reaches from zero."""
    return _forward(cell, x, _plain(layer))[0][1:]


def logits(cell: str, ids: Array, layer: Outcome, readout: Outcome) -> Array:
    """Return the readout of those states (T, B, V)."""
    return reference.linear_forward(output(cell, ids, layer), **readout)


def training(cell: str, ids: Array, targets: Array, layer: Outcome, readout: Outcome) -> Outcome:
    """Return loss and gradients, each by the name of its parameter."""
    weights = _plain(layer)
    states = _forward(cell, ids, weights)
    h = states[0]
    loss, grad_logits = reference.cross_entropy(reference.linear_forward(h[1:], **readout), targets)
    of_readout = reference.linear_backward(h[1:], readout["weight"], grad_logits)
    of_layer = _backward(cell, ids, states, weights, of_readout["x"])
    return {
        "loss": np.asarray(loss),
        **{name: of_layer[name.removesuffix("_l0")] for name in layer},
        "weight": of_readout["weight"],
        "bias": of_readout["bias"],
    }


def _plain(layer: Outcome) -> Outcome:
    """Name the parameters as the reference does, without PyTorch's ending."""
    return {name.removesuffix("_l0"): value for name, value in layer.items()}


def _forward(cell: str, x: Array, weights: Outcome) -> tuple[Array, ...]:
    """Return the sequences (T + 1, B, H) of each state that the cell carries, h first."""
    zero = np.zeros((x.shape[1], weights["weight_hh"].shape[1]), weights["weight_hh"].dtype)
    if cell == "LSTM":
        return reference.lstm_forward(x, zero, zero, **weights)
    if cell == "GRU":
        return (reference.gru_forward(x, zero, **weights),)
    return (reference.rnn_forward(x, zero, nonlinearity="tanh", **weights),)


def _backward(
    cell: str, ids: Array, states: tuple[Array, ...], weights: Outcome, grad_output: Array
) -> Any:
    if cell == "LSTM":
        h, c = states
        return reference.lstm_backward(ids, h, c, **weights, grad_output=grad_output)
    (h,) = states
    if cell == "GRU":
        return reference.gru_backward(ids, h, **weights, grad_output=grad_output)
    weight_ih, weight_hh = weights["weight_ih"], weights["weight_hh"]
    return reference.rnn_backward(ids, h, weight_ih, weight_hh, "tanh", grad_output)
