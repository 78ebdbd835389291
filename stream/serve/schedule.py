"""Schedules: the periods of the week in which a camera is watched.

Times are those of a clock on the wall. `now` has a time zone, or none for the zone of the machine. A time that occurs
twice, when the clock goes back, means the first one. A time that the clock skips is as much later: where the hour from
02:00 to 03:00 is skipped, 02:30 means 03:30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from actionstream.serve.settings import Period

FURTHEST_DAYS = 8
"""The days after which a schedule has repeated itself."""


def clock_time(wall_seconds: float, time_zone: str | None) -> datetime:
    """Seconds since 1970 on a clock of this time zone; None: a naive time, of the machine's zone."""
    return datetime.fromtimestamp(wall_seconds, ZoneInfo(time_zone) if time_zone else None)


def is_on(periods: Sequence[Period], now: datetime) -> bool:
    """Whether a camera is watched now; without periods always."""
    return not periods or any(
        start.timestamp() <= now.timestamp() < end.timestamp() for start, end in _spans(periods, now, 0)
    )


def next_change(periods: Sequence[Period], now: datetime) -> datetime | None:
    """The next time at which `is_on` changes; None where it never does."""
    times = {each for span in _spans(periods, now, FURTHEST_DAYS) for each in span}
    later = sorted((each for each in times if each.timestamp() > now.timestamp()), key=datetime.timestamp)
    return next((each for each in later if is_on(periods, each) != is_on(periods, now)), None)


def _spans(periods: Sequence[Period], now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Begins and ends from yesterday on."""
    for period in periods:
        for number in range(-1, days + 1):
            day = now.date() + timedelta(days=number)
            if day.weekday() in period.days:
                start, end = (_at(day, minutes, now) for minutes in period.hours)
                yield start, end


def _at(day: date, minutes: int, now: datetime) -> datetime:
    days, left = divmod(minutes, 24 * 60)
    return datetime.combine(day + timedelta(days=days), time(left // 60, left % 60), now.tzinfo)
