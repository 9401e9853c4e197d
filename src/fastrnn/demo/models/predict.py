"""A series of numbers, a forecaster that learns its first part, and how well it goes on.

The sunspot numbers are yearly means of the monthly ones of the US National Geophysical Data Center
(NOAA), 1749 to 2008, which are in the public domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from fastrnn import data
from fastrnn.corpus import textfiles
from fastrnn.demo.models import uploads
from fastrnn.sequence import Forecaster
from fastrnn.sequence.accuracy import naive
from fastrnn.sequence.tables import Table, read_table

SUNSPOTS = Path(__file__).parents[1] / "assets" / "sunspots.csv"

# The share of a series, at its end, that is only looked at to judge forecasts; no more values than
# can be forecast from while a slider moves.
HELD_OUT, MAX_HELD_OUT = 0.2, 400
MAX_STEPS = 60
# A table beyond this takes seconds in which the page answers nobody.
MAX_CHARACTERS, MAX_COLUMNS = 2_000_000, 100
MIN_ROWS, MAX_ROWS = 10, 10_000
# Of batches this large a long series has many in a pass, and a short one has one.
LR, BATCH_SIZE, CURVE_POINTS = 0.01, 256, 200


@dataclass(frozen=True, eq=False)
class Series:
    """A series, and how it is learned unless somebody says otherwise.

    Attributes
    ----------
    name : str
    values : ndarray of float64, shape (n,)
    unit : str
        What its places are counted in.
    first : int
        The place of the first value.
    window : int
        How many values to read for the next.
    scaling : str
        As :class:`fastrnn.Forecaster` takes it.
    note : str
        A sentence about it.
    """

    name: str
    values: np.ndarray
    unit: str = "row"
    first: int = 1
    window: int = 24
    scaling: str = "global"
    note: str = ""

    @property
    def places(self) -> np.ndarray:
        """The place of each value, (n,)."""
        return self.first + np.arange(len(self.values))

    @property
    def learned(self) -> int:
        """How many values are learned from."""
        count = len(self.values)
        return count - min(max(1, int(HELD_OUT * count)), MAX_HELD_OUT)

    @property
    def largest_window(self) -> int:
        """The largest window that leaves something to learn from."""
        return min(100, self.learned // 2)


@cache
def sine() -> Series:
    """Return a sine wave of 40 steps, ten times."""
    return Series(
        "Sine wave",
        data.sine(401, periods=10),
        unit="step",
        window=20,
        note="A wave that repeats itself every 40 steps.",
    )


@cache
def counting() -> Series:
    """Return the numbers from 1 to 100."""
    return Series(
        "Counting",
        data.linear(100, start=1),
        unit="step",
        window=8,
        scaling="window",
        note="The network sees each window relative to its last value here. Scaled by the level of "
        "the series instead, it cannot leave the range that it has seen: try that, too.",
    )


@cache
def sunspots() -> Series:
    """Return yearly means of the sunspot number."""
    table = read_table(SUNSPOTS)
    return Series(
        "Sunspots",
        table.numbers(1),
        unit="year",
        first=int(table.rows[0][0]),
        note="Yearly means of the sunspot number, by NOAA's National Geophysical Data Center.",
    )


@dataclass(frozen=True)
class Upload:
    """A table that somebody brought.

    Attributes
    ----------
    series : dict of str to Series
        By name, the columns of numbers; at least one.
    flaws : list of str
        What is wrong with columns that should be such.
    """

    series: dict[str, Series]
    flaws: list[str]

    @classmethod
    def read(cls, content: bytes, name: str) -> Upload:
        r"""Read a CSV file.

        Raises
        ------
        ValueError
            If it is none, has no column of numbers that can be used, too few or too many rows, or
            more columns or characters than are taken here.

        Examples
        --------
        >>> upload = Upload.read(b"day,sold\n" + b"Mo,3\n" * 10, "shop.csv")
        >>> list(upload.series)
        ['sold']
        """
        table = replace(uploads.read(content, name, _table), path=name)
        series, flaws = {}, []
        for place, title in enumerate(table.names):
            if table.is_meant_as_numbers(place):
                while title in series:  # as in a table that was joined from two
                    title += f" ({place + 1})"
                try:
                    series[title] = _of_column(name, title, table.numbers(place))
                except ValueError as error:
                    flaws.append(str(error))
        if not series:
            listed = ", ".join(repr(title) for title in table.names[:10])
            raise ValueError(
                flaws[0] if flaws else f"{name!r} has no column of numbers; it has {listed}"
            )
        return cls(series, flaws)


def _of_column(name: str, title: str, values: np.ndarray) -> Series:
    series = Series(f"{name}, {title}", values)
    return replace(series, window=min(series.window, series.largest_window))


def _table(path: str) -> Table:
    """Read a table of bounded size whose first line may name the columns."""
    _require_length(path)
    table = read_table(path, header=False)
    first = Table(path, table.names, table.rows[:1], table.lines[:1])
    _require_size(path, len(table.names), "column", 1, MAX_COLUMNS)
    if not all(first.holds_numbers(place) for place in range(len(table.names))):
        _require_size(path, len(table.rows) - 1, "row", MIN_ROWS, MAX_ROWS)
        table = read_table(path)
    _require_size(path, len(table.rows), "row", MIN_ROWS, MAX_ROWS)
    return table


def _require_length(path: str) -> None:
    """Refuse a long text before it is in memory: gzip makes a thousand bytes of one."""
    length = 0
    for piece in textfiles.read(path):
        length += len(piece)
        if length > MAX_CHARACTERS:
            raise ValueError(
                f"{path!r} has more than {MAX_CHARACTERS:,} characters; this page takes at most "
                f"so many"
            )


def _require_size(path: str, count: int, what: str, least: int, most: int) -> None:
    if not least <= count <= most:
        raise ValueError(
            f"{path!r} has {count:,} {what}{'s' * (count != 1)}; this page takes {least} to "
            f"{most:,}"
        )


@dataclass(frozen=True, eq=False)
class Ahead:
    """A forecast of what was held out, beside what came and what a guess without a model is.

    Attributes
    ----------
    places : ndarray, shape (steps,)
    forecast, naive : ndarray of float64, shape (steps,)
        The network's, and the last value that was learned from over and over.
    actual : ndarray of float64
        What came, shorter where the series ends before.
    mae, naive_mae : float
        Mean absolute errors of forecasts of up to so many steps from all places in what was held
        out, those of :meth:`fastrnn.Forecaster.evaluate`.
    """

    places: np.ndarray
    forecast: np.ndarray
    naive: np.ndarray
    actual: np.ndarray
    mae: float
    naive_mae: float


@dataclass(frozen=True)
class Sum:
    """The numbers of the first step of a forecast: value = center + reach * output.

    Attributes
    ----------
    last : float
        The last value of the window.
    scaled : float
        How the network reads it, (last - center) / spread.
    center, spread, reach : float
        c, s and s u of :class:`fastrnn.Forecaster`.
    output : float
        What the network answers.
    value : float
        What it predicts.
    """

    last: float
    scaled: float
    center: float
    spread: float
    reach: float
    output: float
    value: float


class Lesson:
    """The training of a new forecaster on all of a series but its end.

    Parameters
    ----------
    series : Series
    window, cell, hidden_size, scaling, epochs
        As :class:`fastrnn.Forecaster` and its ``fit`` take them.

    Attributes
    ----------
    forecaster : Forecaster
        What is trained: to be used when the training is over.
    curve : list of (int, float)
        Epochs and their losses, so many that a curve can be drawn.
    latest : ndarray of float64, shape (MAX_STEPS,)
        What it forecast a moment ago.

    Raises
    ------
    ValueError
        If an option is none that a forecaster takes.

    Examples
    --------
    >>> lesson = Lesson(sine(), window=20, cell="rnn", hidden_size=8, scaling="global", epochs=20)
    >>> lesson(lambda progress: None)
    >>> len(lesson.curve), lesson.forecast(5).forecast.shape
    (20, (5,))
    """

    def __init__(
        self,
        series: Series,
        *,
        window: int,
        cell: str,
        hidden_size: int,
        scaling: str,
        epochs: int,
    ) -> None:
        self.series = series
        self.forecaster = Forecaster(window, cell=cell, hidden_size=hidden_size, scaling=scaling)
        self.curve: list[tuple[int, float]] = []
        self.latest = np.empty(0)
        self._epochs = epochs
        self._forecast: np.ndarray | None = None

    def __call__(self, report: Callable[[float], object]) -> None:
        """Train, and say after every epoch how far it is; StopTraining raised there ends it."""

        def after_epoch(record: dict[str, float]) -> None:
            epoch = int(record["epoch"])
            if epoch == 1 or epoch % max(1, self._epochs // CURVE_POINTS) == 0:
                self.curve.append((epoch, record["loss"]))
                self.latest = self.forecaster.forecast(MAX_STEPS)
            report(epoch / self._epochs)

        # One thread: there may be other readers.
        self.forecaster.fit(
            self.series.values[: self.series.learned],
            epochs=self._epochs,
            batch_size=BATCH_SIZE,
            lr=LR,
            callbacks=[after_epoch],
            num_threads=1,
        )
        last = self.forecaster.history[-1]
        if self.curve[-1][0] != last["epoch"]:
            self.curve.append((int(last["epoch"]), last["loss"]))

    def forecast(self, steps: int) -> Ahead:
        """Return what follows the part that was learned, after the training."""
        series, start = self.series, self.series.learned
        before = start - self.forecaster.window
        if self._forecast is None:  # once: the first steps of a long forecast are a short one
            self._forecast = self.forecaster.forecast(MAX_STEPS)
        measured = min(steps, len(series.values) - start)
        errors = self.forecaster.evaluate(series.values[before:], steps=measured)
        return Ahead(
            series.first + start + np.arange(steps),
            self._forecast[:steps],
            naive(series.values[:, None], np.array([start]), steps)[0, :, 0],
            series.values[start : start + steps],
            errors["mae"],
            errors["naive_mae"],
        )

    def first_step(self) -> Sum:
        """Return how the first value of the forecast comes about."""
        model = self.forecaster._require_fitted().model
        start = self.series.learned
        window = self.series.values[None, start - model.window : start, None]
        frame = model.scaling.frame(window, model.network.layer.dtype)
        inputs = frame.inputs(window, None)
        outputs, _ = model.network(inputs, outputs="last")
        (scaling,) = frame.variables
        return Sum(
            last=float(window[0, -1, 0]),
            scaled=float(inputs[-1, 0, 0]),
            center=float(scaling.center[0]),
            spread=float(scaling.spread[0]),
            reach=float(scaling.reach[0]),
            output=float(outputs[0, 0]),
            value=float(frame.values(outputs)[0, 0, 0]),
        )
