"""The grid as a picture: how far from the limit each library is, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastrnn.bench.report import OURS, Result
from fastrnn.bench.rows import GATES

# Colours that readers with any colour vision tell apart (Okabe and Ito), shapes for the others.
STYLES = {
    OURS: ("#d55e00", "D"),
    "numpy": ("#999999", "s"),
    "torch": ("#cc79a7", "o"),
    "jax": ("#0072b2", "^"),
    "onnxruntime": ("#009e73", "v"),
    "openvino": ("#e69f00", "P"),
}
ROW_HEIGHT, PANEL_WIDTH, MARGIN = 0.24, 4.0, 1.7


def draw(file: str, results: Sequence[Result], about: dict[str, Any]) -> None:
    """Draw a panel for each cell to ``file``, in the format that its name ends in."""
    from matplotlib.figure import Figure

    by_cell = {cell: [r for r in results if r.row.cell == cell] for cell in GATES}
    panels = {cell: rows for cell, rows in by_cell.items() if rows}
    longest = max(map(len, panels.values()))
    size = (PANEL_WIDTH * len(panels) + MARGIN, ROW_HEIGHT * longest + MARGIN)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for panel, (cell, rows) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, cell, rows)
    handles = {
        handle.get_label(): handle
        for panel in axes
        for handle in panel.get_legend_handles_labels()[0]
    }
    figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=len(handles))
    figure.supxlabel(_caption(results, about), fontsize="small")
    figure.savefig(file, dpi=150)


def _draw_panel(axes: Any, cell: str, rows: Sequence[Result]) -> None:
    height = range(len(rows))
    for library, (colour, marker) in STYLES.items():
        points = [
            (time / (row.limit or 1.0), y)
            for y, row in zip(height, rows, strict=True)
            if (time := row.best(library)) is not None
        ]
        if points:
            ours = library == OURS
            axes.plot(
                *zip(*points, strict=True),
                marker,
                color=colour,
                label=library,
                markersize=6.5 if ours else 5,
                alpha=1 if ours else 0.8,
                zorder=3 if ours else 2,
            )
    if rows[0].limit is not None:
        axes.axvline(1, color="black", linewidth=1)
    axes.set_title(cell)
    axes.set_xscale("log")
    axes.set_yticks(height, [row.row.name.replace(f" {cell} ", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="both", color="#e0e0e0", linewidth=0.6)
    axes.tick_params(labelsize="small", length=0)
    axes.set_axisbelow(True)


def _caption(results: Sequence[Result], about: dict[str, Any]) -> str:
    unit = "µs" if results[0].limit is None else "time / estimated limit (the line: 1)"
    where = f"{about['cpu']}, {about['isa']}, {about['threads']} thread(s)"
    return f"{unit}; {where}, {about['date'][:10]}"
