"""The rows of the grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["step", "seq", "batch", "train", "gen"]

# The distinct characters of the common small text corpora for character models.
VOCABULARY = 65


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
    def units(self) -> int:
        """How many units one call does: a ``gen`` call's time is divided by its characters."""
        return self.steps if self.kind == "gen" else 1


def _rows() -> tuple[Row, ...]:
    steps = [Row("step", hidden, width) for hidden, width in ((16, 16), (64, 64), (256, 64))]
    seqs = [Row("seq", hidden, 64, steps=1000) for hidden in (16, 64, 128, 256, 512)]
    batches = [
        Row("batch", hidden, 64, batch, 100)
        for batch, hidden in ((16, 128), (16, 512), (64, 128), (64, 256), (256, 512))
    ]
    trains = [
        Row("train", hidden, VOCABULARY, batch, steps)
        for batch, steps, hidden in (
            (1, 25, 100),
            (32, 50, 128),
            (32, 100, 256),
            (64, 100, 512),
            (256, 100, 256),
        )
    ]
    gens = [Row("gen", hidden, VOCABULARY, steps=1000) for hidden in (64, 128, 256, 512)]
    return (*steps, *seqs, *batches, *trains, *gens)


ROWS = _rows()


def select(pattern: str) -> list[Row]:
    """The rows whose name has a match of the regular expression ``pattern``."""
    return [row for row in ROWS if re.search(pattern, row.name, re.IGNORECASE)]
