"""How gradients fare on their way back through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import optim, unrolled
from fastrnn.cells import make_layer
from fastrnn.layers import Recurrent

NONLINEARITIES = ("tanh", "relu", "sigmoid", "linear")
INPUT_SIZE, HIDDEN_SIZE = 4, 16

# Of the norms at the two ends, when one speaks of vanishing and exploding.
VANISHED, EXPLODED = 1e-2, 1e1


@dataclass(frozen=True)
class Clipped:
    """The norms of the parameters' gradients, and what clipping leaves of them.

    Attributes
    ----------
    norm, clipped_norm : float
        Of all gradients together.
    parameters, clipped_parameters : dict of str to float
        Of each parameter's.
    """

    norm: float
    clipped_norm: float
    parameters: dict[str, float]
    clipped_parameters: dict[str, float]


class Gradients:
    """A compiled layer whose recurrent weights are an orthogonal matrix times a scale.

    An orthogonal matrix keeps the length of what it multiplies, so that the scale alone says
    whether W_hh lengthens or shortens.

    Attributes
    ----------
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : str
        Of the Elman cell; the others have theirs.
    keep_bias : float
        Added to what opens the LSTM's forget gate, or the GRU's update gate: both keep the state.
    length : int
    scale : float
    max_norm : float
        Where clipping begins.
    """

    def __init__(self) -> None:
        self.cell, self.nonlinearity = "rnn", "tanh"
        self.length, self.scale, self.keep_bias, self.max_norm = 40, 0.9, 3.0, 1.0

    def set(self, **changes: object) -> None:
        """Change attributes."""
        for name, value in changes.items():
            setattr(self, name, value)

    def layer(self) -> Any:
        """Return the layer."""
        nonlinearity = self.nonlinearity if self.cell == "rnn" else "tanh"
        layer = make_layer(
            self.cell, INPUT_SIZE, HIDDEN_SIZE, nonlinearity=nonlinearity, dtype=np.float64,
            seed=0, init="orthogonal",
        )  # fmt: skip
        layer.weight_hh_l0 = layer.weight_hh_l0 * float(self.scale)
        if self.cell != "rnn":  # gates i, f, g, o and r, z, n: the second is the one that keeps
            bias = layer.bias_ih_l0.copy()
            bias[HIDDEN_SIZE : 2 * HIDDEN_SIZE] += float(self.keep_bias)
            layer.bias_ih_l0 = bias
        return layer

    def inputs(self) -> np.ndarray:
        """Return the sequence that is read, (length, 4)."""
        return np.random.default_rng(0).normal(0.0, 0.5, (self.length, INPUT_SIZE))

    def norms(self) -> np.ndarray:
        """Return the gradients' norms by distance from the last step, (length + 1,)."""
        return unrolled.gradient_norms(self.layer(), self.inputs())

    def clip(self) -> Clipped | None:
        """Backpropagate from the last state, clip; None where the gradient is not finite."""
        layer = self.layer().train()
        _, final = layer(self.inputs())
        h_n = final[0] if isinstance(final, tuple) else final
        layer.backward(None, np.full_like(h_n, HIDDEN_SIZE**-0.5))
        before = _norms(layer)
        try:
            norm = optim.clip_grad_norm(layer, float(self.max_norm))
        except FloatingPointError:
            return None
        after = _norms(layer)
        return Clipped(norm, _together(after), before, after)


def _norms(layer: Recurrent) -> dict[str, float]:
    return {name: float(np.linalg.norm(grad)) for name, grad in layer.grad.items()}


def _together(norms: dict[str, float]) -> float:
    return float(np.linalg.norm(list(norms.values())))


def factor(norms: np.ndarray) -> float:
    """Return what a step back multiplies the gradient by, in the geometric mean."""
    if not norms[-1] > 0:
        return 0.0
    return float((norms[-1] / norms[0]) ** (1 / (len(norms) - 1)))


def verdict(norms: np.ndarray) -> tuple[str, str]:
    """Return what becomes of the gradient, in a word and in a tone."""
    change = norms[-1] / norms[0]
    if not np.isfinite(change):
        return "overflows", "warn"
    if change < VANISHED:
        return "vanishes", "warn"
    if change > EXPLODED:
        return "explodes", "warn"
    return "survives", "good"
