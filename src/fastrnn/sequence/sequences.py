"""Sequences of any lengths, and what belongs to each of them or to each of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.sequence.series import FLOAT64


@dataclass(frozen=True)
class Sequences:
    """What an estimator was given as X, checked.

    Attributes
    ----------
    steps : list of ndarray
        Of each sequence, float64 (length, features), or int64 ids (length,).
    as_array : bool
        Whether they came as one array, with steps side by side.
    """

    steps: list[np.ndarray]
    as_array: bool

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def features(self) -> int:
        """Numbers at each step; 1 if they are ids."""
        return self.steps[0].shape[1] if self.steps[0].ndim == 2 else 1

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each."""
        return np.array([len(one) for one in self.steps])


def read(X: Any, num_ids: int | None) -> Sequences:
    """Return sequences of numbers, or of ids below ``num_ids`` if that is given.

    A list or tuple holds one array for each sequence, (length,) or (length, features); an array is
    (N, length) or (N, length, features).
    """
    parts = as_list(X)
    if parts is None:
        array = _numbers("X", X, num_ids)
        if array.ndim not in ((2,) if num_ids is not None else (2, 3)) or 0 in array.shape:
            raise ValueError(
                f"X has shape {array.shape}, expected (N, length)"
                f"{'' if num_ids is not None else ' or (N, length, features)'}, none of them 0, "
                f"or a list of sequences. Reshape your data: a single sequence is X[None]"
            )
        steps = list(array)
    else:
        steps = [_numbers(f"X[{i}]", part, num_ids) for i, part in enumerate(parts)]
        if not steps:
            raise ValueError("X is empty; at least one sequence is expected")
    if num_ids is not None:
        return Sequences([_one(f"X[{i}]", one, 1) for i, one in enumerate(steps)], parts is None)
    steps = [one[:, None] if one.ndim == 1 else one for one in steps]
    steps = [_one(f"X[{i}]", one, 2) for i, one in enumerate(steps)]
    for i, one in enumerate(steps):
        if one.shape[1] != steps[0].shape[1]:
            raise ValueError(
                f"X[{i}] has {one.shape[1]} features at each step, "
                f"expected {steps[0].shape[1]} as X[0] has"
            )
    return Sequences(steps, parts is None)


def as_list(value: Any) -> Sequence[Any] | None:
    """Return the parts of a list, a tuple or an array of arrays; None of anything else."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        return list(value)
    return value if isinstance(value, (list, tuple)) else None


def _numbers(name: str, value: Any, num_ids: int | None) -> np.ndarray:
    if num_ids is None:
        return _check.reals(name, value, FLOAT64)
    ids = _check.integers(name, value, f"integer ids with num_ids={num_ids}")
    return _check.token_ids(name, ids, num_ids)


def _one(name: str, one: np.ndarray, ndim: int) -> np.ndarray:
    if one.ndim != ndim or 0 in one.shape:
        expected = "(length,)" if ndim == 1 else "(length,) or (length, features)"
        raise ValueError(f"{name} has shape {one.shape}, expected {expected}, none of them 0")
    return one
