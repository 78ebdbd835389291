"""Schedules: hours and days, over midnight, and over the days on which clocks change."""

import os
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.serve.schedule import clock_time, is_on, next_change
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


def test_next_changes():
    office = Period(hours="08:00-18:00", days="mon-fri")
    night = Period(hours="17:00-02:00", days="fri")
    changes, now = [], at("thu 12:00")
    for _ in range(5):
        now = next_change((office, night), now)
        changes.append(now)
    assert changes == [
        at("thu 18:00"),
        at("fri 08:00"),
        at("sat 02:00"),
        at("mon 08:00") + timedelta(7),
        at("mon 18:00") + timedelta(7),
    ]
    assert next_change((), MONDAY) is None
    assert is_on((), MONDAY)
    always = (Period(hours="06:00-18:00"), Period(hours="18:00-06:00"))
    assert next_change(always, MONDAY) is None
    once = (Period(hours="08:00-09:00", days="mon"),)
    assert next_change(once, at("mon 09:00")) == at("mon 08:00") + timedelta(7)


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


def test_the_next_change_counts_by_the_clock_of_its_own_day():
    night = (Period(hours="22:00-06:00"),)
    for day in (SPRING, AUTUMN):
        end = next_change(night, day - timedelta(hours=1))
        assert (end.hour, end.minute, end.tzinfo) == (6, 0, BERLIN)
        assert end.timestamp() == datetime(day.year, day.month, day.day, 6, tzinfo=BERLIN).timestamp()


def test_the_clock_of_the_machine(monkeypatch):
    """Naive times, as the fixed offset of today would be wrong after the next change of the clock."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        wall = datetime(2026, 3, 28, 23, tzinfo=BERLIN).timestamp()
        now = clock_time(wall, None)
        assert now == datetime(2026, 3, 28, 23)
        change = next_change((Period(hours="22:00-06:00"),), now)
        assert change.timestamp() - wall == 6 * 3600
        assert is_on((Period(hours="22:00-06:00"),), clock_time(wall + 6 * 3600 - 1, None))
        assert not is_on((Period(hours="22:00-06:00"),), clock_time(wall + 6 * 3600, None))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert clock_time(wall, "Asia/Tokyo").isoformat() == "2026-03-29T07:00:00+09:00"
    assert os.environ.get("TZ") != "Europe/Berlin"


clocks = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda each: "{:02}:{:02}".format(*each))
spans = st.tuples(clocks, clocks).filter(lambda each: each[0] != each[1]).map("-".join)
days = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(lambda hours, days: Period(hours=hours, days=days), spans, days), min_size=1, max_size=3),
    st.integers(1_760_000_000, 1_800_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_nothing_changes_before_the_next_change(periods, wall, zone):
    now = clock_time(wall, zone)
    change = next_change(periods, now)
    end = wall + 8 * 86_400 if change is None else change.timestamp()
    assert end > wall
    assert {is_on(periods, clock_time(wall + (end - wall) * n / 40, zone)) for n in range(40)} == {is_on(periods, now)}
    if change is not None:
        assert is_on(periods, change) != is_on(periods, now)
        assert is_on(periods, clock_time(end, zone)) == is_on(periods, change)
