"""Pictures show what they are given, on the axes that they are given."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fastrnn import plot


def figure():
    module = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")
    return module.Figure()


def test_a_forecast_begins_where_its_series_ends() -> None:
    ax = figure().subplots()
    assert plot.forecast([1, 2, 3], [4, 5], ([3, 3], [6, 7]), bounds_label="90 %", ax=ax) is ax
    past, ahead = ax.get_lines()
    assert np.array_equal(past.get_xydata(), [[-2, 1], [-1, 2], [0, 3]])
    assert np.array_equal(ahead.get_xydata(), [[1, 4], [2, 5]])
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, 3), (2, 3), (1, 6), (2, 7)}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "series",
        "90 %",
        "forecast",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps after the last value", "value")


def test_the_legend_names_the_bounds_whatever_their_label_begins_with() -> None:
    ax = figure().subplots()
    ax.plot([0, 1], label="mine")
    plot.forecast([1, 2, 3], [4, 5], ([3, 3], [6, 7]), bounds_label="_x", ax=ax)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["mine", "series", "_x", "forecast"]


def test_without_axes_it_draws_on_those_of_pyplot() -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("agg")
    from matplotlib import pyplot

    ax = plot.forecast([1, 2], [3])
    assert ax is pyplot.gca()
    pyplot.close("all")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fastrnn\[plot\]'"):
        plot.forecast([1, 2], [3])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["a"], [3]), TypeError, "series must hold"),
        (([], [3]), ValueError, "series must be one-dimensional and not empty"),
        (([1, 2], [[3]]), ValueError, r"forecast must be one-dimensional .* got shape \(1, 1\)"),
        (([1, 2], [np.nan]), ValueError, "forecast must be finite"),
        (([1, 2], [3], 4), ValueError, "bounds must be a pair of arrays, got 4"),
        (([1, 2], [3], ([1], [2, 3])), ValueError, "bounds"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        plot.forecast(*arguments, ax=object())
