"""When a cron expression is due: its fields, clocks that jump, and months of every length."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from wenshu.ui.cron import parse_cron

NEW_YORK, SHANGHAI, APIA, LORD_HOWE = (
    ZoneInfo(name) for name in ("America/New_York", "Asia/Shanghai", "Pacific/Apia", "Australia/Lord_Howe")
)


def due(expression: str, zone: ZoneInfo, start: str, count: int) -> list[str]:
    """Return the next times after a local one, as local clocks show them."""
    cron, moment, found = parse_cron(expression, zone), datetime.fromisoformat(start).replace(tzinfo=zone), []
    for _ in range(count):
        moment = cron.after(moment)
        found.append(moment.astimezone(zone).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "start", "wanted"),
    [
        ("0 9 * * mon", SHANGHAI, "2026-11-22 00:00", ["2026-11-23T09:00+08:00", "2026-11-30T09:00+08:00"]),
        ("0 9 * * 1", SHANGHAI, "2026-11-22 00:00", ["2026-11-23T09:00+08:00"]),
        ("0 9 * * 0", SHANGHAI, "2026-11-21 00:00", ["2026-11-22T09:00+08:00"]),
        ("0 9 * * 7", SHANGHAI, "2026-11-21 00:00", ["2026-11-22T09:00+08:00"]),
        ("0 9 * * 1-5", SHANGHAI, "2026-11-20 12:00", ["2026-11-23T09:00+08:00", "2026-11-24T09:00+08:00"]),
        ("*/20 8-9 * * *", SHANGHAI, "2026-11-20 09:10", ["2026-11-20T09:20+08:00", "2026-11-20T09:40+08:00", "2026-11-21T08:00+08:00"]),
        ("5/25 0 1 jan,jul *", SHANGHAI, "2026-01-02 00:00", ["2026-07-01T00:05+08:00", "2026-07-01T00:30+08:00", "2026-07-01T00:55+08:00"]),
        ("0 0 1 * mon", SHANGHAI, "2026-11-22 12:00", ["2026-11-23T00:00+08:00", "2026-11-30T00:00+08:00", "2026-12-01T00:00+08:00"]),
        ("0 0 */10 * mon", SHANGHAI, "2026-01-01 12:00", ["2026-05-11T00:00+08:00"]),  # a star with a step: both days must fit
        ("@daily", SHANGHAI, "2026-11-22 12:00", ["2026-11-23T00:00+08:00"]),
        # months of every length
        ("0 9 31 * *", SHANGHAI, "2026-01-31 10:00", ["2026-03-31T09:00+08:00", "2026-05-31T09:00+08:00"]),
        ("0 9 L * *", SHANGHAI, "2027-12-31 10:00", ["2028-01-31T09:00+08:00", "2028-02-29T09:00+08:00", "2028-03-31T09:00+08:00"]),
        ("0 9 15,L * *", SHANGHAI, "2026-02-01 00:00", ["2026-02-15T09:00+08:00", "2026-02-28T09:00+08:00", "2026-03-15T09:00+08:00"]),
        ("0 9 29 2 *", SHANGHAI, "2096-03-01 00:00", ["2104-02-29T09:00+08:00"]),
        # clocks go forward: what they skip comes as much later, once
        ("30 2 * * *", NEW_YORK, "2026-03-07 00:00", ["2026-03-07T02:30-05:00", "2026-03-08T03:30-04:00", "2026-03-09T02:30-04:00"]),
        ("*/30 * * * *", NEW_YORK, "2026-03-08 01:10", ["2026-03-08T01:30-05:00", "2026-03-08T03:00-04:00", "2026-03-08T03:30-04:00"]),
        ("0 9 * * *", APIA, "2011-12-29 00:00", ["2011-12-29T09:00-10:00", "2011-12-31T09:00+14:00"]),  # a day that was not
        # clocks go back: what they repeat comes once, but every hour is every hour
        ("30 1 * * *", NEW_YORK, "2026-10-31 00:00", ["2026-10-31T01:30-04:00", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
        ("0,30 1 * * *", NEW_YORK, "2026-11-01 00:00", ["2026-11-01T01:00-04:00", "2026-11-01T01:30-04:00", "2026-11-02T01:00-05:00"]),
        ("30 * * * *", NEW_YORK, "2026-11-01 00:40", ["2026-11-01T01:30-04:00", "2026-11-01T01:30-05:00", "2026-11-01T02:30-05:00"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04 00:00", ["2026-04-04T01:45+11:00", "2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
    ],
)  # fmt: skip
def test_when_it_is_due(expression, zone, start, wanted):
    assert due(expression, zone, start, len(wanted)) == wanted


@pytest.mark.parametrize("zone", [NEW_YORK, SHANGHAI, APIA])
def test_the_last_time_due_is_the_one_that_came_last(zone):
    cron, start = parse_cron("*/45 */5 * * *", zone), datetime(2026, 10, 30, tzinfo=UTC)
    found, moment = [], start
    while (moment := cron.after(moment)) < start + timedelta(days=4):
        found.append(moment)
    for before, after in zip(found, found[1:], strict=False):
        assert cron.latest(start, after - timedelta(seconds=1)) == before
        assert cron.latest(start, after) == after
    assert cron.latest(found[3], found[4] - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "x * * * *",
     "5-2 * * * *", "*/0 * * * *", "1,, * * * *", "* * * foo *", "-1 * * * *", "1.5 * * * *", "²  * * * *", "@reboot", "* * l-2 * *"],
)  # fmt: skip
def test_what_is_no_time_is_refused(expression):
    with pytest.raises(ValueError):
        parse_cron(expression, SHANGHAI)


def test_a_date_that_never_comes_is_never_due():
    assert parse_cron("0 0 31 2 *", SHANGHAI).after(datetime(2026, 1, 1, tzinfo=UTC)) is None
