"""What an answer says of its caller's limits, header by header."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any, cast

import pytest

from access import limits, quota
from access.gate import Gate
from access.keys import Caller
from access.rates import Policy, Standing

NOW_S = 1_800_000_000.25
#: A request comes back each second, a unit each three.
REQUESTS, UNITS = Policy("requests", per_minute=60, burst=10), Policy("units", per_minute=20, burst=100)
POLICIES = '"requests";q=10;w=10, "units";q=100;w=300'
WHO = cast("Caller", None)


class Clock:
    def time(self) -> float:
        return NOW_S


def told(monkeypatch: pytest.MonkeyPatch, *rates: Standing, month: quota.Standing | None = None) -> dict[str, str]:
    monkeypatch.setattr(limits, "time", Clock())
    gate: Any = SimpleNamespace(standing=lambda _: rates or None, month_remembered=lambda _: month)
    return dict(limits.headers(cast("Gate", gate), WHO))


def test_where_nobody_is_limited_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch) == {}


@pytest.mark.parametrize(
    ("requests", "units", "x", "left"),
    [
        # All of both: then of requests.
        ((10, 0.0), (100, 0.0), ("10", "10", "1800000001"), '"requests";r=10;t=0, "units";r=100;t=0'),
        ((9, 1.0), (100, 0.0), ("10", "9", "1800000002"), '"requests";r=9;t=1, "units";r=100;t=0'),
        ((9, 1.0), (90, 30.0), ("10", "9", "1800000002"), '"requests";r=9;t=1, "units";r=90;t=3'),
        ((9, 1.0), (89, 33.0), ("100", "89", "1800000034"), '"requests";r=9;t=1, "units";r=89;t=3'),
        ((10, 0.0), (0, 300.0), ("100", "0", "1800000301"), '"requests";r=10;t=0, "units";r=0;t=3'),
    ],
)
def test_both_rates_are_told_and_the_one_of_which_less_is_left_once_more(
    monkeypatch: pytest.MonkeyPatch,
    requests: tuple[int, float],
    units: tuple[int, float],
    x: tuple[str, str, str],
    left: str,
) -> None:
    assert told(monkeypatch, Standing(REQUESTS, *requests), Standing(UNITS, *units)) == {
        "X-RateLimit-Limit": x[0],
        "X-RateLimit-Remaining": x[1],
        "X-RateLimit-Reset": x[2],
        "RateLimit-Policy": POLICIES,
        "RateLimit": left,
    }


@pytest.mark.parametrize(("used", "left"), [(0, 110), (109, 1), (110, 0), (300, 0)])
@pytest.mark.parametrize(("ahead_s", "seconds"), [(10.0, 10), (-5.0, 0)])
def test_a_month_is_told_with_its_allowance_until_its_end(
    monkeypatch: pytest.MonkeyPatch, used: int, left: int, ahead_s: float, seconds: int
) -> None:
    month = quota.Standing(100, 110, used, dt.datetime.fromtimestamp(NOW_S + ahead_s, dt.UTC))
    found = told(monkeypatch, Standing(REQUESTS, 10, 0.0), Standing(UNITS, 100, 0.0), month=month)
    assert found["RateLimit-Policy"] == f'{POLICIES}, "units-month";q=110;w=2592000'
    assert found["RateLimit"].split(", ")[2] == f'"units-month";r={left};t={seconds}'
