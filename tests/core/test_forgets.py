"""What a process remembers, and for how long: whatever is changed holds everywhere in the time that is promised."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cachetools import TTLCache
from sqlalchemy import event

from access import keys
from api import resources
from core import audit, cached, errors
from core import clock as database_clock
from jobs import backlog
from registry import catalog, lifecycle
from registry.catalog import Catalog
from tests import callers
from tests.conftest import Platform
from wiring import door

pytestmark = pytest.mark.usefixtures("quiet")


class Clock:
    """The monotonic clock of a module, which goes on when it is told to."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (cached, catalog, database_clock):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic, time=lambda: 0.0))
    monkeypatch.setattr(backlog, "TTLCache", functools.partial(TTLCache, timer=made.monotonic))
    return made


def test_what_is_promised_in_the_documents_is_what_is_set() -> None:
    """docs: a revoked key and a changed tier within 5 s, a stable version within a second, figures every few."""
    assert keys.CACHE_S == 5.0
    assert catalog.CACHE_S == 1.0
    assert backlog.COUNT_S == 1.0
    assert (door.FRESH_S, resources.FIGURES_S) == (1.0, 5.0)
    assert database_clock.LOOK_S == 60.0


@pytest.fixture
def again(platform: Platform) -> Iterator[None]:
    """The version that answers by default is what it was."""
    yield
    make_stable(platform, "1.0.0")


def make_stable(platform: Platform, version: str) -> None:
    lifecycle.make_stable(platform.engine, "sentiment", version, audit.operator())
    platform.catalog._forget()


def test_another_stable_version_answers_everywhere_within_a_second(
    platform: Platform, clock: Clock, again: None
) -> None:
    other = Catalog(platform.engine, platform.store)
    assert other.resolve("sentiment", None).version == "1.0.0"
    make_stable(platform, "2.1.0")
    assert platform.catalog.resolve("sentiment", None).version == "2.1.0"
    clock.now_s += 1.0
    assert other.resolve("sentiment", None).version == "2.1.0"


def test_what_the_database_took_long_to_say_is_as_old_as_the_question(
    platform: Platform, clock: Clock, again: None
) -> None:
    """A change that comes just after it was read, before it is told, is known a second later as any other."""
    other = Catalog(platform.engine, platform.store)

    def read(*_: Any) -> None:
        make_stable(platform, "2.1.0")
        clock.now_s += 0.9

    event.listen(platform.engine, "after_cursor_execute", read, once=True)
    assert other.resolve("sentiment", None).version == "1.0.0"
    clock.now_s += 0.1
    assert other.resolve("sentiment", None).version == "2.1.0"


def test_a_backlog_that_has_gone_down_is_seen_within_a_second(platform: Platform, clock: Clock) -> None:
    tenant_id = keys.Keyring(platform.engine).verify(callers.key(platform).token).tenant_id
    found = backlog.Backlog(platform.engine)
    assert found.admit(tenant_id, 1)
    with pytest.raises(errors.BacklogFull):
        found.admit(tenant_id, 1)
    # Nothing was stored for the one that was let in.
    clock.now_s += 1.1
    assert found.admit(tenant_id, 1)


def test_a_larger_backlog_of_ones_tier_holds_within_a_second(platform: Platform, clock: Clock) -> None:
    tenant_id = keys.Keyring(platform.engine).verify(callers.key(platform).token).tenant_id
    found = backlog.Backlog(platform.engine)
    found.admit(tenant_id, 1)
    clock.now_s += 1.1
    found.admit(tenant_id, 2), found.admit(tenant_id, 2)
    with pytest.raises(errors.BacklogFull, match="2 jobs are waiting") as caught:
        found.admit(tenant_id, 2)
    assert caught.value.details == {"limit": 2}


def test_a_value_is_made_again_when_its_time_is_over_and_not_before(clock: Clock) -> None:
    calls = iter(range(10))
    kept = cached.Cached(lambda: next(calls), 5.0)
    seen = []
    for step_s in (0.0, 4.9, 0.2, 4.9, 0.2):
        clock.now_s += step_s
        seen.append(kept.get())
    assert seen == [0, 0, 1, 1, 2]


def test_a_value_that_cannot_be_made_is_said_and_made_the_next_time(clock: Clock) -> None:
    answers = iter([errors.Unavailable("away"), "there"])

    def make() -> object:
        if isinstance(found := next(answers), Exception):
            raise found
        return found

    kept = cached.Cached(make, 5.0)
    with pytest.raises(errors.Unavailable, match="away"):
        kept.get()
    assert kept.get() == "there"


def test_the_databases_clock_is_asked_once_a_minute_and_counted_on_between(platform: Platform, clock: Clock) -> None:
    found = database_clock.Clock(platform.engine)
    first = found.now_s()
    clock.now_s += 59.0
    assert found.now_s() == first + 59.0
    clock.now_s += 2.0
    # Asked anew: hardly any time has gone by in truth.
    assert found.now_s() < first + 59.0
