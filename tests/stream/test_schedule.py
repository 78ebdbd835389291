"""Schedules: hours and days, over midnight, and over the days on which clocks change."""

import os
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from actionstream.serve.schedule import clock_time, is_on
from actionstream.serve.settings import Period

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 23, tzinfo=BERLIN)


def at(text, day=MONDAY):
    """A time of this week, such as "tue 08:30"."""
    name, clock = text.split()
    hours, minutes = map(int, clock.split(":"))
    number = ("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(name)
    return day + timedelta(days=number, hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("period", "on", "off"),
    [
        ({"hours": "08:00-18:00"}, ["mon 08:00", "sun 17:59"], ["mon 07:59", "mon 18:00", "tue 00:00"]),
        ({"hours": "8:00 - 18:00", "days": "mon-fri"}, ["fri 17:59"], ["sat 12:00", "sun 12:00"]),
        ({"hours": "22:00-06:00"}, ["mon 22:00", "tue 05:59", "mon 00:00"], ["mon 21:59", "mon 06:00"]),
        ({"hours": "22:00-06:00", "days": "fri"}, ["fri 22:00", "sat 05:59"], ["sat 22:00", "fri 05:00", "sat 06:00"]),
        ({"hours": "22:00-06:00", "days": "sun"}, ["sun 23:00", "mon 03:00"], ["sun 03:00", "mon 23:00"]),
        ({"hours": "20:00-24:00", "days": ["Mon", "sat"]}, ["mon 23:59", "sat 20:00"], ["tue 00:00", "sun 21:00"]),
        ({"hours": "20:00-00:00", "days": "mon"}, ["mon 23:59"], ["tue 00:00", "mon 00:00"]),
        ({"days": "fri-mon"}, ["fri 00:00", "sat 12:00", "mon 23:59"], ["tue 00:00", "thu 23:59"]),
        ({"days": ["mon-tue", "fri"]}, ["tue 12:00", "fri 12:00"], ["wed 12:00", "sun 12:00"]),
        ({"hours": "00:00-24:00", "days": "wed-wed"}, ["wed 00:00", "wed 23:59"], ["tue 23:59", "thu 00:00"]),
    ],
)
def test_hours_and_days(period, on, off):
    periods = (Period(**period),)
    assert [is_on(periods, at(each)) for each in on] == [True] * len(on)
    assert [is_on(periods, at(each)) for each in off] == [False] * len(off)


def test_without_periods_it_is_always_on():
    assert is_on((), MONDAY)


SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)
"""The nights in which 02:00 to 03:00 is skipped, and occurs twice."""


def lasts(hours, day):
    """The begins and ends in this night in UTC, and the hours on, counted minute by minute."""
    periods = (Period(hours=hours),)
    begin = (day - timedelta(hours=4)).astimezone(UTC)
    states = [is_on(periods, (begin + timedelta(minutes=n)).astimezone(BERLIN)) for n in range(16 * 60)]
    return sum(states) / 60, sum(a != b for a, b in pairwise(states))


@pytest.mark.parametrize(
    ("hours", "day", "expected"),
    [
        ("22:00-06:00", SPRING, 7),
        ("22:00-06:00", AUTUMN, 9),
        ("01:00-02:30", SPRING, 1.5),
        ("02:30-04:00", SPRING, 0.5),
        ("01:00-02:30", AUTUMN, 1.5),
        ("02:30-04:00", AUTUMN, 2.5),
        ("00:30-01:30", AUTUMN, 1),
    ],
)
def test_clocks_that_change(hours, day, expected):
    """A period begins once and ends once, whatever the clock does meanwhile."""
    assert lasts(hours, day) == (expected, 2)


def test_the_clock_of_the_machine(monkeypatch):
    """Naive times, as the fixed offset of today would be wrong after the next change of the clock."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        wall = datetime(2026, 3, 28, 23, tzinfo=BERLIN).timestamp()
        now = clock_time(wall, None)
        assert now == datetime(2026, 3, 28, 23)
        assert is_on((Period(hours="22:00-06:00"),), clock_time(wall + 6 * 3600 - 1, None))
        assert not is_on((Period(hours="22:00-06:00"),), clock_time(wall + 6 * 3600, None))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert clock_time(wall, "Asia/Tokyo").isoformat() == "2026-03-29T07:00:00+09:00"
    assert os.environ.get("TZ") != "Europe/Berlin"
