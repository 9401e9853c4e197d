"""Labels of steps in time go on as they did."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.command.forecasting.dates import are_times, backwards, following


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["2024-12-30", "2024-12-31"], ["2025-01-01", "2025-01-02"]),
        (["2024-02-14", "2024-02-21"], ["2024-02-28", "2024-03-06"]),
        (["2024-01-31", "2024-02-29"], ["2024-03-31", "2024-04-30"]),
        (["2023-12-15", "2024-01-15"], ["2024-02-15", "2024-03-15"]),
        (["2023-10-01", "2024-01-01"], ["2024-04-01", "2024-07-01"]),
        (["2023-06-30", "2024-06-30"], ["2025-06-30", "2026-06-30"]),
        (["2024-11", "2024-12"], ["2025-01", "2025-02"]),
        (["2023-12", "2024-03"], ["2024-06", "2024-09"]),
        (["1749", "1750"], ["1751", "1752"]),
        (["-3", "-1"], ["1", "3"]),
        (["2024-01-01T23:00", "2024-01-02T00:00"], ["2024-01-02T01:00", "2024-01-02T02:00"]),
        (["2024-01-01 00:00:30", "2024-01-01 00:01:00"], ["2024-01-01 00:01:30"]),
        (["2024-01-01 00:00:00+01:00", "2024-01-01 06:00:00+01:00"], ["2024-01-01 12:00:00+01:00"]),
        (["2024-01-01", "2024-01-02", "2024-01-04"], ["+1", "+2"]),
        (["2024-01", "2024-01"], ["+1"]),
        (["20240130", "20240131"], ["20240201", "20240202"]),
        (["10000001", "10000002"], ["+1"]),
        (["202411", "202412"], ["+1"]),
        (["Mon", "Tue"], ["+1", "+2", "+3"]),
        (["", ""], ["+1"]),
        (["2024-01-01"], ["+1"]),
        (["9999-11", "9999-12"], ["+1"]),
        (["9999-12-30", "9999-12-31"], ["+1"]),
        (["2024-13", "2024-14"], ["+1"]),
        (["2024-01-01T00:00Z", "2024-01-01T01:00Z"], ["2024-01-01T02:00Z"]),
        (["2024-01-01 00:00-05:00", "2024-01-01 01:00-05:00"], ["2024-01-01 02:00-05:00"]),
        (["2024-01-01 00:00:00.500", "2024-01-01 00:00:01.000"], ["2024-01-01 00:00:01.500"]),
        (
            ["2024-01-01 00:00:00.000500", "2024-01-01 00:00:00.001000"],
            ["2024-01-01 00:00:00.001500"],
        ),
        (["2024-01-01 00", "2024-01-01 12"], ["2024-01-02 00"]),
        (["2024-01-01 00:00", "2024-01-01 01:00+01:00", "2024-01-01 02:00"], ["+1"]),
        (["2024-01-01 00:00:00", "2024-01-01 00:00:00+00:00"], ["+1"]),
        (["2024-01-01T00:00Z", "2024-01-01T01:00+00:00"], ["+1"]),
        (["2024-01-01 00:30", "2024-01-01 01"], ["+1"]),
        (["20241231T22", "20241231T23"], ["+1"]),
        (["2024-W51", "2024-W52"], ["+1"]),
        (["2024-W51-1", "2024-W52-1"], ["+1"]),
        (["2024-01-01 00:00-0500", "2024-01-01 01:00-0500"], ["+1"]),
        (["2024-01-01 00:00:00.5", "2024-01-01 00:00:01.0"], ["+1"]),
        (["20240101", "2024-01-02"], ["+1"]),
        (["001", "002"], ["+1"]),
        (["-0", "1"], ["+1"]),
        (["\u0661", "\u0662"], ["+1"]),
        (["\u0662\u0660\u0662\u0664-01", "\u0662\u0660\u0662\u0664-02"], ["+1"]),
    ],
)
def test_labels_go_on(labels: list[str], expected: list[str]) -> None:
    assert following(labels, len(expected)) == expected


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(1, 10**6),
    st.integers(2, 30),
)
def test_times_that_are_equally_far_apart_go_on_like_that(start, minutes, count) -> None:
    start = start.replace(second=0, microsecond=0)
    times = [start + k * timedelta(minutes=minutes) for k in range(count + 3)]
    labels = [time.isoformat(" ", "minutes") for time in times]
    assert following(labels[:count], 3) == labels[count:]


ZONES = st.sampled_from(["", "Z", "+00:00", "+01:00", "-05:00", "+05:30", "-0500", "+01"])
DAYS = ["%Y-%m-%d", "%Y%m%d", "%Y-%m", "%G-W%V", "%G-W%V-%u", "%Y-%j", "%d.%m.%Y"]
CLOCKS = ["T%H", " %H", "T%H:%M", " %H:%M:%S", "T%H%M%S", " %H:%M:%S.%f"]
FORMS = st.sampled_from([*DAYS, *("%Y-%m-%d" + clock for clock in CLOCKS), "%Y%m%dT%H"])


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from([timedelta(milliseconds=1), timedelta(hours=1), timedelta(days=7)]),
    FORMS,
    st.lists(ZONES, min_size=1, max_size=2),
)
def test_in_whatever_form_labels_go_on_in_it_or_not_at_all(start, step, form, zones) -> None:
    labels = []
    for k in range(6):
        zone = zones[k % len(zones)] if "%H" in form else ""
        labels.append((start + k * step).strftime(form) + zone)
    found = following(labels[:4], 2)
    backwards(labels)
    assert found == ["+1", "+2"] or found == labels[4:] or len(set(zones)) > 1


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1, 25))
def test_days_that_are_equally_far_apart_go_on_like_that(start, days) -> None:
    labels = [(start + k * timedelta(days=days)).isoformat() for k in range(43)]
    assert following(labels[:40], 3) == labels[40:]


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (["2024-01", "2024-02", "2024-01"], 2),
        (["2024-01-02", "2024-01-01"], 1),
        (["5", "4"], 1),
        (["5", "5"], None),
        (["b", "a"], None),
        ([], None),
        (["2024-01-01 00:00", "2024-01-01 00:00+01:00"], None),
    ],
)
def test_time_that_runs_backwards_is_seen(labels: list[str], place: int | None) -> None:
    assert backwards(labels) == place


def test_times_are_told_from_other_words() -> None:
    assert are_times(["2024-01-01 10:00", "2024-01-02 11:30"])
    assert are_times(["2024-01-01T10:00:00Z", "2024-01-02T11:30:00Z"])
    assert not are_times(["2024-01", "spring"])
