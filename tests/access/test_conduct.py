"""Who makes errors again and again is held back, by every process, and nobody else is."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import text

import models
from access import blocks
from access import conduct as conduct_of
from access.conduct import MAX_RETRY_S, SLOWED, Conduct
from access.ladder import Ladder, Level
from core import database, errors
from core.audit import Actor
from tests import callers, factories
from tests.access.conftest import Clock
from tests.conftest import Platform, until
from tests.statements import issued

#: Five errors, of which none is forgotten while a test runs; a step holds as long as the default one.
LADDER = Ladder(errors=5, refill_s=1e9)
BY = Actor("cli:test")


@pytest.fixture
def subject() -> str:
    return f"key:{uuid.uuid4().hex[:12]}"


@pytest.fixture
def conduct(platform: Platform) -> Conduct:
    return Conduct(platform.engine, LADDER)


def fail(conduct: Conduct, subject: str, times: int, **more: str) -> None:
    for _ in range(times):
        conduct.failed(subject, None, 1.0, **more)


def step(conduct: Conduct, subject: str, level: Level) -> None:
    """As many errors as are one too many, and what they lead to."""
    fail(conduct, subject, 6)
    until(lambda: (found := seen(conduct, subject)) and found == level)


def seen(conduct: Conduct, subject: str) -> Level | None:
    """Where somebody is, by a process that answers requests of somebody else."""
    conduct.enter("key:other")
    found = conduct.standing(subject)
    return found.level if found else None


def row(platform: Platform, subject: str) -> tuple[object, ...]:
    sql = (
        "SELECT level, steps, reason, round(extract(epoch FROM until - since))::int AS span_s, "
        "round(extract(epoch FROM gone_at - until))::int AS below_s FROM blocks WHERE subject = :subject"
    )
    return tuple(platform.one(sql, subject=subject))


def test_as_many_errors_as_are_borne_lead_nowhere_and_one_more_is_a_warning(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    fail(conduct, subject, 5)
    assert subject not in conduct._steps
    fail(conduct, subject, 1)
    until(lambda: seen(conduct, subject) == Level.WARNED)
    assert row(platform, subject) == (1, 1, "errors", 30, 0)


def test_a_step_that_comes_while_another_is_written_is_written_behind_it_though_nobody_asks(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    first = f"key:{uuid.uuid4().hex[:12]}"
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO blocks%'"
    with platform.admin.begin() as another:
        another.execute(text("LOCK TABLE blocks IN EXCLUSIVE MODE"))
        fail(conduct, first, 6)
        until(lambda: platform.rows(waits))
        fail(conduct, subject, 6)
    until(lambda: platform.rows("SELECT FROM blocks WHERE subject = :subject", subject=subject))
    assert row(platform, first)[:2] == row(platform, subject)[:2] == (1, 1)


def test_after_its_end_nothing_is_written_any_more(conduct: Conduct, subject: str) -> None:
    conduct.close()
    fail(conduct, subject, 6)
    assert not conduct._looking.locked()
    assert subject in conduct._steps


@pytest.fixture
def counting(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> tuple[Conduct, Clock]:
    """One that only counts, on a clock that stands still; an error is forgotten in ten seconds."""
    clock = Clock()
    monkeypatch.setattr(conduct_of, "time", clock)
    made = Conduct(platform.engine, Ladder(errors=5, refill_s=10.0))
    monkeypatch.setattr(made, "_attend", lambda: None)
    return made, clock


def test_errors_are_counted_by_their_weight_and_given_back_by_time_and_by_what_goes_well(
    counting: tuple[Conduct, Clock],
) -> None:
    made, clock = counting
    made.failed("key:a", None, 2.5)
    made.failed("key:b", None, 1.0)
    assert {name: item.left for name, item in made._errors.items()} == {"key:a": 2.5, "key:b": 4.0}
    clock.now_s += 15
    made.failed("key:a", None, 0.0)
    assert made._errors["key:a"].left == 4.0
    made.went_well("key:a")
    assert made._errors["key:a"].left == 4.25
    for _ in range(9):
        made.went_well("key:a")
    assert made._errors["key:a"].left == 5
    clock.now_s += 1000
    made.failed("key:a", None, 5.0)
    assert made._errors["key:a"].left == 0
    assert made._steps == {}
    made.failed("key:a", None, 0.25)
    assert [(step.subject, step.level, step.steps, step.reason) for step in made._steps.values()] == [
        ("key:a", Level.WARNED, 1, "errors")
    ]
    assert "key:a" not in made._errors
    made.went_well("key:nobody")


def test_a_bad_key_weighs_one_more_the_first_time_and_five_are_scanning(counting: tuple[Conduct, Clock]) -> None:
    made, _ = counting
    for number in (1, 1, 2):
        made.failed("address:a", None, 0.25, tried=f"k{number}")
    assert made._errors["address:a"].left == 5 - 0.75 - 2
    for number in (3, 4):
        made.failed("address:a", None, 0.0, tried=f"k{number}")
    assert made._errors["address:a"].left == 0.25
    made.failed("address:a", None, 0.0, tried="k5")
    assert made._steps["address:a"].reason == "scanning"
    # Beyond five no other one weighs more.
    made._errors.clear()
    for number in range(4):
        made.failed("address:b", None, 0.0, tried=f"k{number}")
    made._errors["address:b"].left = 5.0
    for number in range(4, 8):
        made.failed("address:b", None, 0.0, tried=f"k{number}")
    assert made._errors["address:b"].left == 4.0


def test_each_step_is_higher_and_holds_longer_and_the_last_one_refuses(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    for level, said in ((1, (1, 1, 30, 0)), (2, (2, 2, 120, 30)), (3, (3, 3, 600, 150))):
        conduct.enter(subject)
        step(conduct, subject, Level(level))
        found, steps, _, *spans = row(platform, subject)
        assert (found, steps, *spans) == said
    with pytest.raises(errors.Blocked) as refused:
        conduct.enter(subject)
    assert 590 < refused.value.retry_after_s <= 600
    assert refused.value.details == {"level": "blocked", "reason": "errors"}
    fail(conduct, subject, 6)
    until(lambda: row(platform, subject)[1] == 4)
    assert row(platform, subject) == (3, 4, "errors", 1800, 150)


def test_another_process_knows_within_seconds_and_other_keys_go_on(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    other = Conduct(platform.engine, LADDER)
    assert seen(other, subject) is None
    for level in Level:
        step(conduct, subject, level)
    until(lambda: seen(other, subject) == Level.BLOCKED)
    with pytest.raises(errors.Blocked):
        other.enter(subject)
    other.enter("key:another of the tenant")
    assert other.share("key:another of the tenant") == 1.0


def test_the_errors_of_one_moment_at_several_processes_are_one_step(platform: Platform, subject: str) -> None:
    several = [Conduct(platform.engine, LADDER) for _ in range(3)]
    for conduct in several:
        # Nobody looks before all have seen it.
        conduct._looking.acquire()
        fail(conduct, subject, 6)
    for conduct in several:
        conduct._look()
    assert row(platform, subject) == (1, 1, "errors", 30, 0)
    # What was left of the others' patience is forgotten, and the next step takes as many errors as ever.
    fail(several[1], subject, 5)
    assert several[1]._steps == {}
    fail(several[1], subject, 1)
    until(lambda: row(platform, subject)[:2] == (2, 2))


def test_who_is_slowed_has_a_part_of_its_rates_and_who_is_warned_all(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    assert conduct.share(subject) == 1.0
    step(conduct, subject, Level.WARNED)
    assert conduct.share(subject) == 1.0
    step(conduct, subject, Level.SLOWED)
    assert conduct.share(subject) == SLOWED == 0.25


def test_the_wait_that_is_told_doubles_with_each_error_of_who_is_warned(conduct: Conduct, subject: str) -> None:
    patient = Conduct(conduct._engine, Ladder(errors=100, refill_s=1e9))
    assert patient.failed(subject, None, 1.0) == 0
    step(conduct, subject, Level.WARNED)
    until(lambda: seen(patient, subject) == Level.WARNED)
    assert [patient.failed(subject, None, 1.0) for _ in range(7)] == [2, 4, 8, 16, 32, MAX_RETRY_S, MAX_RETRY_S]


def test_errors_are_forgotten_with_time(platform: Platform, subject: str) -> None:
    quick = Conduct(platform.engine, Ladder(errors=5, refill_s=1e-9))
    fail(quick, subject, 100)
    assert quick._steps == {}


def test_who_succeeds_four_times_as_often_as_not_is_never_held_back(conduct: Conduct, subject: str) -> None:
    for _ in range(50):
        fail(conduct, subject, 1)
        for _ in range(4):
            conduct.went_well(subject)
    assert conduct._steps == {}
    assert seen(conduct, subject) is None


def test_bad_keys_that_are_all_different_are_scanning_and_count_twice(platform: Platform, subject: str) -> None:
    conduct = Conduct(platform.engine, Ladder(errors=9, refill_s=1e9))
    for number in range(4):
        fail(conduct, subject, 1, tried=f"cck_{number}")
    assert conduct._steps == {}
    fail(conduct, subject, 1, tried="cck_4")
    until(lambda: seen(conduct, subject))
    assert row(platform, subject)[2] == "scanning"


def test_one_bad_key_that_is_tried_again_and_again_is_no_scanning(platform: Platform, subject: str) -> None:
    conduct = Conduct(platform.engine, Ladder(errors=9, refill_s=1e9))
    fail(conduct, subject, 8, tried="cck_1")
    assert conduct._steps == {}
    fail(conduct, subject, 1, tried="cck_1")
    until(lambda: seen(conduct, subject))
    assert row(platform, subject)[2] == "errors"


def test_a_block_that_has_passed_begins_again_at_the_first_step(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    gone = {"since": text("now() - interval '1 d'"), "until": factories.PAST, "gone_at": factories.PAST}
    factories.add(platform, models.Block, subject=subject, level=3, steps=9, **gone)
    assert seen(conduct, subject) is None
    step(conduct, subject, Level.WARNED)
    assert row(platform, subject) == (1, 1, "errors", 30, 0)
    # Nobody else's is removed with those that have passed.
    factories.add(platform, models.Block, **gone)
    assert blocks.purge(platform.engine) >= 1
    assert row(platform, subject)[0] == 1


def test_what_is_lifted_is_forgotten_by_every_process_and_written_down(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    other = Conduct(platform.engine, LADDER)
    for level in Level:
        step(conduct, subject, level)
    fail(conduct, subject, 4)
    until(lambda: seen(other, subject) == Level.BLOCKED)
    blocks.lift(platform.engine, subject, BY)
    until(lambda: seen(conduct, subject) is None and seen(other, subject) is None)
    conduct.enter(subject)
    # The errors from before are forgiven as well.
    fail(conduct, subject, 5)
    assert conduct._steps == {}
    assert platform.rows("SELECT actor, action, before FROM audit WHERE object = :of", of=subject) == [
        ("cli:test", "block.lifted", {"level": "blocked", "reason": "errors"})
    ]


def test_a_step_that_was_not_written_yet_does_not_undo_that_somebody_is_let_go(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    for level in (Level.WARNED, Level.SLOWED):
        step(conduct, subject, level)
    with conduct._looking:  # nobody writes, or reads
        fail(conduct, subject, 6)
        blocks.lift(platform.engine, subject, BY)
    until(lambda: seen(conduct, subject) is None)
    assert conduct._steps == {}
    assert platform.rows("SELECT FROM blocks WHERE subject = :subject", subject=subject) == []


def test_nobody_of_that_name_is_held_back_and_nothing_is_written_down(platform: Platform, subject: str) -> None:
    with pytest.raises(errors.BlockNotFound):
        blocks.lift(platform.engine, subject, BY)
    factories.add(platform, models.Block, subject=subject, until=factories.PAST, gone_at=factories.PAST)
    with pytest.raises(errors.BlockNotFound):
        blocks.lift(platform.engine, subject, BY)
    assert platform.rows("SELECT FROM audit WHERE object = :of", of=subject) == []


def test_operators_see_who_is_held_back_as_it_is_by_now(platform: Platform, subject: str) -> None:
    tenant = callers.key(platform).tenant
    tenant_id = platform.one("SELECT id FROM tenants WHERE name = :name", name=tenant).id
    # Blocked until an hour ago, and slowed until an hour from now.
    ladder = Ladder(spans_s=(30, 7200, 7200))
    factories.add(
        platform, models.Block, subject=subject, tenant_id=tenant_id, level=3, until=factories.PAST,
        gone_at=factories.SOON,
    )  # fmt: skip
    (found,) = [item for item in blocks.listed(platform.engine, ladder) if item.subject == subject]
    assert (found.tenant, found.level, found.reason) == (tenant, "slowed", "made")
    assert 3500 < (found.until - found.since).total_seconds() < 3700


def test_of_too_many_those_are_known_who_are_held_longest_and_none_who_is_free(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.truncate("blocks")
    for name, days in (("key:gone", -1), ("key:a", 1), ("key:c", 3), ("key:b", 2)):
        at = text(f"now() + interval '{days} d'")
        factories.add(platform, models.Block, subject=name, level=3, until=at, gone_at=at)

    def known() -> list[str]:
        with platform.engine.connect() as connection:
            return list(blocks.standing(connection)[1])

    assert known() == ["key:c", "key:b", "key:a"]
    monkeypatch.setattr(blocks, "MOST", 2)
    assert known() == ["key:c", "key:b"]
    platform.execute("DELETE FROM blocks WHERE gone_at > now()")
    with platform.engine.connect() as connection:
        assert blocks.standing(connection) == (0.0, {})


def test_while_the_database_is_away_nobody_waits_and_the_step_is_taken_later(
    platform: Platform, conduct: Conduct, subject: str
) -> None:
    deaf = Conduct(database.create_engine("postgresql://a:b@127.0.0.1:1/d"), LADDER)
    fail(deaf, subject, 6)
    until(lambda: not deaf._looking.locked())
    deaf.enter(subject)
    deaf._engine = platform.engine
    until(lambda: seen(deaf, subject) == Level.WARNED)
    assert row(platform, subject)[:2] == (1, 1)


def test_with_no_limit_nothing_is_counted_and_nobody_asks_the_database(platform: Platform, subject: str) -> None:
    off = Conduct(platform.engine, Ladder(errors=0))
    factories.add(platform, models.Block, subject=subject, level=3)
    with issued(platform.engine) as asked:
        fail(off, subject, 100)
        off.enter(subject)
    assert (asked, off._errors) == ([], {})


def test_no_more_callers_are_remembered_than_there_is_room_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("access.conduct.MOST", 3)
    conduct = Conduct(platform.engine, LADDER)
    for name in ("a", "b", "a", "c", "d"):
        fail(conduct, name, 1)
    assert list(conduct._errors) == ["a", "c", "d"]
