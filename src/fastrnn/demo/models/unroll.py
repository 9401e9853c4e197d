"""A small network, and how it looks at each of T steps."""

from __future__ import annotations

import math

import numpy as np

from fastrnn.layers import RNN, Linear
from fastrnn.network import Network

# How the page names the shared weights, and what they do.
WEIGHTS = {"W_ih": "input to state", "W_hh": "state to state", "W_hy": "state to output"}


class Unrolled:
    """h_t = tanh(W_ih x_t + W_hh h_{t-1} + b), y_t = W_hy h_t + b_y, unrolled over a sine.

    Attributes
    ----------
    length, hidden_size : int
    seed : int
        Of the weights.
    network : Network
    """

    def __init__(self) -> None:
        self.length, self.hidden_size, self.seed = 4, 3, 0
        self._make()

    def set(self, **changes: int) -> None:
        """Change attributes; another size or seed makes other weights, another length does not."""
        for name, value in changes.items():
            setattr(self, name, value)
        if changes.keys() - {"length"}:
            self._make()

    def _make(self) -> None:
        layer = RNN(1, self.hidden_size, dtype=np.float64, seed=self.seed)
        readout = Linear(self.hidden_size, 1, dtype=np.float64, seed=self.seed + 1)
        self._layer, self._readout = layer, readout
        self.network = Network(layer, readout)

    @property
    def inputs(self) -> np.ndarray:
        """What the network reads, (length, 1)."""
        return np.array([[math.sin(math.tau * t / 10)] for t in range(1, self.length + 1)])

    def states(self) -> np.ndarray:
        """Return the compiled layer's states, (length, hidden_size)."""
        states, _ = self._layer(self.inputs)
        return states

    def outputs(self) -> np.ndarray:
        """Return what the network answers, (length, 1)."""
        outputs, _ = self.network(self.inputs)
        return outputs

    def counts(self) -> dict[str, int]:
        """Return how many numbers each parameter has; the cell's bias b is kept in two parts."""
        layer, readout = self._layer, self._readout
        return {
            "W_ih": layer.weight_ih_l0.size,
            "W_hh": layer.weight_hh_l0.size,
            "b_ih": layer.bias_ih_l0.size,
            "b_hh": layer.bias_hh_l0.size,
            "W_hy": readout.weight.size,
            "b_y": readout.bias.size,
        }

    def weight(self, name: str) -> np.ndarray:
        """Return one of ``WEIGHTS``, of which all copies have the same."""
        return {
            "W_ih": self._layer.weight_ih_l0,
            "W_hh": self._layer.weight_hh_l0,
            "W_hy": self._readout.weight,
        }[name]
