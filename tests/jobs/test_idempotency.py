from __future__ import annotations

import contextlib
import dataclasses
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, text

import models
from core import errors
from jobs import idempotency
from jobs.idempotency import Earlier, Key
from tests import factories, statements
from tests.conftest import Platform

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def key() -> Key:
    return Key(uuid.uuid4(), "jobs", "order-1", idempotency.fingerprint({"a": 1, "b": [2]}))


def claim(platform: Platform, key: Key, **what: object) -> Earlier | None:
    with platform.engine.begin() as connection:
        return idempotency.claim(connection, key, **what)  # type: ignore[arg-type]


def test_the_order_of_a_requests_fields_does_not_matter() -> None:
    assert idempotency.fingerprint({"a": 1, "b": [2]}) == idempotency.fingerprint({"b": [2], "a": 1})
    assert idempotency.fingerprint({"a": 1}) != idempotency.fingerprint({"a": 1.5})


def test_of_many_at_once_one_is_the_first_and_all_others_hear_of_it(platform: Platform, key: Key) -> None:
    def submit(number: int) -> Earlier | None:
        return claim(platform, key, job_id=uuid.UUID(int=number), reply={"job": number})

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(submit, range(1, 51)))
    (first,) = [number for number, earlier in enumerate(found, 1) if earlier is None]
    assert {earlier.job_id for earlier in found if earlier} == {uuid.UUID(int=first)}
    assert all(earlier.reply == {"job": first} for earlier in found if earlier)


def test_a_key_of_another_tenant_or_route_is_another_key(platform: Platform, key: Key) -> None:
    claim(platform, key, reply={"mine": True})
    for other in (dataclasses.replace(key, tenant_id=uuid.uuid4()), dataclasses.replace(key, route="predict")):
        assert claim(platform, other) is None


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
    claim(platform, key)
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    idempotency.forget(platform.engine, key)
    assert claim(platform, key) is None
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '61 s'")
    assert claim(platform, key) is None
    # Whoever took it over has as long as the first one had.
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    with platform.engine.begin() as connection:
        idempotency.answer(connection, key, {"body": 1})
    assert claim(platform, key) == Earlier(None, {"body": 1})


@pytest.mark.parametrize(
    "other",
    [{"tenant_id": uuid.UUID(int=7)}, {"route": "predict"}, {"key": "order-2"}],
    ids=["tenant", "route", "key"],
)
def test_a_key_in_progress_stays_in_progress_while_another_one_was_abandoned(
    platform: Platform, key: Key, other: dict[str, Any]
) -> None:
    claim(platform, dataclasses.replace(key, **other))
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '61 s'")
    claim(platform, key)
    before = statements.rows(platform)
    with pytest.raises(errors.IdempotencyInProgress):
        claim(platform, key)
    assert statements.changed(before, statements.rows(platform)) == {}


@pytest.mark.parametrize("stands_for", [{"reply": {"a": 1}}, {"job_id": uuid.uuid4()}], ids=["a reply", "a job"])
def test_an_abandoned_key_that_was_answered_after_all_is_taken_over_by_nobody(
    platform: Platform, key: Key, stands_for: dict[str, Any]
) -> None:
    claim(platform, key, **stands_for)
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '61 s'")
    # As one does that read it before the answer came.
    parameters = {**key._where, "abandoned_s": idempotency.ABANDONED_S, "job_id": uuid.uuid4(), "reply": '{"b": 2}'}
    with platform.engine.begin() as connection:
        assert connection.execute(idempotency._TAKE_OVER, parameters).first() is None


def test_an_abandoned_key_that_is_taken_over_for_a_job_stands_for_it(platform: Platform, key: Key) -> None:
    claim(platform, key)
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '61 s'")
    job_id = uuid.uuid4()
    assert claim(platform, key, job_id=job_id, reply={"a": 1}) is None
    assert claim(platform, key) == idempotency.Earlier(job_id, {"a": 1})


def test_an_answer_that_comes_after_another_requests_changes_nothing(platform: Platform, key: Key) -> None:
    claim(platform, key)
    platform.execute("UPDATE idempotency_keys SET created_at = now() - interval '61 s'")
    assert claim(platform, key) is None
    with platform.engine.begin() as connection:
        idempotency.answer(connection, key, {"by": "successor"})
    with platform.engine.begin() as connection:
        idempotency.answer(connection, key, {"by": "who stood still for a minute"})
    assert claim(platform, key) == Earlier(None, {"by": "successor"})


@pytest.mark.parametrize("held", ["answered", "a job's", "in the making"])
def test_nobody_answers_frees_or_takes_over_what_another_request_holds(platform: Platform, key: Key, held: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "answered": {"reply": {"a": 1}},
        "a job's": {"job_id": uuid.uuid4()},
        "in the making": {},
    }
    stands_for = known[held]
    claim(platform, key, **stands_for)
    before = statements.rows(platform)
    strangers = dataclasses.replace(key, tenant_id=uuid.uuid4())
    for theirs in (strangers, dataclasses.replace(key, route="predict"), *([key] if stands_for else [])):
        with platform.engine.begin() as connection:
            idempotency.answer(connection, theirs, {"by": "nobody"})
        idempotency.forget(platform.engine, theirs)
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
    claim(platform, key)
    with platform.engine.begin() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def meanwhile(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.strip().startswith("SELECT"):
                idempotency.forget(platform.engine, key)

        with pytest.raises(errors.IdempotencyInProgress):
            idempotency.claim(connection, key)
    assert claim(platform, key) is None
