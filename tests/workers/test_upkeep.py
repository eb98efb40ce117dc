"""One chore that fails, hangs or takes long is in no other's way, and is seen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy

import models
from core import chores, errors, metrics
from core.chores import Chore
from tests import factories
from tests.conftest import Platform, until
from tests.hands import chores as every_chore
from tests.hands import status_of
from workers.upkeep import Upkeep

pytestmark = pytest.mark.usefixtures("quiet")
LONG_AGO = sqlalchemy.text("now() - interval '1 y'")


class Hung:
    """A store that stands still until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def run(self) -> int:
        self.asked.set()
        assert self.let_go.wait(60)
        return 0


@pytest.fixture
def hung() -> Iterator[Hung]:
    made = Hung()
    yield made
    made.let_go.set()


@pytest.fixture
def keep(platform: Platform, hung: Hung) -> Iterator[Callable[[list[Chore]], Upkeep]]:
    """Who does these chores, and has ended when the test has."""
    with contextlib.ExitStack() as stack:

        def make(todo: list[Chore]) -> Upkeep:
            made = Upkeep(platform.engine, todo, asked_to_stop=hung.let_go.is_set)
            stack.callback(made.close)
            return made

        yield make
        hung.let_go.set()


def broken() -> int:
    raise ValueError("nobody foresaw this")


def away() -> int:
    raise errors.Unavailable("The store does not answer")


def counted(chore: str, result: str) -> float:
    return metrics.CHORES.labels(chore, result)._value.get()


def done(platform: Platform) -> set[str]:
    """What has succeeded since it was first to be done."""
    standing = chores.standing(platform.engine)
    return {item.name for item in standing if item.succeeded_at > min(each.succeeded_at for each in standing)}


def test_while_one_hangs_and_others_fail_the_rest_is_done_and_seen(
    platform: Platform, hung: Hung, keep: Callable[[list[Chore]], Upkeep]
) -> None:
    late = factories.job(platform, factories.tenant(platform), expires_at=factories.PAST)["id"]
    bad = [Chore("hangs", 2, hung.run), Chore("breaks", 2, broken), Chore("is away", 2, away)]
    before = counted("breaks", "failed")
    good = every_chore(platform)
    upkeep = keep([*bad, *good])
    assert upkeep.tick() == [chore.name for chore in (*bad, *good)]
    until(lambda: done(platform) == {chore.name for chore in good})
    assert status_of(platform, late) == "expired"
    until(lambda: counted("breaks", "failed") == before + 1)
    # Who never succeeded will be missed as well.
    assert {chore.name for chore in bad} <= {item.name for item in chores.standing(platform.engine)}
    hung.let_go.set()
    until(lambda: "hangs" in done(platform))


@pytest.mark.parametrize(
    ("run", "result"),
    [(lambda: 0, "done"), (lambda: 3, "done"), (broken, "failed"), (away, "failed")],
    ids=["nothing", "three", "broken", "away"],
)
def test_each_time_a_chore_is_done_or_not_is_counted_as_what_it_was(
    keep: Callable[[list[Chore]], Upkeep], run: Callable[[], int], result: str
) -> None:
    name = factories.unique("chore")
    keep([Chore(name, 2, run)]).tick()
    until(lambda: counted(name, result) == 1)
    assert counted(name, "failed" if result == "done" else "done") == 0


@pytest.mark.parametrize(("step", "every_s", "done"), [(None, 60, 3), (4, 60, 3), (3, 60, 8), (2, 60, 8), (3, 0, 3)])
def test_a_chore_of_which_there_is_more_to_do_goes_on_for_half_of_its_time(
    keep: Callable[[list[Chore]], Upkeep], step: int | None, every_s: float, done: int
) -> None:
    left, did = [3, 3, 2, 0], list[int]()

    def run() -> int:
        did.append(left.pop(0))
        return did[-1]

    name = factories.unique("chore")
    keep([Chore(name, every_s, run, step)]).tick()
    until(lambda: counted(name, "done") == 1)
    assert sum(did) == done


