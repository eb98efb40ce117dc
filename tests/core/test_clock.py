"""The database's clock, as a process knows it between two looks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import sqlalchemy

from core import clock, database, errors
from core.clock import Clock
from tests.conftest import Platform


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clocks of this machine, which go on when they are told to."""
    found = SimpleNamespace(s=1000.0, wall_s=0.0)
    told = SimpleNamespace(monotonic=lambda: found.s, time=lambda: found.wall_s)
    monkeypatch.setattr(clock, "time", told)
    return found


def test_it_is_known_for_a_minute_after_each_look(platform: Platform, now: SimpleNamespace) -> None:
    found = Clock(platform.engine)
    assert found.knows_for() == 0.0
    found.now_s()
    assert found.knows_for() == 60.0
    now.s += 59.0
    assert found.knows_for() == 1.0
    found.look()
    assert found.knows_for() == 60.0


def test_this_machine_is_ahead_by_what_its_own_clock_says_more(platform: Platform, now: SimpleNamespace) -> None:
    found = Clock(platform.engine)
    now.wall_s = found.now_s() + 100.0
    assert found.ahead_s() == pytest.approx(100.0)
    assert found.now().timestamp() == pytest.approx(found.now_s(), abs=1e-3)
    # Looked at anew, hardly any time has gone by in truth.
    now.s += 30.0
    assert found.ahead_s() == pytest.approx(70.0)
    assert found.look() == pytest.approx(100.0, abs=20.0)


def test_without_a_database_nobody_knows_what_time_it_is() -> None:
    away: sqlalchemy.Engine = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(errors.Unavailable, match="does not answer"):
        Clock(away).now()
