from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, text

import models
from core import errors
from jobs import idempotency
from jobs.idempotency import Earlier, Holder, Key
from tests import factories, statements
from tests.conftest import Platform

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def key() -> Key:
    return Key(uuid.uuid4(), "jobs", "order-1", idempotency.fingerprint({"a": 1, "b": [2]}))


def claim(platform: Platform, key: Key, **what: object) -> Earlier | Holder:
    with platform.engine.begin() as connection:
        return idempotency.claim(connection, key, **what)  # type: ignore[arg-type]


def hold(platform: Platform, key: Key, **what: object) -> Holder:
    """A claim that must get it."""
    holder = claim(platform, key, **what)
    assert isinstance(holder, Holder)
    return holder


def abandon(platform: Platform, holder: Holder) -> Holder:
    """The same one, a minute after it took its key and was heard of no more."""
    platform.execute("UPDATE idempotency_keys SET created_at = created_at - interval '61 s'")
    return dataclasses.replace(holder, since=holder.since - dt.timedelta(seconds=61))


def answer(platform: Platform, holder: Holder, reply: dict[str, Any]) -> None:
    with platform.engine.begin() as connection:
        idempotency.answer(connection, holder, reply)


def test_the_order_of_a_requests_fields_does_not_matter() -> None:
    assert idempotency.fingerprint({"a": 1, "b": [2]}) == idempotency.fingerprint({"b": [2], "a": 1})
    assert idempotency.fingerprint({"a": 1}) != idempotency.fingerprint({"a": 1.5})


def test_of_many_at_once_one_is_the_first_and_all_others_hear_of_it(platform: Platform, key: Key) -> None:
    def submit(number: int) -> Earlier | Holder:
        return claim(platform, key, job_id=uuid.UUID(int=number), reply={"job": number})

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(submit, range(1, 51)))
    (first,) = [number for number, each in enumerate(found, 1) if isinstance(each, Holder)]
    heard = Earlier(uuid.UUID(int=first), {"job": first})
    assert [each for each in found if isinstance(each, Earlier)] == [heard] * 49


def test_a_key_of_another_tenant_or_route_is_another_key(platform: Platform, key: Key) -> None:
    claim(platform, key, reply={"mine": True})
    for other in (dataclasses.replace(key, tenant_id=uuid.uuid4()), dataclasses.replace(key, route="predict")):
        hold(platform, other)


def test_the_same_key_for_something_else_is_refused(platform: Platform, key: Key) -> None:
    claim(platform, key, reply={"mine": True})
    other = dataclasses.replace(key, fingerprint=idempotency.fingerprint("else"))
    with pytest.raises(errors.IdempotencyMismatch):
        claim(platform, other)
    with pytest.raises(errors.IdempotencyMismatch):
        idempotency.find(platform.engine, other)


def test_an_unfinished_request_holds_its_key_until_it_answers_fails_or_is_abandoned(
    platform: Platform, key: Key
) -> None:
    first = hold(platform, key)
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    idempotency.forget(platform.engine, first)
    abandon(platform, hold(platform, key))
    successor = hold(platform, key)
    # Whoever took it over has as long as the first one had.
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    answer(platform, successor, {"body": 1})
    assert claim(platform, key) == Earlier(None, {"body": 1})


@pytest.mark.parametrize(
    "other",
    [{"tenant_id": uuid.UUID(int=7)}, {"route": "predict"}, {"key": "order-2"}],
    ids=["tenant", "route", "key"],
)
def test_a_key_in_progress_stays_in_progress_while_another_one_was_abandoned(
    platform: Platform, key: Key, other: dict[str, Any]
) -> None:
    abandon(platform, hold(platform, dataclasses.replace(key, **other)))
    claim(platform, key)
    before = statements.rows(platform)
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    assert statements.changed(before, statements.rows(platform)) == {}


@pytest.mark.parametrize("stands_for", [{"reply": {"a": 1}}, {"job_id": uuid.uuid4()}], ids=["a reply", "a job"])
def test_an_abandoned_key_that_was_answered_after_all_is_taken_over_by_nobody(
    platform: Platform, key: Key, stands_for: dict[str, Any]
) -> None:
    abandon(platform, hold(platform, key, **stands_for))
    # As one does that read it before the answer came.
    parameters = {**key._where, "abandoned_s": idempotency.ABANDONED_S, "job_id": uuid.uuid4(), "reply": '{"b": 2}'}
    with platform.engine.begin() as connection:
        assert connection.execute(idempotency._TAKE_OVER, parameters).first() is None


