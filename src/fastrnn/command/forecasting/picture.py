"""The picture that ``fastrnn forecast --plot`` draws."""

from __future__ import annotations

from typing import Any

from fastrnn import plot
from fastrnn.command.forecasting.command import Result
from fastrnn.plot.axes import save
from fastrnn.plot.values import plain

# Rows of the past that are shown for each step ahead, and at least.
ROWS_PER_STEP, LEAST_ROWS = 5, 60


def draw(file: str, result: Result) -> None:
    """Draw each column's last rows and its forecast to ``file``, whole or not at all."""
    from matplotlib.figure import Figure

    names = result.series.names
    figure = Figure(figsize=(8, 1 + 2.5 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for place, panel in enumerate(axes):
        _draw_column(panel, result, place)
        panel.label_outer()
        if place > 0:
            panel.set_title("", loc="left")
    axes[-1].set_xlabel(plain(result.series.time or "rows after the last"))
    save(figure, file)


def _draw_column(axes: Any, result: Result, place: int) -> None:
    """Draw one column, with 0 at its last row."""
    steps = len(result.labels)
    past = result.series.values[-max(LEAST_ROWS, ROWS_PER_STEP * steps) :, place]
    bounds, label = None, "interval"
    if result.bounds is not None and result.coverage is not None:
        bounds = result.bounds[0][:, place], result.bounds[1][:, place]
        label = f"{100 * result.coverage:.4g} %"
    plot.forecast(past, result.forecast[:, place], bounds, bounds_label=label, ax=axes)
    axes.set_ylabel(plain(result.series.names[place]))
    labels = [*result.series.labels[-len(past) :], *result.labels]
    if result.series.labels:
        at = [place for place in axes.get_xticks() if -len(past) < place <= steps]
        axes.set_xticks(at, [plain(labels[round(one) + len(past) - 1]) for one in at])
