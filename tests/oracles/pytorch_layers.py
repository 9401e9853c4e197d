"""Layers that PyTorch has too: every combination of its options, with inputs from a seed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

SEQ_LEN, BATCH, INPUTS, HIDDEN, PROJECTED = 4, 3, 2, 3, 2
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4, "lstm_projected": 4}
LENGTHS = (2, 4, 1)


@dataclass(frozen=True)
class Combination:
    """Arguments of a layer, and whether sequences have lengths."""

    kind: str
    num_layers: int
    bidirectional: bool
    bias: bool
    batch_first: bool
    lengths: bool

    @property
    def name(self) -> str:
        flags = ("bidirectional", "bias", "batch_first", "lengths")
        words = [flag for flag in flags if getattr(self, flag)]
        return "/".join([self.kind, str(self.num_layers), *words])

    @property
    def state_size(self) -> int:
        return PROJECTED if self.kind == "lstm_projected" else HIDDEN

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1


COMBINATIONS = [
    Combination(*values) for values in itertools.product(GATES, (1, 2), *[(False, True)] * 4)
]


def inputs(c: Combination) -> dict[str, Any]:
    """Weights, x, the initial state and the gradients that reach the results, in float64."""
    rng = np.random.default_rng(COMBINATIONS.index(c))
    given: dict[str, Any] = {}
    for k in range(c.num_layers):
        for suffix in ("", "_reverse")[: c.directions]:
            rows, features = GATES[c.kind] * HIDDEN, c.directions * c.state_size if k else INPUTS
            shapes = {"weight_ih": (rows, features), "weight_hh": (rows, c.state_size)}
            if c.bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if c.kind == "lstm_projected":
                shapes["weight_hr"] = (PROJECTED, HIDDEN)
            for name, shape in shapes.items():
                given[f"{name}_l{k}{suffix}"] = rng.uniform(-0.6, 0.6, shape)
    leading = (BATCH, SEQ_LEN) if c.batch_first else (SEQ_LEN, BATCH)
    states = (c.num_layers * c.directions, BATCH)
    shapes = {
        "x": (*leading, INPUTS),
        "h_0": (*states, c.state_size),
        "grad_output": (*leading, c.directions * c.state_size),
        "grad_h_n": (*states, c.state_size),
    }
    if c.kind.startswith("lstm"):
        shapes |= {"c_0": (*states, HIDDEN), "grad_c_n": (*states, HIDDEN)}
    return given | {name: rng.standard_normal(shape) for name, shape in shapes.items()}