def test_an_abandoned_key_that_is_taken_over_for_a_job_stands_for_it(platform: Platform, key: Key) -> None:
    abandon(platform, hold(platform, key))
    job_id = uuid.uuid4()
    hold(platform, key, job_id=job_id, reply={"a": 1})
    assert claim(platform, key) == idempotency.Earlier(job_id, {"a": 1})


@pytest.mark.parametrize("answered", [False, True], ids=["while another computes", "after another's answer"])
@pytest.mark.parametrize("fails", [False, True], ids=["answers", "fails"])
def test_who_stood_still_for_a_minute_leaves_the_key_to_who_took_it_over(
    platform: Platform, key: Key, fails: bool, answered: bool
) -> None:
    late = abandon(platform, hold(platform, key))
    successor = hold(platform, key)
    if answered:
        answer(platform, successor, {"by": "successor"})
    if fails:
        idempotency.forget(platform.engine, late)
    else:
        answer(platform, late, {"by": "who stood still"})
    if not answered:
        with pytest.raises(errors.IdempotencyInProgress):
            claim(platform, key)
        answer(platform, successor, {"by": "successor"})
    assert claim(platform, key) == Earlier(None, {"by": "successor"})


@pytest.mark.parametrize("held", ["answered", "a job's", "in the making"])
def test_nobody_answers_frees_or_takes_over_what_another_request_holds(platform: Platform, key: Key, held: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "answered": {"reply": {"a": 1}},
        "a job's": {"job_id": uuid.uuid4()},
        "in the making": {},
    }
    stands_for = known[held]
    since = hold(platform, key, **stands_for).since
    before = statements.rows(platform)
    strangers = dataclasses.replace(key, tenant_id=uuid.uuid4())
    for theirs in (strangers, dataclasses.replace(key, route="predict"), *([key] if stands_for else [])):
        answer(platform, Holder(theirs, since), {"by": "nobody"})
        idempotency.forget(platform.engine, Holder(theirs, since))
    with contextlib.suppress(errors.IdempotencyInProgress):
        claim(platform, key)
    assert statements.changed(before, statements.rows(platform)) == {}


def test_keys_are_forgotten_after_two_days(platform: Platform, key: Key) -> None:
    claim(platform, key, reply={"body": 1})
    assert idempotency.purge(platform.engine) == 0
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '48 h 1 s'")
    assert idempotency.purge(platform.engine) == 1
    assert idempotency.find(platform.engine, key) is None


def test_keys_are_forgotten_oldest_first_a_few_at_a_time_and_one_that_is_being_used_is_waited_for_by_nobody(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LIMIT", 2)
    tenant = factories.tenant(platform)
    for days in (4, 6, 3, 5, 1):
        born = text(f"now() - interval '{days} days'")
        factories.add(platform, models.IdempotencyKey, tenant_id=tenant, key=f"{days} days old", created_at=born)

    def left() -> list[str]:
        return [row[0] for row in platform.rows("SELECT key FROM idempotency_keys ORDER BY key")]

    with platform.admin.begin() as elsewhere:
        elsewhere.execute(text("SELECT FROM idempotency_keys WHERE key = '6 days old' FOR UPDATE"))
        # It would wait for five seconds, and fail.
        assert idempotency.purge(platform.engine) == 2
        assert left() == ["1 days old", "3 days old", "6 days old"]
    assert [idempotency.purge(platform.engine) for _ in range(2)] == [2, 0]
    assert left() == ["1 days old"]


def test_who_meets_a_key_that_is_freed_at_this_moment_does_not_take_it_for_its_own(
    platform: Platform, key: Key
) -> None:
    holder = hold(platform, key)
    with platform.engine.begin() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def meanwhile(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.strip().startswith("SELECT"):
                idempotency.forget(platform.engine, holder)

        with pytest.raises(errors.IdempotencyInProgress):
            idempotency.claim(connection, key)
    hold(platform, key)
