"""Pictures, where Matplotlib is installed."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any

from fastrnn import checkpoint

if TYPE_CHECKING:
    from fastrnn.forecast import Result

# Okabe and Ito's colours, which readers with any colour vision tell apart.
PAST, AHEAD = "#0072b2", "#d55e00"

# Rows of the past that are shown for each step ahead, and at least.
ROWS_PER_STEP, LEAST_ROWS = 5, 60


def check_available() -> None:
    """Raise a ValueError that says what to install, where Matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "--plot needs Matplotlib, which the extra 'plot' brings: "
            "python -m pip install 'fastrnn[plot]'"
        )


def draw_forecast(file: str, result: Result) -> None:
    """Draw each column's last rows and its forecast to ``file``, whole or not at all."""
    from matplotlib.figure import Figure

    names = result.series.names
    figure = Figure(figsize=(8, 1 + 2.5 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for place, panel in enumerate(axes):
        _draw_column(panel, result, place)
    axes[-1].set_xlabel(_plain(result.series.time or "rows after the last"))
    drawn = io.BytesIO()
    figure.savefig(drawn, format=file.rsplit(".", 1)[-1].lower(), dpi=150)
    checkpoint.replace(file, drawn.getvalue())


def _draw_column(axes: Any, result: Result, place: int) -> None:
    """Draw one column, with 0 at its last row."""
    steps = len(result.labels)
    past = result.series.values[-max(LEAST_ROWS, ROWS_PER_STEP * steps) :, place]
    ahead = range(1, steps + 1)
    axes.plot(range(1 - len(past), 1), past, color=PAST, label="series")
    if result.bounds is not None and result.coverage is not None:
        axes.fill_between(
            ahead,
            result.bounds[0][:, place],
            result.bounds[1][:, place],
            color=AHEAD,
            alpha=0.25,
            linewidth=0,
            label=f"{100 * result.coverage:.4g} %",
        )
    axes.plot(ahead, result.forecast[:, place], color=AHEAD, label="forecast")
    axes.set_ylabel(_plain(result.series.names[place]))
    axes.grid(color="#e0e0e0", linewidth=0.6)
    axes.legend(loc="upper left", fontsize="small")
    labels = [*result.series.labels[-len(past) :], *result.labels]
    if result.series.labels:
        at = [place for place in axes.get_xticks() if -len(past) < place <= steps]
        axes.set_xticks(at, [_plain(labels[round(one) + len(past) - 1]) for one in at])


def _plain(text: str) -> str:
    """Return what Matplotlib draws as this text, and not as a formula."""
    return text.replace("$", r"\$")
