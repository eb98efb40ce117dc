"""When a key was used last: told to the minute, and never paid for by a request."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy
from sqlalchemy import text

from access import used
from access.keys import Keyring
from access.used import Used
from core import database
from tests import callers, statements
from tests.conftest import Platform, until
from tests.hands import without_threads

AT = dt.datetime(2026, 1, 31, 12, 34, 56, tzinfo=dt.UTC)
MINUTE = AT.replace(second=0)


def last(platform: Platform, key_id: str) -> dt.datetime | None:
    found: dt.datetime | None = platform.one("SELECT last_used_at FROM api_keys WHERE id = :id", id=key_id)[0]
    return found


def test_a_key_that_is_used_shows_the_minute_a_while_later_without_a_statement_of_its_own_request(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used, "WRITE_S", 0.3)
    key = callers.key(platform)
    ring = Keyring(platform.engine, Used(platform.engine))
    ring.verify(key.token)
    with statements.issued(platform.engine) as issued:
        ring.verify(key.token)
        assert issued == []
    until(lambda: last(platform, key.id))
    assert platform.one("SELECT now() - last_used_at < interval '2 min' FROM api_keys WHERE id = :id", id=key.id)[0]


def test_many_are_written_at_once_each_with_its_own_minute_and_none_goes_back(platform: Platform) -> None:
    first, second, other = (callers.key(platform) for _ in range(3))
    noted = Used(platform.engine)
    noted.note(first.id, AT)
    noted.note(second.id, AT + dt.timedelta(hours=1))
    with statements.issued(platform.engine) as issued:
        noted.write()
    assert len(issued) == 1
    assert (last(platform, first.id), last(platform, second.id)) == (MINUTE, MINUTE + dt.timedelta(hours=1))
    assert last(platform, other.id) is None
    noted.note(first.id, AT - dt.timedelta(hours=1))
    noted.write()
    assert last(platform, first.id) == MINUTE


def test_a_key_that_somebody_holds_is_not_waited_for(platform: Platform) -> None:
    held, free = callers.key(platform), callers.key(platform)
    noted = Used(platform.engine)
    for key in (held, free):
        noted.note(key.id, AT)
    with platform.admin.begin() as somebody:
        somebody.execute(text("SELECT FROM api_keys WHERE id = :id FOR UPDATE"), {"id": held.id})
        # It would wait for five seconds, and note it for the next time.
        noted.write()
        assert last(platform, free.id) == MINUTE
    assert last(platform, held.id) is None


def test_a_key_that_was_not_used_is_held_for_nobody(platform: Platform) -> None:
    used_key, other = callers.key(platform), callers.key(platform)
    noted = Used(platform.engine)
    noted.note(used_key.id, AT)
    holds: list[str] = []

    def held(key_id: str) -> bool:
        free = "SELECT count(*) FROM (SELECT FROM api_keys WHERE id = :id FOR UPDATE SKIP LOCKED) AS free"
        return platform.one(free, id=key_id) == (0,)

    @sqlalchemy.event.listens_for(platform.engine, "commit")
    def before(_connection: object) -> None:
        holds.extend(key.id for key in (used_key, other) if held(key.id))

    try:
        noted.write()
    finally:
        sqlalchemy.event.remove(platform.engine, "commit", before)
    assert holds == [used_key.id]


def test_while_the_database_is_away_it_stays_noted(platform: Platform) -> None:
    key = callers.key(platform)
    noted = Used(database.create_engine("postgresql://a:b@127.0.0.1:1/d"))
    noted.note(key.id, AT)
    noted.write()
    noted._engine = platform.engine
    noted.write()
    assert last(platform, key.id) == MINUTE


def test_a_wrong_secret_is_no_use_of_the_key(platform: Platform) -> None:
    key = callers.key(platform)
    noted = Used(platform.engine)
    forged = callers.written(key.id, "0" * 48)
    with pytest.raises(Exception, match="A valid API key"):
        Keyring(platform.engine, noted).verify(forged)
    noted.write()
    assert last(platform, key.id) is None


def test_what_could_not_be_written_is_tried_again_though_no_key_is_used(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = callers.key(platform)
    noted = Used(database.create_engine("postgresql://a:b@127.0.0.1:1/d"))
    noted.note(key.id, AT)
    monkeypatch.setattr(used, "WRITE_S", 0.05)
    noted.write()
    noted._engine = platform.engine
    until(lambda: last(platform, key.id) == MINUTE)


def test_a_key_is_good_and_its_use_noted_also_while_there_is_no_thread_to_write_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used, "WRITE_S", 0.05)
    first, second = callers.key(platform), callers.key(platform)
    noted = Used(platform.engine)
    with without_threads(monkeypatch):
        noted.note(first.id, AT)
    noted.note(second.id, AT)
    until(lambda: last(platform, second.id) == MINUTE)
    assert last(platform, first.id) == MINUTE


def test_who_is_closed_writes_what_was_noted_and_nothing_afterwards(platform: Platform) -> None:
    first, second = callers.key(platform), callers.key(platform)
    noted = Used(platform.engine)
    noted.note(first.id, AT)
    timer = noted._timer
    assert timer is not None
    noted.close()
    assert last(platform, first.id) == MINUTE
    until(lambda: not timer.is_alive())
    noted.note(second.id, AT)
    assert noted._timer is None
    assert last(platform, second.id) is None
