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


def clock_time(wall_seconds: float, time_zone: str | None) -> datetime:
    """Seconds since 1970 on a clock of this time zone; None: a naive time, of the machine's zone."""
    return datetime.fromtimestamp(wall_seconds, ZoneInfo(time_zone) if time_zone else None)


def is_on(periods: Sequence[Period], now: datetime) -> bool:
    """Whether a camera is watched now; without periods always."""
    return not periods or any(
        start.timestamp() <= now.timestamp() < end.timestamp() for start, end in _spans(periods, now)
    )


def _spans(periods: Sequence[Period], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Begins and ends of yesterday and today."""
    for period in periods:
        for day in (now.date() - timedelta(days=1), now.date()):
            if day.weekday() in period.days:
                start, end = (_at(day, minutes, now) for minutes in period.hours)
                yield start, end


def _at(day: date, minutes: int, now: datetime) -> datetime:
    days, left = divmod(minutes, 24 * 60)
    return datetime.combine(day + timedelta(days=days), time(left // 60, left % 60), now.tzinfo)
