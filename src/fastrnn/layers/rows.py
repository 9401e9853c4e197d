"""In which order the steps of several sequences are computed, and where they lie.

Compiled loops want the rows of a step beside each other, and of every sequence that has a step,
that it has all steps before. So sequences of different lengths are sorted, the longest first; and
one whose state starts afresh somewhere is cut there into pieces, each a sequence of its own. No
padding is ever computed, and no kernel knows of lengths or of fresh starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _ops


class Rows:
    """Steps of sequences that all have all of them: row t * batch + b is step t of sequence b.

    States over time have ``batch`` rows more, before all others: the initial ones.

    Attributes
    ----------
    steps, batch : int
        Of what is computed; ``batch`` counts pieces where sequences are cut.
    count : int
        How many rows there are.
    starts, before : ndarray or None
        As :func:`fastrnn._forward.forward` takes them.
    sequence : ndarray or None
        Which sequence each piece is of; None where there are no pieces.
    """

    starts: np.ndarray | None = None
    before: np.ndarray | None = None
    sequence: np.ndarray | None = None

    def __init__(self, steps: int, batch: int) -> None:
        self.steps, self.batch, self.count = steps, batch, steps * batch

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return as rows (count, …) what is given as (seq_len, batch, …)."""
        return values.reshape(self.count, *values.shape[2:])

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (count, …) as (seq_len, batch, …), zero where a sequence has no step."""
        return rows.reshape(self.steps, self.batch, *rows.shape[1:])

    def turned(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of each sequence from its last step to its first."""
        return np.ascontiguousarray(self.spread(rows)[::-1]).reshape(rows.shape)

    def begin(self, states: np.ndarray, initial: Any, backwards: bool) -> None:
        """Write the initial states (batch, H), or 0, to the first rows of ``states``."""
        states[: self.batch] = initial

    def final(self, states: np.ndarray, backwards: bool) -> np.ndarray:
        """Return each sequence's final state, (batch, H)."""
        return states[len(states) - self.batch :]

    def previous(self, states: np.ndarray) -> np.ndarray:
        """Return the state before each row, (count, H)."""
        return states[: self.count]

    def grad_last(
        self, grad_output: np.ndarray | None, grad_final: np.ndarray | None, backwards: bool
    ) -> np.ndarray | None:
        """Return what reaches each last state, (batch, H), from its output and from beyond.

        Of grad_output, the rows of the last step are enough.
        """
        if grad_output is None:
            return grad_final
        last = grad_output[len(grad_output) - self.batch :]
        return last if grad_final is None else last + grad_final

    def spread_final(self, grad: np.ndarray, backwards: bool) -> np.ndarray:
        """Return a gradient of the final states, (batch, H), piece by piece."""
        return grad

    def grad_initial(self, grad: np.ndarray, backwards: bool) -> np.ndarray:
        """Return the gradient of the sequences' initial states from that of all pieces'."""
        return grad

    def first_row(self, step: int) -> int:
        """Return where the rows of a step begin."""
        return step * self.batch


