"""The rows of the grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["step", "seq", "batch", "train", "gen"]

# The distinct characters of the common small text corpora for character models.
VOCABULARY = 65

# Products with W_ih and W_hh that a step of each cell has.
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

# What --quick measures: of each cell and kind a row of middling size.
QUICK = "step .* I64 H64$|seq .* H128$|batch .* B16 .* H128$|train .* T50 |gen .* H128$"


@dataclass(frozen=True)
class Row:
    """One workload: a cell, what is done with it, and its sizes."""

    kind: Kind
    hidden_size: int
    input_size: int
    batch: int = 1
    steps: int = 1
    cell: str = "RNN"

    @property
    def name(self) -> str:
        """What the row is called in the table and matched by ``--rows``."""
        if self.kind == "step":
            return f"step {self.cell} I{self.input_size} H{self.hidden_size}"
        if self.kind == "gen":
            return f"gen {self.cell} H{self.hidden_size}"
        return f"{self.kind} {self.cell} B{self.batch} T{self.steps} H{self.hidden_size}"

    @property
    def gates(self) -> int:
        """How many blocks of ``hidden_size`` rows the cell's weights have."""
        return GATES[self.cell]

    @property
    def units(self) -> int:
        """How many units one call does: a ``gen`` call's time is divided by its characters."""
        return self.steps if self.kind == "gen" else 1


# Kind -> (batch, steps, input size, hidden size) of each of its rows.
SIZES: dict[Kind, tuple[tuple[int, int, int, int], ...]] = {
    "step": ((1, 1, 16, 16), (1, 1, 64, 64), (1, 1, 64, 256)),
    "seq": tuple((1, 1000, 64, hidden) for hidden in (16, 64, 128, 256, 512)),
    "batch": (
        (16, 100, 64, 128),
        (16, 100, 64, 512),
        (64, 100, 64, 128),
        (64, 100, 64, 256),
        (256, 100, 64, 512),
    ),
    "train": (
        (1, 25, VOCABULARY, 100),
        (32, 50, VOCABULARY, 128),
        (32, 100, VOCABULARY, 256),
        (64, 100, VOCABULARY, 512),
        (256, 100, VOCABULARY, 256),
    ),
    "gen": tuple((1, 1000, VOCABULARY, hidden) for hidden in (64, 128, 256, 512)),
}

ROWS = tuple(
    Row(kind, hidden, width, batch, steps, cell)
    for kind, sizes in SIZES.items()
    for cell, (batch, steps, width, hidden) in product(GATES, sizes)
)


def select(pattern: str) -> list[Row]:
    """Return the rows whose name has a match of the regular expression ``pattern``."""
    return [row for row in ROWS if re.search(pattern, row.name, re.IGNORECASE)]
