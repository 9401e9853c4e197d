"""The grid shows the time of each library's fastest form, from what the benchmark wrote."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from fastrnn import plot
from fastrnn.bench import report, run
from fastrnn.bench.rows import GATES, select

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

ABOUT = {"cpu": "a $CPU", "isa": "baseline", "threads": 2, "date": "2026-01-01T00:00"}


def document(limit: float | None = 0.5, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    results = [
        report.Result(
            row,
            {"fastrnn": {"a": 1.0 + place}, "jax": {"a": 9.0, "b": 2.0 + place}, **(extra or {})},
            limit,
        )
        for place, row in enumerate(select("^(step|gen)"))
    ]
    return run._document(ABOUT, None, run.QUICK, results)


def draw(results):
    return plot.grid(results, fig=figure.Figure(layout="constrained"))


@pytest.mark.parametrize("limit", [0.5, None])
def test_a_point_is_the_best_time_over_the_limit(limit: float | None) -> None:
    results = document(limit)
    panels = draw(results)
    assert [ax.get_title() for ax in panels] == list(GATES)
    for ax, cell in zip(panels, GATES, strict=True):
        rows = [row for row in results["rows"] if row["cell"] == cell]
        ours, jax = ax.get_lines()[:2]
        expected = [row["microseconds"]["fastrnn"]["a"] / (limit or 1) for row in rows]
        np.testing.assert_allclose(ours.get_xdata(), expected)
        fastest = [min(9.0, row["microseconds"]["jax"]["b"]) for row in rows]
        expected = [time / (limit or 1) for time in fastest]
        np.testing.assert_allclose(jax.get_xdata(), expected)
        np.testing.assert_array_equal(ours.get_ydata(), range(len(rows)))
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == [row["name"].replace(f" {cell} ", " ") for row in rows]
        at_the_limit = [list(line.get_xdata()) for line in ax.get_lines()[2:]]
        assert at_the_limit == ([] if limit is None else [[1, 1]])
    unit = "µs" if limit is None else "time / estimated limit (the line: 1)"
    caption = panels[0].figure.get_supxlabel()
    assert caption == unit + r"; a \$CPU, baseline, 2 thread(s), 2026-01-01"


def test_the_file_is_the_same_picture_as_what_is_in_it(tmp_path) -> None:
    file = tmp_path / "grid.json"
    file.write_text(json.dumps(document()))
    for one, other in zip(draw(document()), draw(file), strict=True):
        for line, same in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())
    assert plot.grid_size(file) == plot.grid_size(document())


def test_a_library_that_nobody_knows_yet_has_points_too() -> None:
    panels = draw(document(extra={"newcomer": {"a": 4.0}}))
    assert [line.get_label() for line in panels[0].get_lines()[:3]] == [
        "fastrnn",
        "jax",
        "newcomer",
    ]
    (legend,) = panels[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fastrnn", "jax", "newcomer"]


def test_a_library_is_named_whatever_its_name_begins_with() -> None:
    (legend,) = draw(document(extra={"_own": {"a": 4.0}}))[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fastrnn", "jax", "_own"]


@pytest.mark.parametrize("place", [0, -1])
def test_where_not_all_rows_have_a_limit_all_points_are_times(place: int) -> None:
    results = document()
    results["rows"][place]["estimated_limit_microseconds"] = None
    panels = draw(results)
    assert panels[0].figure.get_supxlabel().startswith("µs; ")
    times = {row["microseconds"]["fastrnn"]["a"] for row in results["rows"]}
    assert {x for ax in panels for x in ax.get_lines()[0].get_xdata()} == times
    assert all(len(ax.get_lines()) == 2 for ax in panels)


def test_a_cell_that_was_not_measured_has_no_panel() -> None:
    results = document()
    results["rows"] = [row for row in results["rows"] if row["cell"] == "GRU"]
    (ax,) = draw(results)
    assert ax.get_title() == "GRU"
    assert plot.grid_size(results)[0] < plot.grid_size(document())[0]


def without(*path: str) -> dict[str, Any]:
    results: Any = copy.deepcopy(document())
    place = results
    for key in path[:-1]:
        place = place[0][key] if isinstance(place, list) else place[key]
    del (place[0] if isinstance(place, list) else place)[path[-1]]
    return results


def timed(time: Any) -> dict[str, Any]:
    results = copy.deepcopy(document())
    results["rows"][1]["microseconds"]["jax"] = {"a": time}
    return results


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        (5, TypeError, "results must be a dict or a path, got 5"),
        ({}, ValueError, "results must be what fastrnn bench --json writes, but .* 'machine'"),
        (without("machine", "isa"), ValueError, "results must be what .* KeyError: 'isa'"),
        (without("rows", "microseconds"), ValueError, "results must be what .* 'microseconds'"),
        (without("rows", "cell"), ValueError, "results must be what .* KeyError: 'cell'"),
        (document() | {"rows": []}, ValueError, "results has no rows"),
        (document(limit=-1.0), ValueError, "a limit must be greater than 0"),
        (
            document() | {"machine": ABOUT | {"date": 5}},
            ValueError,
            "the date must be a str, got 5",
        ),
        (document(extra={5: {"a": 4.0}}), ValueError, "each library must be a str, got 5"),
        (timed("fast"), ValueError, "a time must be a number, got 'fast'"),
        (timed(0.0), ValueError, "a time must be greater than 0"),
    ],
)
def test_what_the_benchmark_did_not_write_is_refused(results, error, message, pyplot) -> None:
    with pytest.raises(error, match=message):
        plot.grid(results)
    assert pyplot.get_fignums() == []


def test_a_file_that_is_no_json_is_refused(tmp_path) -> None:
    file = tmp_path / "grid.json"
    file.write_text("[1, 2")
    with pytest.raises(ValueError, match=r"results '.*grid\.json' is not JSON"):
        draw(file)
    file.write_text("[1, 2]")
    with pytest.raises(ValueError, match="results must be what fastrnn bench --json writes"):
        draw(file)
    with pytest.raises(FileNotFoundError):
        draw(tmp_path / "nowhere.json")
