"""A learning curve that stays small however long the training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Two to three megabytes, and finer than a plot can show.
MOST_RECORDS = 10_000


def append(history: list[dict[str, Any]], count: str, record: dict[str, Any]) -> None:
    """Append what one more step of training gave.

    Parameters
    ----------
    history : list of dict
        Grows to MOST_RECORDS, an even number; then two and two of them become one, and from there
        on each stands for twice as many steps.
    count : str
        The key under which a record has the number of steps made.
    record : dict
        Of a single step. Of several, ``loss`` is the mean and all else is as after the last that
        has it.

    Examples
    --------
    >>> curve = []
    >>> for epoch in range(1, 5):
    ...     append(curve, "epoch", {"epoch": epoch, "loss": 1 / epoch})
    >>> len(curve), curve[-1]
    (4, {'epoch': 4, 'loss': 0.25})
    """
    steps_each = history[0][count] if history else 1
    complete = history[-2][count] if len(history) > 1 else 0
    if history and history[-1][count] - complete < steps_each:
        history[-1] = _together(history[-1], record, count, complete)
    elif len(history) < MOST_RECORDS:
        history.append(record)
    else:
        starts = [0, *(one[count] for one in history[1::2])]
        pairs = zip(history[::2], history[1::2], starts, strict=False)
        history[:] = [*(_together(a, b, count, start) for a, b, start in pairs), record]


def _together(
    first: dict[str, Any], second: dict[str, Any], count: str, start: int
) -> dict[str, Any]:
    """Return one record for two, the first of which begins after ``start`` steps."""
    a, b = first[count] - start, second[count] - first[count]
    return {**first, **second, "loss": (a * first["loss"] + b * second["loss"]) / (a + b)}


def to_arrays(history: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return a float64 array (records,) for each key; NaN stands where a record lacks it.

    Examples
    --------
    >>> to_arrays([{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "lr": 0.1}])["lr"]
    array([nan, 0.1])
    """
    keys = dict.fromkeys(key for record in history for key in record)
    return {
        key: np.array([record.get(key, math.nan) for record in history], np.float64) for key in keys
    }


def from_arrays(arrays: dict[str, np.ndarray], counts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the history that :func:`to_arrays` was given; ``counts`` are its whole numbers.

    Examples
    --------
    >>> from_arrays(to_arrays([{"step": 1, "loss": 0.5}, {"step": 2}]), counts=("step",))
    [{'step': 1, 'loss': 0.5}, {'step': 2}]
    """
    rows = zip(*(array.tolist() for array in arrays.values()), strict=True)
    return [
        {
            key: int(value) if key in counts else value
            for key, value in zip(arrays, row, strict=True)
            if not math.isnan(value)
        }
        for row in rows
    ]
