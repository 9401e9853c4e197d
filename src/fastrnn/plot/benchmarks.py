"""The benchmark's grid: how far from the limit each library is, row by row."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from fastrnn import _check
from fastrnn.plot import values
from fastrnn.plot.axes import AMBER, BLACK, BLUE, GREEN, GRID, ORANGE, PINK, figure, legend

OURS = "fastrnn"

# Shapes for readers who see no colours.
STYLES = {
    OURS: (ORANGE, "D"),
    "numpy": ("#999999", "s"),
    "torch": (PINK, "o"),
    "jax": (BLUE, "^"),
    "onnxruntime": (GREEN, "v"),
    "openvino": (AMBER, "P"),
}
_OTHER = (BLACK, "x")

# Inches.
ROW_HEIGHT, PANEL_WIDTH, MARGIN = 0.24, 4.0, 1.7

_Rows = Sequence[Mapping[str, Any]]


def grid(results: Any, *, fig: Any = None) -> Any:
    """Draw what ``fastrnn bench`` measured, a panel for each cell.

    Parameters
    ----------
    results : dict or path-like
        What ``fastrnn bench --json FILE`` writes, or the file.
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; in a new figure of pyplot by default, of the size that the rows need. With
        ``layout="constrained"`` all parts find room.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        The panels. A point is the time of a library's fastest form, divided by the estimated
        limit of the machine, or in microseconds unless all rows have one.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If this is not what the command writes.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from fastrnn import plot
    >>> axes = plot.grid("benchmarks/results/zen4-1-thread.json")  # doctest: +SKIP
    """
    about, panels = _read(results)
    fig = figure(fig, _size(panels))
    axes = fig.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    libraries = dict.fromkeys(STYLES) | dict.fromkeys(
        library for rows in panels.values() for row in rows for library in row["microseconds"]
    )
    limited = all(
        row["estimated_limit_microseconds"] is not None for rows in panels.values() for row in rows
    )
    handles: dict[str, Any] = {}
    for panel, (cell, rows) in zip(axes, panels.items(), strict=True):
        handles |= _draw_panel(panel, cell, rows, list(libraries), limited)
    columns = 3 * len(panels)
    legend(fig, list(handles.values()), loc="outside upper center", ncols=columns)
    fig.supxlabel(_caption(about, limited), fontsize="small")
    return axes


def grid_size(results: Any) -> tuple[float, float]:
    """Return the width and the height in inches that :func:`grid` needs for these results.

    Takes and raises what :func:`grid` does.
    """
    return _size(_read(results)[1])


def _size(panels: Mapping[str, _Rows]) -> tuple[float, float]:
    longest = max(map(len, panels.values()))
    return PANEL_WIDTH * len(panels) + MARGIN, ROW_HEIGHT * longest + MARGIN


def _draw_panel(
    axes: Any, cell: str, rows: _Rows, libraries: Sequence[str], limited: bool
) -> dict[str, Any]:
    """Draw a cell's rows, and return what stands for each library."""
    height = range(len(rows))
    handles: dict[str, Any] = {}
    for library in libraries:
        points = [
            (min(row["microseconds"][library].values()) / _unit(row, limited), y)
            for y, row in zip(height, rows, strict=True)
            if library in row["microseconds"]
        ]
        if points:
            colour, marker = STYLES.get(library, _OTHER)
            ours = library == OURS
            (handles[library],) = axes.plot(
                *zip(*points, strict=True),
                marker,
                color=colour,
                label=values.plain(library),
                markersize=6.5 if ours else 5,
                alpha=1 if ours else 0.8,
                zorder=3 if ours else 2,
            )
    if limited:
        axes.axvline(1, color="black", linewidth=1)
    axes.set_title(cell)
    axes.set_xscale("log")
    axes.set_yticks(height, [row["name"].replace(f" {cell} ", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="both", **GRID)
    axes.tick_params(labelsize="small", length=0)
    axes.set_axisbelow(True)
    return handles


def _unit(row: Mapping[str, Any], limited: bool) -> float:
    return row["estimated_limit_microseconds"] if limited else 1.0


def _caption(about: Mapping[str, Any], limited: bool) -> str:
    unit = "time / estimated limit (the line: 1)" if limited else "µs"
    where = f"{about['cpu']}, {about['isa']}, {about['threads']} thread(s)"
    return values.plain(f"{unit}; {where}, {about['date'][:10]}")


def _read(results: Any) -> tuple[Mapping[str, Any], dict[str, list[Mapping[str, Any]]]]:
    """Return what results say of the machine, and their rows by cell."""
    if isinstance(results, (str, os.PathLike)):
        path = _check.path("results", results)
        with open(path, "rb") as file:
            try:
                results = json.load(file)
            except ValueError as error:
                raise ValueError(f"results {path!r} is not JSON: {error}") from None
    elif not isinstance(results, Mapping):
        raise TypeError(f"results must be a dict or a path, got {_check.describe(results)}")
    try:
        about = {name: results["machine"][name] for name in ("cpu", "isa", "threads", "date")}
        values.text_argument("the date", about["date"])
        panels: dict[str, list[Mapping[str, Any]]] = {}
        for row in results["rows"]:
            for library, times in row["microseconds"].items():
                values.text_argument("each library", library)
                _check.number("a time", min(times.values()), above=0)
            if row["estimated_limit_microseconds"] is not None:
                _check.number("a limit", row["estimated_limit_microseconds"], above=0)
            panels.setdefault(row["cell"], []).append({**row, "name": str(row["name"])})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"results must be what fastrnn bench --json writes, but something is missing or "
            f"different: {type(error).__name__}: {error}"
        ) from None
    if not panels:
        raise ValueError("results has no rows, expected at least one")
    return about, panels
