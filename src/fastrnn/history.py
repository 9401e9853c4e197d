"""A learning curve that stays small however long the training."""

from __future__ import annotations

from typing import Any

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
        Of a single step. Of several, ``loss`` is the mean and all else is as after the last.

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
    return {**second, "loss": (a * first["loss"] + b * second["loss"]) / (a + b)}
