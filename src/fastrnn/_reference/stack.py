"""A recurrent network with all its options, one sequence and one step at a time.

Nothing here is sorted, packed, padded or computed together: a sequence that ends is left, a state
that starts afresh is set to zero, and the direction that reads from the end walks from the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn._reference._types import Floats, Ids
from fastrnn._reference.gru import gru_step
from fastrnn._reference.lstm import lstm_step
from fastrnn._reference.rnn import rnn_step


@dataclass
class Stack:
    """What a stack of recurrent layers is made of.

    Attributes
    ----------
    cell : "rnn", "lstm" or "gru"
    weights : parameters as a state dict names them, any bias of which may be missing
    num_layers, bidirectional : as for a layer
    nonlinearity : of an "rnn"
    """

    cell: str
    weights: Mapping[str, Floats]
    num_layers: int = 1
    bidirectional: bool = False
    nonlinearity: str = "tanh"

    @property
    def directions(self) -> int:
        """How many directions each layer has."""
        return 2 if self.bidirectional else 1

    @property
    def state_names(self) -> tuple[str, ...]:
        """The parts of a state."""
        return ("h", "c") if self.cell == "lstm" else ("h",)

    def step(self, suffix: str, x_t: Floats | Ids, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        """Return the state of one sequence after one step, each part (H,)."""
        weight_ih, weight_hh = (
            self.weights["weight_ih" + suffix],
            self.weights["weight_hh" + suffix],
        )
        none = np.zeros(len(weight_ih), weight_ih.dtype)
        biases = [self.weights.get(name + suffix, none) for name in ("bias_ih", "bias_hh")]
        if self.cell == "lstm":
            return lstm_step(x_t, *state, weight_ih, weight_hh, *biases)
        if self.cell == "gru":
            return (gru_step(x_t, *state, weight_ih, weight_hh, *biases),)
        return (rnn_step(x_t, *state, weight_ih, weight_hh, *biases, self.nonlinearity),)


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
    hidden = initial[0].shape[2]
    output = np.zeros((steps, batch, stack.directions * hidden), initial[0].dtype)
    for b in range(batch):
        length = steps if lengths is None else int(lengths[b])
        fresh = np.zeros(steps, bool) if reset_mask is None else np.asarray(reset_mask)[:, b]
        source: list[Any] = [x[t, b] for t in range(length)]
        for k in range(stack.num_layers):
            directions = []
            for d in range(stack.directions):
                at = k * stack.directions + d
                state = tuple(part[at, b] for part in initial)
                states = _walk(stack, k, d == 1, source, state, fresh)
                directions.append([one[0] for one in states])
                for part, value in zip(final, _last(states, d == 1, state), strict=True):
                    part[at, b] = value
            source = [np.concatenate(parts) for parts in zip(*directions, strict=True)]
        output[:length, b] = np.array(source).reshape(length, output.shape[2])
    return output, final


def _walk(
    stack: Stack,
    number: int,
    backwards: bool,
    source: list[Any],
    state: tuple[Floats, ...],
    fresh: Any,
) -> list[tuple[Floats, ...]]:
    """Return the states after each step, in the order of the steps."""
    states: list[Any] = [None] * len(source)
    steps = range(len(source))
    for t in reversed(steps) if backwards else steps:
        # A state that does not pass from step t - 1 to t does not pass from t to t - 1 either.
        cut = t + 1 < len(source) and fresh[t + 1] if backwards else fresh[t]
        if cut:
            state = tuple(np.zeros_like(part) for part in state)
        suffix = f"_l{number}" + ("_reverse" if backwards else "")
        state = states[t] = stack.step(suffix, source[t], state)
    return states


def _last(
    states: list[tuple[Floats, ...]], backwards: bool, initial: tuple[Floats, ...]
) -> tuple[Floats, ...]:
    if not states:
        return initial
    return states[0] if backwards else states[-1]
