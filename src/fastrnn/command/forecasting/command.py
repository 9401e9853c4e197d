"""What ``fastrnn forecast`` does: from a CSV file to a forecast and its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastrnn.command.forecasting import dates
from fastrnn.errors import NonFiniteLossError
from fastrnn.sequence import Forecaster, intervals
from fastrnn.sequence.tables import Table

# A day of hours, two years of months: enough for what is near, and quick to learn.
WINDOW = 24

# Passes over a long series; a short one has few updates in a pass and is given as many in all.
EPOCHS, UPDATES = 40, 500


@dataclass(frozen=True)
class Series:
    """Columns of a table, and what its rows are called.

    Attributes
    ----------
    path : str
        The file, "-" for standard input.
    names : list of str
        Of the columns.
    values : ndarray of float64, shape (rows, columns)
    time : str or None
        The name of the column that labels are from.
    labels : list of str
        Of the rows, empty without such a column.
    """

    path: str
    names: list[str]
    values: np.ndarray
    time: str | None
    labels: list[str]

    def following(self, steps: int) -> list[str]:
        """Return labels for the steps after the last row."""
        return dates.following(self.labels, steps)


@dataclass(frozen=True)
class Result:
    """A forecast, and how far off forecasts were on rows that were held out.

    Attributes
    ----------
    series : Series
    forecaster : Forecaster
    held_out, steps_measured : int
        Rows that were not learned from, and how many steps ahead they were forecast.
    errors : dict of ndarray, shape (columns,)
        As :meth:`fastrnn.Forecaster.evaluate` has them.
    labels : list of str
        Of the steps ahead.
    forecast : ndarray, shape (steps, columns)
    bounds : tuple of two such ndarray, or None
    coverage : float or None
        The share of intervals that shall hold what comes.
    """

    series: Series
    forecaster: Forecaster
    held_out: int
    steps_measured: int
    errors: dict[str, np.ndarray]
    labels: list[str]
    forecast: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray] | None
    coverage: float | None


def choose(table: Table, columns: list[str] | None, time: str | None) -> Series:
    """Return the columns of these names, labelled by the column ``time``.

    Without ``columns`` it is the only one that holds mostly numbers, without ``time`` the first
    of dates.

    Raises
    ------
    ValueError
        If there is no such column, one holds what is no number, or time runs backwards.
    """
    places = [table.find(column) for column in columns or []]
    labelled = _time(table, places) if time is None else table.find(time)
    if labelled in places:
        raise ValueError(
            f"the column {table.names[labelled]!r} cannot be forecast and label the rows"
        )
    if not places:
        places = [_only(table, labelled)]
    doubled = [place for place in places if places.count(place) > 1]
    if doubled:
        raise ValueError(f"the column {table.names[doubled[0]]!r} is asked for twice")
    values = np.stack([table.numbers(place) for place in places], axis=1)
    labels = [] if labelled is None else table.texts(labelled)
    _refuse_backwards(table, labels)
    name = None if labelled is None else table.names[labelled]
    return Series(table.path, [table.names[place] for place in places], values, name, labels)


def _only(table: Table, labelled: int | None) -> int:
    """Return the only column that is meant as numbers, whether or not all of them can be read.

    Where one can be read and others have flaws, it may be an index beside what is to be forecast.
    """
    places = [
        place
        for place in range(len(table.names))
        if place != labelled and table.is_meant_as_numbers(place)
    ]
    if len(places) == 1:
        return places[0]
    named = [table.names[place] for place in places] or table.names
    listed = ", ".join(repr(name) for name in named[:20])
    hint = f"name one with --column, of {listed}"
    if not places:
        raise ValueError(f"{table.source} has no column of numbers; {hint}")
    if sum(map(table.holds_numbers, places)) < 2:
        try:
            for place in places:
                table.numbers(place)
        except ValueError as error:
            raise ValueError(f"{error}; or {hint}") from None
    raise ValueError(f"{table.source} has several columns of numbers; {hint}")


def _time(table: Table, places: list[int]) -> int | None:
    """Return the first column of dates or times that is not forecast."""
    for place in range(len(table.names)):
        is_free = place not in places and not table.holds_numbers(place)
        if is_free and dates.are_times(table.texts(place)):
            return place
    return None


def _refuse_backwards(table: Table, labels: list[str]) -> None:
    place = dates.backwards(labels)
    if place is not None:
        raise ValueError(
            f"{table.source}, line {table.lines[place]}: {labels[place]} stands after "
            f"{labels[place - 1]}; sort the rows by time, and leave one series in the file"
        )


def run(
    series: Series,
    steps: int,
    *,
    window: int | None,
    season: int | None,
    calibration: float,
    coverage: float | None,
    model: dict,
    training: dict,
) -> Result:
    """Learn from all but the last rows, measure on those, and forecast what follows them.

    ``model`` and ``training`` are options of :class:`fastrnn.Forecaster` and of its ``fit``.
    """
    values, count = series.values, len(series.values)
    held_out = int(calibration * count)
    learned = count - held_out
    if window is None:
        window = max(2, min(max(WINDOW, season or 0), learned // 3))
    before = max(window, season or 0)
    least = max(before + 1, window + model["horizon"])
    if held_out < 1 or learned < least:
        repeats = "" if season is None else f" and a season of {season}"
        raise ValueError(
            f"the table has {count} rows, of which {held_out} are held out and {learned} learned "
            f"from; at least {least} to learn from, for a window of {window} and a horizon of "
            f"{model['horizon']}{repeats}, and at least 1 to hold out are expected"
        )
    if coverage is not None:
        _require_errors(coverage, held_out, steps)
    variables = values.shape[1] if values.shape[1] > 1 else None
    shaped = values if variables else values[:, 0]
    if training["epochs"] is None:
        batches = max(1, math.ceil((learned - window) / training["batch_size"]))
        training = {**training, "epochs": max(EPOCHS, math.ceil(UPDATES / batches))}
    forecaster = Forecaster(window, variables=variables, **model)
    try:
        forecaster.fit(shaped, calibration=calibration, **training)
    except NonFiniteLossError:  # which advises what only the Python call takes
        raise NonFiniteLossError(
            f"the loss, the gradient or a weight is not finite with --lr {training['lr']:g}; "
            f"give one well below"
        ) from None
    measured = min(steps, held_out)
    errors = forecaster.evaluate(
        shaped[learned - before :], steps=measured, season=season, average=False
    )
    bounds = None
    if coverage is None:
        forecast = forecaster.forecast(steps)
    else:
        forecast, *both = forecaster.forecast_interval(steps, coverage)
        bounds = both[0].reshape(steps, -1), both[1].reshape(steps, -1)
    return Result(
        series,
        forecaster,
        held_out,
        measured,
        errors,
        series.following(steps),
        forecast.reshape(steps, -1),
        bounds,
        coverage,
    )


def _require_errors(coverage: float, held_out: int, steps: int) -> None:
    """Refuse, before any work, an interval that too few errors would be known for."""
    needed = intervals.errors_needed(coverage) + steps - 1
    if held_out < needed:
        raise ValueError(
            f"--interval {coverage:g} of {steps} steps needs at least {needed} held-out rows, "
            f"got {held_out}; give a larger --held-out, fewer --steps or a smaller --interval"
        )