def test_who_is_to_stop_does_no_more_of_a_chore_than_it_has_begun(
    hung: Hung, keep: Callable[[list[Chore]], Upkeep]
) -> None:
    did: list[int] = []

    def run() -> int:
        hung.let_go.set()
        did.append(3)
        return 3 if len(did) < 9 else 0

    name = factories.unique("chore")
    keep([Chore(name, 60, run, 3)]).tick()
    until(lambda: counted(name, "done") == 1)
    assert did == [3]


def test_what_comes_as_fast_as_jobs_do_is_done_again_while_there_is_more(platform: Platform) -> None:
    assert {chore.name for chore in every_chore(platform) if chore.step} == {
        "rescue", "expire", "forget jobs", "forget uploads", "forget keys", "forget deliveries",
        "forget troubles",
    }  # fmt: skip


def test_none_is_done_twice_at_once_nor_before_its_time(
    platform: Platform, hung: Hung, keep: Callable[[list[Chore]], Upkeep], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("workers.ticks.time", type("Clock", (), {"monotonic": lambda: now[0]}))
    upkeep = keep([Chore("hangs", 2, hung.run), Chore("rests", 60, lambda: 0)])
    assert upkeep.tick() == ["hangs", "rests"]
    assert hung.asked.wait(9)
    until(lambda: "rests" in done(platform))
    now[0] += 58.0
    assert upkeep.tick() == []
    now[0] += 2.0
    until(lambda: upkeep.tick() == ["rests"])
    hung.let_go.set()
    until(lambda: "hangs" in upkeep.tick())


def test_how_late_a_chore_is_counts_from_when_it_was_due_and_one_that_is_gone_is_forgotten(platform: Platform) -> None:
    ago = sqlalchemy.text("now() - interval '100 s'")
    for name, every_s in (("often", 2.0), ("rarely", 3600.0)):
        factories.add(platform, models.Chore, name=name, every_s=every_s, succeeded_at=ago)
    often, rarely = chores.standing(platform.engine)
    assert (round(often.late_s), rarely.late_s) == (98, 0.0)
    chores.done(platform.engine, Chore("often", 2, broken), ["often"])
    (often,) = chores.standing(platform.engine)
    assert often.late_s == 0.0


def test_no_chore_waits_for_a_row_that_somebody_holds(platform: Platform) -> None:
    factories.clear(platform)
    past, tenant = factories.PAST, factories.tenant(platform)
    owed = {"tenant_id": tenant, "created_at": LONG_AGO}
    for _ in range(2):
        factories.job(platform, tenant, expires_at=past)
        factories.job(platform, tenant, status="processing", lease_expires_at=past)
        factories.add(platform, models.WebhookDelivery, **owed, status="sending", lease_expires_at=past)
        factories.add(platform, models.WebhookDelivery, **owed, since=LONG_AGO)
        factories.add(platform, models.WebhookDelivery, **owed, status="delivered", finished_at=LONG_AGO)
        factories.add(platform, models.ShadowCopy, expires_at=past)
        factories.add(platform, models.ShadowPair, at=LONG_AGO)
    one_of_each = [f"SELECT FROM {name} WHERE id IN (SELECT DISTINCT ON (status) id FROM {name}) FOR UPDATE"
                   for name in ("jobs", "webhook_deliveries")]  # fmt: skip
    one_of_each += [f"SELECT FROM {name} LIMIT 1 FOR UPDATE" for name in ("shadow_copies", "shadow_pairs")]
    todo = {chore.name: chore.run for chore in every_chore(platform)}
    with platform.admin.begin() as somebody:
        for statement in one_of_each:
            somebody.execute(sqlalchemy.text(statement))
        wanted = ("rescue", "expire", "take back deliveries", "give up deliveries", "forget deliveries")
        assert {name: todo[name]() for name in wanted} == dict.fromkeys(wanted, 1)
        assert todo["forget shadows"]() == 2
    assert todo["forget shadows"]() == 2
