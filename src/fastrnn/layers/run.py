"""What a call of a recurrent layer was given, and what it computed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrnn.layers.embedding import Tokens
from fastrnn.layers.inputs import Form
from fastrnn.layers.rows import Rows, joined
from fastrnn.layers.sweep import Saved


class Taken(NamedTuple):
    """What a call was given, checked."""

    values: np.ndarray  # (N, I), or token ids (N,)
    rows: Rows
    form: Form
    states: list[np.ndarray | None]  # parts (D * L, B, …), None for zeros


class Run(NamedTuple):
    """What a call computed, and what backward needs of it."""

    rows: Rows
    form: Form
    sweeps: list[Saved]
    seed: int | None  # of what is dropped, if anything is
    dropout: float  # between layers
    tokens: Tokens  # how ids were read

    def features(self, backwards: list[bool]) -> np.ndarray:
        """Return the outputs of the last layer, whose directions are ``backwards``, as rows."""
        if len(backwards) == 1:
            return _forwards(self.rows, self.sweeps[-1], backwards[0])
        last = zip(self.sweeps[-len(backwards) :], backwards, strict=True)
        return joined([_forwards(self.rows, saved, turn) for saved, turn in last])


def _forwards(rows: Rows, saved: Saved, backwards: bool) -> np.ndarray:
    """Return a sweep's states after each step, as rows in the order of the sequences."""
    after = saved.h[rows.batch :]
    return rows.turned(after) if backwards else after
