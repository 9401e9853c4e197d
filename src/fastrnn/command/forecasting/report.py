"""How ``fastrnn forecast`` shows a forecast: aligned text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn.command.forecasting.command import Result
from fastrnn.command.saying import name_file

# How rows of errors are called, and how their keys begin.
KINDS = (("fastrnn", ""), ("naive", "naive_"), ("seasonal naive", "seasonal_naive_"))
MEASURES = ("mae", "rmse", "mase")


def as_text(result: Result) -> str:
    """Return what a person reads."""
    series, forecaster = result.series, result.forecaster
    rows = len(series.values)
    ends = f", {series.labels[0]} to {series.labels[-1]}" if series.labels else ""
    parameters = forecaster.network.num_parameters if forecaster.network else 0
    ahead = "1 step" if result.steps_measured == 1 else f"1 to {result.steps_measured} steps"
    lines = [
        f"series     {name_file(series.path)}: {rows:,} rows of {', '.join(series.names)}{ends}",
        f"model      {forecaster.cell}, {forecaster.hidden_size:,} hidden units, "
        f"window {forecaster.window:,}: {parameters:,} parameters",
        f"held out   the last {result.held_out:,} rows, forecast {ahead} ahead from each of them",
        "",
        *_errors(result),
        "",
        *_forecast(result),
    ]
    return "\n".join(lines)


def _errors(result: Result) -> list[str]:
    """Return a table of errors for each column, and say where the model is not worth it."""
    kinds = [(name, key) for name, key in KINDS if key + "mae" in result.errors]
    lines = []
    for place, column in enumerate(result.series.names):
        head = ["errors" if len(result.series.names) == 1 else column, *map(str.upper, MEASURES)]
        body = [
            [name, *(f"{result.errors[key + measure][place]:.4g}" for measure in MEASURES)]
            for name, key in kinds
        ]
        lines += _aligned([head, *body])
        least, best = min((result.errors[key + "mae"][place], name) for name, key in kinds)
        if best != "fastrnn":
            lines.append(f"Of {column} the {best} forecast was better (MAE {least:.4g}).")
    return lines


def _forecast(result: Result) -> list[str]:
    head = [result.series.time or "step"]
    columns = [result.labels]
    for place, name in enumerate(result.series.names):
        parts = [(name, result.forecast[:, place])]
        if result.bounds is not None and result.coverage is not None:
            share = f"{100 * result.coverage:.4g} %"
            parts.append((f"lower {share}", result.bounds[0][:, place]))
            parts.append((f"upper {share}", result.bounds[1][:, place]))
        decimals = _decimals(np.stack([values for _, values in parts]))
        for title, values in parts:
            head.append(title)
            columns.append([f"{value:.{decimals}f}" for value in values])
    return _aligned([head, *map(list, zip(*columns, strict=True))])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with the first column on the left and the others on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _decimals(values: np.ndarray) -> int:
    """Return how many decimals show four digits of the largest."""
    largest = float(np.abs(values).max())
    return min(12, max(0, 3 - math.floor(math.log10(largest)))) if largest > 0 else 0


def as_json(result: Result) -> str:
    """Return one JSON object, with null for what is not a number."""
    series, forecaster = result.series, result.forecaster
    document = {
        "file": series.path,
        "columns": series.names,
        "rows": len(series.values),
        "held_out": result.held_out,
        "steps_measured": result.steps_measured,
        "coverage": result.coverage,
        "model": {
            name: getattr(forecaster, name)
            for name in ("cell", "hidden_size", "window", "horizon", "scaling", "seed")
        },
        "errors": {
            column: {name: _number(values[place]) for name, values in result.errors.items()}
            for place, column in enumerate(series.names)
        },
        "forecast": [
            {"label": label, **_values(result, step)} for step, label in enumerate(result.labels)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _values(result: Result, step: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for place, name in enumerate(result.series.names):
        values[name] = {"forecast": float(result.forecast[step, place])}
        if result.bounds is not None:
            lower, upper = result.bounds
            values[name] |= {"lower": float(lower[step, place]), "upper": float(upper[step, place])}
    return {"values": values}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def as_csv(result: Result) -> str:
    """Return the forecast as CSV, a row for each step, with all digits."""
    head = [result.series.time or "step"]
    columns: list[Sequence[Any]] = [result.labels]
    for place, name in enumerate(result.series.names):
        head.append(name)
        columns.append(result.forecast[:, place].tolist())
        if result.bounds is not None:
            head += [f"{name} lower", f"{name} upper"]
            columns += [bound[:, place].tolist() for bound in result.bounds]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([head, *zip(*columns, strict=True)])
    return written.getvalue().rstrip("\n")