class PackedRows(Rows):
    """Steps of sequences of different lengths, or whose states start afresh within.

    Parameters
    ----------
    lengths : ndarray of int64, shape (batch,)
        From 0 to seq_len.
    fresh : ndarray of bool, shape (seq_len, batch)
        Where a state starts from zero.
    """

    def __init__(self, lengths: np.ndarray, fresh: np.ndarray) -> None:
        self._shape = fresh.shape
        first = np.arange(len(fresh))[:, None] == 0
        there = np.arange(len(fresh))[:, None] < lengths
        sequence, begin = np.nonzero(((fresh | first) & there).T)
        none = np.flatnonzero(lengths == 0)
        sequence, begin = np.append(sequence, none), np.append(begin, 0 * none)
        ends_sequence = np.append(sequence[1:] != sequence[:-1], True)
        length = np.where(ends_sequence, lengths[sequence], np.append(begin[1:], 0)) - begin
        order = np.argsort(-length, kind="stable")
        sequence, begin, length = sequence[order], begin[order], length[order]

        pieces = np.arange(len(length))
        longest = int(length[0])
        counts = len(length) - np.searchsorted(length[::-1], np.arange(longest), side="right")
        self.starts = np.append(0, np.cumsum(counts))
        self.before = np.append(0, np.cumsum(length))
        super().__init__(longest, len(length))
        self.count = int(self.starts[-1])
        step = np.repeat(np.arange(longest), counts)
        piece = np.arange(self.count) - np.repeat(self.starts[:-1], counts)
        self._source = (begin[piece] + step) * self._shape[1] + sequence[piece]
        self._turn = self.starts[length[piece] - 1 - step] + piece
        self._previous = piece + np.where(step, self.batch + self.starts[step - 1], 0)

        self._empty = length == 0
        last_row = np.where(self._empty, 0, self.starts[length - 1]) + pieces
        self._last_row = last_row[~self._empty]
        self._last_state = np.where(self._empty, pieces, self.batch + last_row)
        # Where each sequence begins, and where it ends: the other way round backwards.
        self._ends = np.empty((2, self._shape[1]), np.int64)
        is_first = begin == 0
        self._ends[0, sequence[is_first]] = pieces[is_first]
        is_last = ends_sequence[order]
        self._ends[1, sequence[is_last]] = pieces[is_last]
        self.sequence = sequence
        self._takes_initial = ~(fresh[:1].any(axis=0) & (lengths > 0))[:, None]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return as rows (count, …) what is given as (seq_len, batch, …)."""
        return values.reshape(-1, *values.shape[2:]).take(self._source, axis=0)

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (count, …) as (seq_len, batch, …), zero where a sequence has no step."""
        steps, batch = self._shape
        padded = np.zeros((steps * batch, *rows.shape[1:]), rows.dtype)
        padded[self._source] = rows
        return padded.reshape(steps, batch, *rows.shape[1:])

    def turned(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of each piece from its last step to its first."""
        return np.ascontiguousarray(rows.take(self._turn, axis=0))

    def begin(self, states: np.ndarray, initial: Any, backwards: bool) -> None:
        """Write the initial states (batch, H), or 0, to the first rows of ``states``."""
        states[: self.batch] = 0
        if isinstance(initial, np.ndarray):
            taken = initial if backwards else np.where(self._takes_initial, initial, 0)
            states[self._ends[int(backwards)]] = taken

    def final(self, states: np.ndarray, backwards: bool) -> np.ndarray:
        """Return each sequence's final state, (batch, H).

        ``states`` are those over time, or only the latest of each piece.
        """
        pieces = self._ends[1 - int(backwards)]
        over_time = len(states) > self.batch
        return states[self._last_state[pieces] if over_time else pieces]

    def previous(self, states: np.ndarray) -> np.ndarray:
        """Return the state before each row, (count, H)."""
        return states.take(self._previous, axis=0)

    def grad_last(
        self, grad_output: np.ndarray | None, grad_final: np.ndarray | None, backwards: bool
    ) -> np.ndarray | None:
        """Return what reaches each piece's last state, from its output and from beyond."""
        if grad_output is None:
            return None if grad_final is None else self.spread_final(grad_final, backwards)
        last = np.zeros((self.batch, grad_output.shape[1]), grad_output.dtype)
        last[~self._empty] = grad_output[self._last_row]
        if grad_final is not None:
            last += self.spread_final(grad_final, backwards)
        return last

    def spread_final(self, grad: np.ndarray, backwards: bool) -> np.ndarray:
        """Return a gradient of the final states, (batch, H), piece by piece."""
        pieces = np.zeros((self.batch, grad.shape[1]), grad.dtype)
        pieces[self._ends[1 - int(backwards)]] = grad
        return pieces

    def grad_initial(self, grad: np.ndarray, backwards: bool) -> np.ndarray:
        """Return the gradient of the sequences' initial states from that of all pieces'."""
        taken = grad[self._ends[int(backwards)]]
        return taken if backwards else np.where(self._takes_initial, taken, 0)

    def first_row(self, step: int) -> int:
        """Return where the rows of a step begin."""
        assert self.starts is not None
        return int(self.starts[step])


def rows_of(steps: int, batch: int, lengths: np.ndarray | None, fresh: np.ndarray | None) -> Rows:
    """Return the rows of sequences (seq_len, batch), simple ones where they can be."""
    same = lengths is None or (steps > 0 and bool((lengths == steps).all()))
    if same and (fresh is None or not fresh.any()):
        return Rows(steps, batch)
    if lengths is None:
        lengths = np.full(batch, steps)
    if fresh is None:
        fresh = np.zeros((steps, batch), np.bool_)
    return PackedRows(lengths, fresh)


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Return arrays of rows beside each other."""
    if len(parts) == 1:
        return parts[0]
    count, size = parts[0].shape
    together = _ops.empty((count, size * len(parts)), parts[0].dtype)
    for i, part in enumerate(parts):
        together[:, i * size : (i + 1) * size] = part
    return together
