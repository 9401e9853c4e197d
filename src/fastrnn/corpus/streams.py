"""A sequence of token ids cut into parallel streams, walked chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# So many ids are read at a time: reading a file for every chunk of every stream would take a
# hundredth of a training's time, and this many take 2 MB.
_BLOCK = 2**18


class Ids(Protocol):
    """Token ids that need not be in memory: an array, or what gives arrays for its slices."""

    def __len__(self) -> int:
        """Return the number of ids."""

    def __getitem__(self, piece: slice, /) -> np.ndarray:
        """Return the ids of a slice."""


@dataclass(frozen=True)
class Streams:
    """Parallel streams of token ids, each of which is followed by one more, its last target.

    Attributes
    ----------
    ids : Ids
        Stream b begins at ``ids[b * stream_len]``.
    batch_size, stream_len : int
        Number of streams, and of inputs in each.

    Examples
    --------
    >>> streams = Streams.split(np.arange(9), batch_size=2, seq_len=3)
    >>> for inputs, targets, first in streams.walk(seq_len=3, first_step=1):
    ...     print(inputs.tolist(), targets.tolist(), first)
    ...     if first:
    ...         break
    [[3, 7]] [[4, 8]] False
    [[0, 4], [1, 5], [2, 6]] [[1, 5], [2, 6], [3, 7]] True
    """

    ids: Ids
    batch_size: int
    stream_len: int

    @classmethod
    def split(cls, ids: Ids, batch_size: int, seq_len: int) -> Streams:
        """Cut more than ``seq_len`` ids into contiguous streams of equal length.

        There are ``batch_size`` streams, or as many as hold ``seq_len`` ids and a target each
        if those are fewer. Fewer than one stream's number of ids are left over at the end.
        """
        batch_size = stream_count(len(ids), batch_size, seq_len)
        return cls(ids, batch_size, (len(ids) - 1) // batch_size)

    def walk(
        self, seq_len: int, first_step: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
        """Yield (inputs, targets, first) of the next ``seq_len`` steps, over and over.

        ``inputs`` and ``targets`` are int64 of shape (seq_len, batch_size): ``targets[t, b]`` is
        the id that follows ``inputs[t, b]``. ``first`` is true at the beginning of each pass;
        the last chunk of a pass may be shorter. Nothing is read for the ``first_step`` chunks
        that are left out at the start.
        """
        count = self.chunk_count(seq_len)
        together = max(1, _BLOCK // (self.batch_size * seq_len))
        chunk = first_step % count
        while True:
            start = chunk * seq_len
            block = self._block(start, min(start + together * seq_len, self.stream_len))
            for t in range(0, len(block) - 1, seq_len):
                stop = min(t + seq_len, len(block) - 1)
                yield block[t:stop], block[t + 1 : stop + 1], start + t == 0
            chunk += together
            if chunk >= count:
                chunk = 0

    def _block(self, start: int, stop: int) -> np.ndarray:
        """Return the ids from ``start`` to ``stop``, which is included, side by side."""
        firsts = range(0, self.batch_size * self.stream_len, self.stream_len)
        columns = [self.ids[first + start : first + stop + 1] for first in firsts]
        return np.stack(columns, axis=1, dtype=np.int64, casting="safe")

    def chunk_count(self, seq_len: int) -> int:
        """Return the number of chunks in one pass."""
        return math.ceil(self.stream_len / seq_len)

    def target_count(self, steps: int, seq_len: int) -> int:
        """Return the number of targets in the first ``steps`` chunks."""
        passes, rest = divmod(steps, self.chunk_count(seq_len))
        return self.batch_size * (passes * self.stream_len + min(rest * seq_len, self.stream_len))


def stream_count(length: int, batch_size: int, seq_len: int) -> int:
    """Return into how many streams ``length`` ids are cut, ``batch_size`` at most.

    Examples
    --------
    >>> stream_count(1000, batch_size=4, seq_len=64), stream_count(200, batch_size=4, seq_len=64)
    (4, 3)
    """
    return min(batch_size, (length - 1) // seq_len)


def check_window(length: int, unit: str, seq_len: int) -> None:
    """Require a text of ``length`` characters, or what ``unit`` says, that makes one window."""
    if length < seq_len + 1:
        raise ValueError(
            f"text has {length:,} {unit}s, fewer than one window of seq_len + 1 = "
            f"{seq_len + 1:,}; use a longer text or a smaller seq_len"
        )
