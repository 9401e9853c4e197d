"""Labels of steps in time, and how they go on."""

from __future__ import annotations

import calendar
import operator
import re
from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

_MONTH = re.compile(r"(\d{4})-(\d{2})")

# A date without its dashes, and December of the last year that Python knows.
COMPACT = "%Y%m%d"
LAST_MONTH = 12 * 9999 + 11
_UTC = "+00:00"
_ZONE = re.compile("[-+Z]")
_WHOLE = re.compile(r"-?\d{1,15}")


def following(labels: Sequence[str], count: int) -> list[str]:
    """Return the ``count`` labels after those given, or +1, +2 … where no rule is seen.

    Rules are: whole numbers, dates and times (ISO 8601) that are equally far apart; months, and
    dates of one day of the month or of the last one, that are equally many months apart. All must
    be written in one form, which is then that of those that follow.

    Examples
    --------
    >>> following(["2024-11", "2024-12"], 2)
    ['2025-01', '2025-02']
    >>> following(["2024-01-31", "2024-02-29", "2024-03-31"], 2)
    ['2024-04-30', '2024-05-31']
    >>> following(["2024-01-01 06:00", "2024-01-01 18:00"], 1)
    ['2024-01-02 06:00']
    >>> following(["1700", "1710"], 1), following(["spring", "autumn"], 2)
    (['1720'], ['+1', '+2'])
    >>> following(["2024-01-01T22:00Z", "2024-01-01T23:00Z"], 1), following(["001", "002"], 1)
    (['2024-01-02T00:00Z'], ['+1'])
    """
    try:
        for rule in (_numbers, _months, _times):
            found = rule(labels, count)
            if found is not None:
                return found
    except (OverflowError, ValueError):  # after the year 9999
        pass
    return [f"+{step}" for step in range(1, count + 1)]


def are_times(labels: Sequence[str]) -> bool:
    """Say whether all are months, dates or times.

    Examples
    --------
    >>> are_times(["2024-01", "2024-02"]), are_times(["2024-01-31 12:00"]), are_times(["3"])
    (True, True, False)
    """
    return _as_months(labels) is not None or _as_times(labels) is not None


def backwards(labels: Sequence[str]) -> int | None:
    """Return the first place whose time does not lie after the one above, if all are times.

    Numbers may stand twice: that of a year does so in each of its months.

    Examples
    --------
    >>> backwards(["2024-01", "2024-02"]), backwards(["2024-02", "2024-01"]), backwards(["b", "a"])
    (None, 1, None)
    >>> backwards(["2024-01-01", "2024-01-01"]), backwards(["2024", "2024"])
    (1, None)
    """
    numbers = _as_numbers(labels)
    keys: list | None = numbers or _as_months(labels) or _as_times(labels)
    if keys is None:
        return None
    late = operator.lt if numbers else operator.le
    try:
        return next((i for i in range(1, len(keys)) if late(keys[i], keys[i - 1])), None)
    except TypeError:  # times with and without a zone
        return None


def _step(values: Sequence) -> object | None:
    """Return by how much values grow from each to the next, if it is the same and not nothing."""
    steps = {after - before for before, after in pairwise(values)}
    step = steps.pop() if len(steps) == 1 else None
    return step or None


def _numbers(labels: Sequence[str], count: int) -> list[str] | None:
    values = _as_numbers(labels)
    if not values or [str(value) for value in values] != [*labels]:
        return None
    step = _step(values)
    if not isinstance(step, int):
        return None
    if {len(label) for label in labels} in ({6}, {8}):  # perhaps 202412 or 20241231
        return None
    return [str(values[-1] + step * k) for k in range(1, count + 1)]


def _months(labels: Sequence[str], count: int) -> list[str] | None:
    days = _as_dates(labels) or []
    months = _as_months(labels) or [12 * day.year + day.month - 1 for day in days]
    if not days and [_month_label(month) for month in months] != [*labels]:
        return None
    step = _step(months)
    if not isinstance(step, int):
        return None
    after = [months[-1] + step * k for k in range(1, count + 1)]
    if after[-1] > LAST_MONTH:
        return None
    if not days:
        return [_month_label(month) for month in after]
    at_end = all(day.day == _last_day(month) for day, month in zip(days, months, strict=True))
    if not at_end and len({day.day for day in days}) > 1:
        return None
    on = 31 if at_end else days[0].day
    return [
        _like(labels[-1], datetime(month // 12, month % 12 + 1, min(on, _last_day(month))))
        for month in after
    ]


def _times(labels: Sequence[str], count: int) -> list[str] | None:
    times = _as_times_of_one_form(labels)
    step = _step(times) if times else None
    if not times or step is None:
        return None
    after = [times[-1] + step * k for k in range(1, count + 1)]  # type: ignore[operator]
    return [_like(labels[-1], time) for time in after]


def _like(label: str, time: datetime) -> str:
    """Return a time written as precisely as this label."""
    if label.isdecimal():
        return time.strftime(COMPACT)
    if len(label) <= 10:
        return time.date().isoformat()
    clock, dot, fraction = _ZONE.split(label[11:])[0].partition(".")
    timespec = ("hours", "minutes", "seconds")[min(2, clock.count(":"))]
    if dot:
        timespec = "milliseconds" if len(fraction) == 3 else "microseconds"
    written = time.isoformat(label[10], timespec)
    return written.removesuffix(_UTC) + "Z" if label.endswith("Z") else written


def _as_numbers(labels: Sequence[str]) -> list[int] | None:
    if not all(_WHOLE.fullmatch(label) for label in labels):
        return None
    return [int(label) for label in labels]


def _as_months(labels: Sequence[str]) -> list[int] | None:
    """Return months such as 2024-01 as numbers, twelve a year."""
    found = [_MONTH.fullmatch(label) for label in labels]
    if not all(one and 1 <= int(one[2]) <= 12 for one in found):
        return None
    return [12 * int(one[1]) + int(one[2]) - 1 for one in found if one]


def _as_dates(labels: Sequence[str]) -> list[date] | None:
    times = _as_times_of_one_form(labels)
    if times is None or any(len(label) > 10 for label in labels):
        return None
    return [time.date() for time in times]


def _as_times_of_one_form(labels: Sequence[str]) -> list[datetime] | None:
    """Return times that :func:`_like` writes as they are, all in the form of the last."""
    times = _as_times(labels)
    if times is None or [_like(labels[-1], time) for time in times] != [*labels]:
        return None
    return times if len({time.tzinfo is None for time in times}) == 1 else None


def _as_times(labels: Sequence[str]) -> list[datetime] | None:
    try:
        return [_time(label) for label in labels]
    except ValueError:
        return None


def _time(label: str) -> datetime:
    if len(label) == 8 and label.isdecimal():
        return datetime.strptime(label, COMPACT)
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(label[:-1] + _UTC if label.endswith("Z") else label)


def _month_label(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"


def _last_day(month: int) -> int:
    return calendar.monthrange(month // 12, month % 12 + 1)[1]
