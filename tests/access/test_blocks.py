"""Rows of who is held back: a step is written once and of one alone, and how often a process looks at them."""

from __future__ import annotations

import secrets
import threading

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

import models
from access import blocks
from access import conduct as conducts
from access.blocks import Step
from access.conduct import Conduct
from access.ladder import Ladder, Level
from core import errors
from core.audit import Actor
from tests import factories
from tests.conftest import Platform, until
from tests.statements import issued

LADDER = Ladder(errors=5, refill_s=1e9)
BY = Actor("cli:test")
YESTERDAY = text("now() - interval '1 d'")


def subject() -> str:
    return f"key:{secrets.token_hex(6)}"


def held(platform: Platform, level: int, steps: int, **given: object) -> str:
    """Somebody who was put on the ladder yesterday."""
    who = subject()
    factories.add(platform, models.Block, subject=who, level=level, steps=steps, since=YESTERDAY, **given)
    return who


def step(who: str, steps: int, reason: str = "errors") -> Step:
    return Step(who, None, Level(min(steps, Level.BLOCKED)), steps, reason)


def written(platform: Platform, *steps: Step) -> list[str]:
    """Of whom a step up was written."""
    with platform.engine.begin() as connection:
        return [made.subject for made in blocks.write(connection, steps, LADDER)]


def row(platform: Platform, who: str) -> tuple[object, ...]:
    return tuple(platform.one("SELECT * FROM blocks WHERE subject = :who", who=who))


def test_a_first_step_that_comes_late_changes_nothing_of_who_is_held_back_already(platform: Platform) -> None:
    who = held(platform, 3, 5)
    before = row(platform, who)
    assert written(platform, step(who, 1)) == []
    assert row(platform, who) == before


def test_a_next_step_is_written_once_and_of_one_alone_who_is_still_held_back(platform: Platform) -> None:
    who, other, gone = held(platform, 1, 1), held(platform, 1, 1), held(platform, 2, 2, gone_at=YESTERDAY)
    before = [row(platform, one) for one in (other, gone)]
    assert written(platform, step(who, 2, "scanning"), step(gone, 3)) == [who]
    sql = (
        "SELECT level, steps, reason, round(extract(epoch FROM until - since))::int AS span_s,"
        " round(extract(epoch FROM gone_at - until))::int AS below_s FROM blocks WHERE subject = :who"
    )
    assert platform.one(sql, who=who) == (2, 2, "scanning", 120, 30)
    # Whoever saw the same at another process.
    mine = row(platform, who)
    assert written(platform, step(who, 2)) == []
    assert [row(platform, one) for one in (who, other, gone)] == [mine, *before]


def test_several_steps_are_written_in_one_order_whoever_was_seen_first(platform: Platform) -> None:
    first, second, third = sorted(subject() for _ in range(3))
    assert written(platform, *(step(who, 1) for who in (third, first, second))) == [first, second, third]


def test_who_lets_one_go_lets_nobody_else_go(platform: Platform) -> None:
    who, other = held(platform, 3, 3), held(platform, 2, 2)
    before = row(platform, other)
    blocks.lift(platform.engine, who, BY)
    assert row(platform, other) == before
    for nobody in (who, "key:\x00", "key:a\nb"):
        with pytest.raises(errors.BlockNotFound):
            blocks.lift(platform.engine, nobody, BY)
    assert row(platform, other) == before


def test_who_is_held_back_as_long_as_another_is_listed_by_name(platform: Platform) -> None:
    tomorrow = text("date_trunc('day', now()) + interval '1 d'")
    made = sorted(held(platform, 1, 1, until=tomorrow, gone_at=tomorrow) for _ in range(4))
    assert [item.subject for item in blocks.listed(platform.engine, LADDER) if item.subject in made] == made


def test_a_step_up_is_counted_for_who_watches_the_platform(platform: Platform) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("access_held_back_total", {"level": "warned", "reason": "errors"}) or 0

    conduct, who, before = Conduct(platform.engine, LADDER), subject(), counted()
    conduct.failed(who, None, 6.0)
    until(lambda: counted() == before + 1)
    conduct.close()


def test_however_many_come_a_process_looks_once_in_a_while(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducts, "LOOK_S", 600.0)
    conduct = Conduct(platform.engine, LADDER)
    with issued(platform.engine) as asked:
        for _ in range(5):
            conduct.enter("key:somebody")
            until(lambda: not conduct._looking.locked())
    assert [statement is blocks._HELD for statement in asked].count(True) == 1


def test_where_there_is_no_thread_to_be_had_the_next_request_looks(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    who, conduct = held(platform, 3, 3), Conduct(platform.engine, LADDER)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        conduct.enter(who)
    until(lambda: conduct.refusal(who))
