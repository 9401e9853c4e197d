"""A recurrent network with all its options, one sequence and one step at a time.

Nothing here is sorted, packed, padded or computed together: a sequence that ends is left, a state
that starts afresh is set to zero, and the direction that reads from the end walks from the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastrnn._reference._types import Floats, Ids
from fastrnn._reference.projection import input_projection
from fastrnn._reference.rnn import ACTIVATION, sigmoid


@dataclass
class Stack:
    """What a stack of recurrent layers is made of.

    Attributes
    ----------
    cell : "rnn", "lstm" or "gru"
    weights : parameters as a state dict names them, any bias of which may be missing
    num_layers, bidirectional, layer_norm : as for a layer
    nonlinearity : of an "rnn"
    output : nonlinearity of a projection, if there is one
    dropped : by the number of a layer, what its inputs are multiplied with, (T, B, features)
    masks : by the suffix of parameters, what states are before W_hh, (B, size of the state)
    """

    cell: str
    weights: Mapping[str, Floats]
    num_layers: int = 1
    bidirectional: bool = False
    nonlinearity: str = "tanh"
    layer_norm: bool = False
    output: str = "linear"
    dropped: Mapping[int, Floats] = field(default_factory=dict)
    masks: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def directions(self) -> int:
        """How many directions each layer has."""
        return 2 if self.bidirectional else 1

    @property
    def state_names(self) -> tuple[str, ...]:
        """The parts of a state."""
        return ("h", "c") if self.cell == "lstm" else ("h",)

    def step(
        self, suffix: str, x_t: Any, state: tuple[Floats, ...], mask: Floats | float
    ) -> tuple[Floats, ...]:
        """Return the state of one sequence after one step, each part a vector."""
        from_x = self._normed(
            "weight_norm_ih", suffix, input_projection(x_t, self._of("ih", suffix))
        )
        from_h = self._normed("weight_norm_hh", suffix, self._of("hh", suffix) @ (state[0] * mask))
        from_x = from_x + self.weights.get("bias_ih" + suffix, 0)
        from_h = from_h + self.weights.get("bias_hh" + suffix, 0)
        if self.cell == "lstm":
            i, f, g, o = np.split(from_x + from_h, 4)
            c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
            shown = self._normed("weight_norm_c", suffix, c)
            h = sigmoid(o) * np.tanh(shown + self.weights.get("bias_norm_c" + suffix, 0))
            return self._projected(suffix, h), c
        if self.cell == "gru":
            x_r, x_z, x_n = np.split(from_x, 3)
            h_r, h_z, h_n = np.split(from_h, 3)
            z = sigmoid(x_z + h_z)
            new = np.tanh(x_n + sigmoid(x_r + h_r) * h_n)
            return ((1 - z) * new + z * state[0],)
        return (self._projected(suffix, ACTIVATION[self.nonlinearity](from_x + from_h)),)

    def _of(self, name: str, suffix: str) -> Floats:
        return self.weights[f"weight_{name}{suffix}"]

    def _normed(self, gain: str, suffix: str, a: Floats) -> Floats:
        """Layer normalisation (J. Ba et al., arXiv:1607.06450), 1e-5 added to the variance."""
        if not self.layer_norm:
            return a
        return self.weights[gain + suffix] * (a - a.mean()) / np.sqrt(a.var() + 1e-5)

    def _projected(self, suffix: str, h: Floats) -> Floats:
        for name in ("hr", "ho"):
            if f"weight_{name}{suffix}" in self.weights:
                y = self._of(name, suffix) @ h + self.weights.get(f"bias_{name}{suffix}", 0)
                return ACTIVATION[self.output](y)
        return h


def stack_forward(
    stack: Stack,
    x: Floats | Ids,
    initial: tuple[Floats, ...],
    lengths: Any = None,
    reset_mask: Any = None,
) -> tuple[Floats, tuple[Floats, ...]]:
    """Return the outputs (T, B, D * H), zero beyond a sequence's end, and the final states' parts.

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    initial : the parts of the initial states, each (L * D, B, H)
    lengths : (B,), how many steps each sequence has
    reset_mask : (T, B), where a state starts from zero
    """
    steps, batch = x.shape[:2]
    final = tuple(np.array(part) for part in initial)
    output = np.zeros((steps, batch, stack.directions * initial[0].shape[2]), initial[0].dtype)
    for b in range(batch):
        length = steps if lengths is None else int(lengths[b])
        fresh = np.zeros(steps, bool) if reset_mask is None else np.asarray(reset_mask)[:, b]
        source: list[Any] = [x[t, b] for t in range(length)]
        for k in range(stack.num_layers):
            if k in stack.dropped:
                source = [one * stack.dropped[k][t, b] for t, one in enumerate(source)]
            directions = []
            for d in range(stack.directions):
                at = k * stack.directions + d
                state = tuple(part[at, b] for part in initial)
                suffix = f"_l{k}" + "_reverse" * d
                mask = stack.masks[suffix][b] if suffix in stack.masks else 1.0
                states = _walk(stack, suffix, d == 1, source, state, fresh, mask)
                directions.append([one[0] for one in states])
                for part, value in zip(final, _last(states, d == 1, state), strict=True):
                    part[at, b] = value
            source = [np.concatenate(parts) for parts in zip(*directions, strict=True)]
        output[:length, b] = np.array(source).reshape(length, output.shape[2])
    return output, final


def _walk(
    stack: Stack,
    suffix: str,
    backwards: bool,
    source: list[Any],
    state: tuple[Floats, ...],
    fresh: Any,
    mask: Floats | float,
) -> list[tuple[Floats, ...]]:
    """Return the states after each step, in the order of the steps."""
    states: list[Any] = [None] * len(source)
    steps = range(len(source))
    for t in reversed(steps) if backwards else steps:
        # A state that does not pass from step t - 1 to t does not pass from t to t - 1 either.
        cut = t + 1 < len(source) and fresh[t + 1] if backwards else fresh[t]
        if cut:
            state = tuple(np.zeros_like(part) for part in state)
        state = states[t] = stack.step(suffix, source[t], state, mask)
    return states


def _last(
    states: list[tuple[Floats, ...]], backwards: bool, initial: tuple[Floats, ...]
) -> tuple[Floats, ...]:
    if not states:
        return initial
    return states[0] if backwards else states[-1]
