"""The learning curve of a training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastrnn import _check
from fastrnn.plot import values
from fastrnn.plot.axes import BLUE, GRID, ORANGE, current, whole_numbers
from fastrnn.training import records
from fastrnn.training.history import to_arrays


def learning_curve(history: Any, *, window: int = 1, unit: str = "", ax: Any = None) -> Any:
    """Draw the loss of a training, and that on held-out data where there is one.

    Parameters
    ----------
    history : list of dict, or path-like
        What a training leaves: ``history`` of a :class:`fastrnn.CharRNN` or
        :class:`fastrnn.Forecaster`, ``history_`` of a :class:`fastrnn.SequenceClassifier` or
        :class:`fastrnn.SequenceRegressor`, or the CSV file that ``history_file=`` names, which may
        still grow.
    window : int
        The mean of this record and the ``window - 1`` before it is drawn over each record's own
        loss, where ``window`` is above 1: that of single steps goes up and down with what the
        step learned from. In a long history each record stands for several steps; the legend
        says how many.
    unit : str
        What losses are measured in; "nats per symbol", a character or a byte, unless given where
        the records count them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. A loss on held-out data that was beyond the range of numbers, inf, is
        left out, as one that was not measured.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or the history is empty.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> model = fastrnn.CharRNN(hidden_size=8)
    >>> model = model.fit("to be or not to be. " * 40, steps=20, validation="to be or not")
    >>> ax = plot.learning_curve(model.history, window=5)  # doctest: +SKIP
    """
    curve, count = _read(history)
    window = _check.integer("window", window)
    unit = values.text_argument("unit", unit) or ("nats per symbol" if "chars" in curve else "")
    ax = current(ax)
    at, loss = curve[count], curve["loss"]
    each, noun = _span(at, count)
    own = f"training, each {noun}" if each == 1 else f"training, each {each} {noun}s"
    if window > 1:
        ax.plot(at, loss, color=BLUE, alpha=0.3, linewidth=0.8, label=own)
        loss = running_mean(loss, window)
        own = f"training, mean of {window * each} {noun}s"
    ax.plot(at, loss, color=BLUE, label=own)
    if "validation_loss" in curve:
        _draw_validation(ax, at, curve["validation_loss"], count)
    whole_numbers(ax.xaxis)
    ax.set_title("Learning curve")
    ax.set_xlabel(f"{count} of training")
    ax.set_ylabel(f"loss ({unit})" if unit else "loss")
    ax.grid(**GRID)
    ax.legend(fontsize="small")
    return ax


def _draw_validation(ax: Any, at: np.ndarray, losses: np.ndarray, count: str) -> None:
    """Draw the loss on held-out data where it was measured, and say where it was lowest."""
    measured = ~np.isnan(losses)
    at, losses = at[measured], losses[measured]
    best = int(np.argmin(losses))
    ax.plot(at, losses, "o-", color=ORANGE, markersize=4, label="validation")
    ax.plot(
        at[best], losses[best], "D", color=ORANGE, markersize=8, fillstyle="none",
        label=f"lowest: {losses[best]:.4g} at {count} {at[best]:.0f}",
    )  # fmt: skip


def _span(at: np.ndarray, count: str) -> tuple[int, str]:
    """Return how many of what a record stands for: steps or epochs, or one record itself.

    Of those that a training left only the last may stand for fewer.
    """
    apart = np.diff(at)
    if len(apart) == 0:
        return 1, count
    each = apart[0]
    if each < 1 or (apart[:-1] != each).any() or not 0 < apart[-1] <= each:
        return 1, "record"
    return int(each), count


def running_mean(loss: np.ndarray, window: int) -> np.ndarray:
    """Return the means of each number and up to ``window - 1`` before it.

    Examples
    --------
    >>> running_mean(np.array([4.0, 2.0, 3.0, 1.0]), 3)
    array([4., 3., 3., 2.])
    """
    first = loss[: window - 1]
    means = np.cumsum(first) / np.arange(1, len(first) + 1)
    if len(loss) < window:
        return means
    # Not by differences of sums from the beginning, in which losses after larger ones drown.
    return np.concatenate([means, sliding_window_view(loss, window).mean(axis=1)])


def _read(history: Any) -> tuple[dict[str, np.ndarray], str]:
    """Return an array of each key of a history, and the key that counts its steps."""
    if isinstance(history, (str, os.PathLike)):
        history = records.read("history", history)
    if not isinstance(history, Sequence) or not all(isinstance(one, dict) for one in history):
        raise TypeError(
            f"history must be a list of records or a path, got {_check.describe(history)}"
        )
    if not history:
        raise ValueError("history is empty, expected at least one record of a training")
    count = next((key for key in ("step", "epoch") if all(key in one for one in history)), None)
    if count is None or not all("loss" in one for one in history):
        raise ValueError(
            "each record of history must have a 'loss' and a 'step' or an 'epoch', "
            f"got one with {', '.join(map(repr, history[0])) or 'nothing'}"
        )
    used = (count, "loss", "validation_loss", "chars")
    numbers = [
        {key: _check.number(f"{key!r} of each record of history", one[key])
         for key in used if key in one and not _overflowed(key, one[key])}
        for one in history
    ]  # fmt: skip
    return to_arrays(numbers), count


def _overflowed(key: str, value: Any) -> bool:
    """Return whether this is a loss on held-out data that was beyond the range of numbers."""
    is_float = isinstance(value, (float, np.floating))
    return key == "validation_loss" and is_float and bool(np.isposinf(value))
