"""What was used is told exactly, whoever commits late, and days stay when their rows are forgotten."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text

import models
from access import tiers, usage
from access.usage import Span
from core import errors
from tests import factories
from tests.conftest import Platform
from tests.engines import ROOT

LONG_AGO, LATER = dt.date(2020, 1, 1), dt.date(2100, 1, 1)
ALL = Span(LONG_AGO, LATER)
_INSERT = text(
    "INSERT INTO usage (job_id, tenant_id, model, units, price, created_at)"
    " VALUES (gen_random_uuid(), :tenant, 'sentiment', :units, :units * 0.5, coalesce(:at, now()))"
)


@pytest.fixture(autouse=True)
def empty(platform: Platform) -> None:
    """A ledger of this test alone."""
    platform.truncate("usage, usage_days, usage_mark")


@pytest.fixture
def tenant(platform: Platform) -> uuid.UUID:
    return factories.tenant(platform)


def add(connection: sqlalchemy.Connection, tenant: uuid.UUID, units: int, at: object = None) -> None:
    connection.execute(_INSERT, {"tenant": tenant, "units": units, "at": at})


def added(platform: Platform, tenant: uuid.UUID, units: int, at: object = None) -> None:
    with platform.engine.begin() as connection:
        add(connection, tenant, units, at)


def told(platform: Platform, tenant: uuid.UUID) -> int:
    return sum(item.units for item in usage.read(platform.engine, tenant, ALL, ["model"]))


def in_days(platform: Platform, tenant: uuid.UUID) -> int:
    found = platform.one("SELECT coalesce(sum(units), 0) FROM usage_days WHERE tenant_id = :id", id=tenant)
    return int(found[0])


def folded(platform: Platform) -> int:
    """All that can be, in as many steps as it takes."""
    total = 0
    while found := usage.fold(platform.engine):
        total += found
    return total


def test_a_transaction_that_commits_late_is_counted_once_before_and_after_it_is_added_up(
    platform: Platform, tenant: uuid.UUID
) -> None:
    added(platform, tenant, 1)
    with platform.engine.connect() as late:
        add(late, tenant, 10)
        added(platform, tenant, 100)
        for _ in range(3):
            usage.fold(platform.engine)
        # Nothing is added up past one that is not committed yet, and nothing committed waits to be told.
        assert (in_days(platform, tenant), told(platform, tenant)) == (1, 101)
        late.commit()
    assert told(platform, tenant) == 111
    folded(platform)
    assert (in_days(platform, tenant), told(platform, tenant)) == (111, 111)
    assert folded(platform) == 0


def test_a_day_grows_by_calls_units_and_price(platform: Platform, tenant: uuid.UUID) -> None:
    for units in (1, 10, 100):
        added(platform, tenant, units)
        folded(platform)
    (found,) = usage.read(platform.engine, tenant, ALL, ["model"])
    assert platform.one("SELECT count(*) FROM usage_days") == (1,)
    assert (found.calls, found.units, found.price) == (3, 111, Decimal("55.5"))


def test_what_was_added_up_is_never_added_up_again_where_transactions_begin_anew(
    platform: Platform, tenant: uuid.UUID
) -> None:
    """As after a dump is restored in a younger database."""
    platform.execute("INSERT INTO usage_mark (xact) VALUES (9000000000000000000)")
    added(platform, tenant, 1)
    assert usage.fold(platform.engine) == 0
    assert platform.one("SELECT xact FROM usage_mark") == (9000000000000000000,)


def test_what_is_taken_back_is_not_counted(platform: Platform, tenant: uuid.UUID) -> None:
    with platform.engine.connect() as never:
        add(never, tenant, 10)
        never.rollback()
    added(platform, tenant, 1)
    folded(platform)
    assert (in_days(platform, tenant), told(platform, tenant)) == (1, 1)


def test_one_who_adds_up_is_alone_and_the_others_do_nothing(platform: Platform, tenant: uuid.UUID) -> None:
    added(platform, tenant, 1)
    folded(platform)
    added(platform, tenant, 1)
    with platform.engine.connect() as other:
        other.execute(usage._MARK)
        assert usage.fold(platform.engine) == 0
    assert folded(platform) == 1


def test_much_is_added_up_in_steps_and_one_transaction_never_in_two(
    platform: Platform, tenant: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "LIMIT", 3)
    with platform.engine.begin() as connection:
        for _ in range(10):
            add(connection, tenant, 1)
    for _ in range(7):
        added(platform, tenant, 1)
    steps = []
    while in_days(platform, tenant) < 17:
        steps.append(usage.fold(platform.engine))
        assert told(platform, tenant) == 17
    assert [step for step in steps if step] == [10, 3, 3, 1]


def test_only_rows_that_are_old_and_in_their_day_are_forgotten_and_the_days_stay(
    platform: Platform, tenant: uuid.UUID
) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
    added(platform, tenant, 1, old)
    added(platform, tenant, 10)
    assert usage.forget(platform.engine, keep_days=30) == 0
    # Nor is what is kept written to, as a lock on it would be.
    assert platform.rows("SELECT DISTINCT xmax::text FROM usage") == [("0",)]
    with platform.engine.connect() as late:
        add(late, tenant, 100, old)
        folded(platform)
        late.commit()
    assert usage.forget(platform.engine, keep_days=32) == 0
    assert usage.forget(platform.engine, keep_days=30) == 1
    assert usage.forget(platform.engine, keep_days=30) == 0
    assert told(platform, tenant) == 111


def test_what_somebody_holds_is_not_waited_for_and_forgotten_the_next_time(
    platform: Platform, tenant: uuid.UUID
) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
    for _ in range(3):
        added(platform, tenant, 1, old)
    folded(platform)
    with platform.engine.connect() as other:
        other.execute(text("SELECT FROM usage ORDER BY id LIMIT 1 FOR UPDATE"))
        assert usage.forget(platform.engine, keep_days=30) == 2
    assert usage.forget(platform.engine, keep_days=30) == 1


def test_the_oldest_are_forgotten_first_and_so_many_in_a_step(
    platform: Platform, tenant: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
    for units in (1, 2, 3):
        added(platform, tenant, units, old)
    folded(platform)
    monkeypatch.setattr(usage, "LIMIT", 2)
    assert usage.forget(platform.engine, keep_days=30) == 2
    assert platform.rows("SELECT units FROM usage") == [(3,)]


def test_use_is_told_apart_by_what_is_asked_for_whether_it_is_in_its_day_or_not(
    platform: Platform, tenant: uuid.UUID, today: dt.date
) -> None:
    other, yesterday = factories.tenant(platform), dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    mine: list[dict[str, Any]] = [
        {"model": "a", "version": "1", "kind": "inline", "key_id": "k1", "calls": 5, "units": 50, "price": 5},
        {"model": "a", "version": "2", "kind": "predict", "key_id": "k1", "units": 7, "price": Decimal("0.7")},
        {"model": "b", "version": "1", "kind": "predict", "key_id": "k2", "units": 1, "created_at": yesterday},
    ]
    for given in mine:
        factories.add(platform, models.Usage, tenant_id=tenant, **given)
    factories.add(platform, models.Usage, tenant_id=other, units=1000)

    def found(*by: str, since: dt.date = LONG_AGO, until: dt.date = LATER) -> list[tuple[object, ...]]:
        read = usage.read(platform.engine, tenant, Span(since, until), by)
        return [(*[getattr(item, name) for name in by], item.calls, item.units, item.price) for item in read]

    for _ in range(2):
        assert found() == [(7, 58, Decimal("5.7"))]
        assert found("model") == [("a", 6, 57, Decimal("5.7")), ("b", 1, 1, 0)]
        assert found("kind") == [("inline", 5, 50, 5), ("predict", 2, 8, Decimal("0.7"))]
        assert [row[:2] for row in found("key", "version")] == [("k1", "1"), ("k1", "2"), ("k2", "1")]
        assert found("version", "key") == [
            ("1", "k1", 5, 50, 5), ("1", "k2", 1, 1, 0), ("2", "k1", 1, 7, Decimal("0.7"))
        ]  # fmt: skip
        assert found("day") == [(yesterday.date(), 1, 1, 0), (today, 6, 57, Decimal("5.7"))]
        assert found("day", since=today) == [(today, 6, 57, Decimal("5.7"))]
        assert found("day", until=yesterday.date()) == [(yesterday.date(), 1, 1, 0)]
        names = {item.tenant: item.units for item in usage.read(platform.engine, None, ALL, [])}
        assert sorted(names.values()) == [58, 1000]
        folded(platform)


def test_days_are_bounded_and_without_a_word_they_are_those_of_this_month(platform: Platform, today: dt.date) -> None:
    assert usage.span(platform.engine, None, None) == Span(today.replace(day=1), today)
    assert usage.span(platform.engine, None, dt.date(2026, 2, 28)) == Span(dt.date(2026, 2, 1), dt.date(2026, 2, 28))
    first, last = dt.date(2025, 1, 1), dt.date(2025, 1, 1) + dt.timedelta(399)
    assert usage.span(platform.engine, first, last) == Span(first, last)
    assert usage.span(platform.engine, first, first) == Span(first, first)
    for since, until in ((first, last + dt.timedelta(1)), (last, first)):
        with pytest.raises(errors.InvalidInput) as caught:
            usage.span(platform.engine, since, until)
        assert (caught.value.details["field"], caught.value.details["received"]) == ("from", str(since))


@contextlib.contextmanager
def rows_read(engine: sqlalchemy.Engine) -> Iterator[list[int]]:
    """How many rows each statement comes to meanwhile."""
    counts: list[int] = []

    def note(_connection: object, cursor: Any, *_: object) -> None:
        counts.append(cursor.rowcount)

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield counts
    finally:
        event.remove(engine, "after_cursor_execute", note)


def test_more_rows_than_anybody_reads_are_refused_and_not_cut(
    platform: Platform, tenant: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("a", "b", "c"):
        factories.add(platform, models.Usage, tenant_id=tenant, model=model)
    monkeypatch.setattr(usage, "MOST_ROWS", 3)
    assert len(usage.read(platform.engine, tenant, ALL, ["model"])) == 3
    for most, read in ((2, 3), (1, 2)):
        monkeypatch.setattr(usage, "MOST_ROWS", most)
        with rows_read(platform.engine) as counts, pytest.raises(errors.InvalidInput) as caught:
            usage.read(platform.engine, tenant, ALL, ["model"])
        assert (caught.value.details["field"], caught.value.details["received"]) == ("by", "model")
        assert max(counts) == read, "one too many is enough to know"


def test_after_a_dump_is_restored_elsewhere_as_the_docs_say_nothing_is_missing_or_counted_twice(
    platform: Platform, tenant: uuid.UUID
) -> None:
    added(platform, tenant, 1)
    folded(platform)
    added(platform, tenant, 10)
    # There, transactions are counted from the beginning again.
    platform.execute("UPDATE usage SET xact = xact + 1000000000000")
    platform.execute("UPDATE usage_mark SET xact = xact + 1000000000000")
    (said,) = re.findall(r"```sql\n(UPDATE usage .*?)```", (ROOT / "docs" / "access.md").read_text(), re.DOTALL)
    for statement in said.strip().splitlines():
        platform.execute(statement)
    added(platform, tenant, 100)
    assert told(platform, tenant) == 111
    folded(platform)
    assert (in_days(platform, tenant), told(platform, tenant)) == (111, 111)


def test_prices_add_up_to_any_sum(platform: Platform, tenant: uuid.UUID) -> None:
    most = tiers.LIMITS["unit_price"].most
    many = {"tenant": tenant, "units": 2**53, "price": most}
    for _ in range(2):
        platform.execute(
            "INSERT INTO usage (job_id, tenant_id, model, units, price)"
            " VALUES (gen_random_uuid(), :tenant, 'sentiment', :units, :units * CAST(:price AS numeric))",
            **many,
        )
        folded(platform)
    (found,) = usage.read(platform.engine, tenant, ALL, ["model"])
    assert found.price == 2 * 2**53 * Decimal(most)
