"""What a worker's process does of itself, without a Celery around it: its name, its stop, and that it goes round."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from celery.concurrency.thread import TaskPool
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from sqlalchemy import exc

import models
from core import alive, broker, database, errors, tally
from jobs import presence
from tests import factories
from tests.conftest import ROOT, Platform, until
from tests.hands import sign_of_life
from wiring.base import Base
from workers import node, signs

#: Of no process.
NOBODY = 999_999_999


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of a test's own process stay as they were."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (node.INCARNATION, node.POOLS, node.STOP_FILE):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv(node.ALIVE_FILE, raising=False)


@pytest.mark.parametrize(
    ("queues", "pools"),
    [
        (["cpu"], ["cpu"]), (["gpu", "cpu"], ["gpu", "cpu"]), (["webhooks", "control"], ["webhooks"]),
        (["control"], []), (None, []),
    ],
)  # fmt: skip
def test_a_worker_is_named_anew_at_each_start_and_shows_the_pools_that_it_serves(
    queues: list[str] | None, pools: list[str]
) -> None:
    found = set()
    for _ in range(2):
        node._name("io@host", {"queues": queues})
        assert node.pools() == pools
        assert node.incarnation().startswith("io@host/")
        found.add((node.incarnation(), os.environ[node.STOP_FILE]))
    assert len(found) == len(dict(found)) == len({file for _, file in found}) == 2


@pytest.mark.parametrize(
    ("sender", "queues", "named"),
    [
        ("celery@host", ["cpu"], "cpu@host"), ("celery@host", ["webhooks", "control"], "webhooks+control@host"),
        ("celery@host", None, "celery@host"), ("mine@celery@host", ["cpu"], "mine@celery@host"),
    ],
)  # fmt: skip
def test_workers_of_a_machine_that_nobody_gives_a_name_are_told_apart_by_what_they_serve(
    sender: str, queues: list[str] | None, named: str
) -> None:
    node._name(sender, {"queues": queues})
    assert node.incarnation().rpartition("/")[0] == named


@pytest.mark.parametrize(("queues", "steps"), [(["explain"], [node.NICE]), (["cpu"], []), (["cpu", "explain"], [])])
def test_a_worker_that_does_nothing_but_explain_stands_behind_the_others(
    monkeypatch: pytest.MonkeyPatch, queues: list[str], steps: list[int]
) -> None:
    behind: list[int] = []
    monkeypatch.setattr(node, "_stand_back", lambda: behind.append(node.NICE))
    node._name("explain@host", {"queues": queues})
    assert behind == steps


def test_who_stands_back_does_so_with_its_whole_session() -> None:
    said = (
        "import os; from workers import node; node._stand_back(); group = '/proc/self/autogroup'; "
        "print(os.nice(0), open(group).read().split()[-1] if os.path.exists(group) else os.nice(0))"
    )
    before = os.nice(0)
    command = [sys.executable, "-c", said]
    done = subprocess.run(command, cwd=ROOT, start_new_session=True, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(min(19, before + node.NICE)), str(node.NICE)]


def test_a_worker_that_is_told_to_stop_says_so_to_its_children_until_it_is_gone() -> None:
    node._name("io@host", {})
    asked = [node.asked_to_stop()]
    for step in (node._stop, node._stop, node._stopped, node._stopped):
        step()
        asked.append(node.asked_to_stop())
    assert asked == [False, True, True, False, False]


def test_a_worker_forgets_the_children_of_an_earlier_one_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a[b]*"
    folder.mkdir()
    mine, others = folder / "alive.7", [folder / "alive", folder / "another.7", tmp_path / "alive.7"]
    for file in (mine, *others):
        file.touch()
    monkeypatch.setenv(node.ALIVE_FILE, str(folder / "alive"))
    node._name("io@host", {})
    assert not mine.exists()
    assert all(file.exists() for file in others)


def test_a_worker_whose_child_stands_still_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(node.ALIVE_FILE, str(tmp_path / "alive"))
    parent, child, gone = (tmp_path / name for name in ("alive", f"alive.{os.getpid()}", f"alive.{NOBODY}"))
    alive.beat(str(child))
    gone.touch()
    node._beat()
    assert alive.beats(parent)
    assert not gone.exists()
    long_ago = time.monotonic() - 1000
    for file in (parent, child):
        os.utime(file, (long_ago, long_ago))
    node._beat()
    assert not alive.beats(parent)


def test_a_worker_without_children_shows_itself_and_one_without_a_file_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    node._beat()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(node.ALIVE_FILE, str(tmp_path / "alive"))
    node._beat()
    assert alive.beats(tmp_path / "alive")


@pytest.mark.parametrize(
    ("after_s", "found", "woken"),
    [(0.0, [0], True), (0.01, [0], False), (0.0, [1, 0], True), (0.01, [500, 3, 0], True)],
)
def test_what_a_dead_one_held_is_taken_back_to_the_last_job_and_its_pool_is_woken(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, after_s: float, found: list[int], *, woken: bool
) -> None:
    asked, left = [], list(found)

    def take_back(engine: sqlalchemy.Engine, most_losses: int) -> int:
        asked.append(most_losses)
        return left.pop(0)

    monkeypatch.setattr(node, "LOOKS_S", (after_s,))
    node._parents.cache_clear()
    platform.hints.clear("gpu")
    node._take_back(take_back, ["gpu"])
    node._parents().engine.dispose()
    node._parents.cache_clear()
    assert asked == [platform.settings.jobs.max_losses] * len(found)
    # Of two hints that nobody has read the second is not sent.
    assert platform.hints.send("gpu") is not woken


def test_a_pool_is_woken_though_somebody_has_just_done_so_whose_wake_up_may_have_died(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, queue = platform.line.redis, f"{broker.KEY_PREFIX}gpu"
    monkeypatch.setattr(node, "LOOKS_S", (0.0,))
    platform.hints.clear("gpu")
    assert platform.hints.send("gpu")
    redis.delete(queue)
    node._parents.cache_clear()
    node._take_back(lambda *_: 0, ["gpu"])
    node._parents().engine.dispose()
    node._parents.cache_clear()
    assert redis.llen(queue) == 1
    redis.delete(queue)


def test_what_could_not_be_taken_back_is_looked_for_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def take_back(engine: sqlalchemy.Engine, most_losses: int) -> int:
        asked.append(most_losses)
        if len(asked) == 1:
            raise exc.OperationalError("", {}, Exception("away"))
        return 0

    monkeypatch.setattr(database, "insist", lambda write, for_s: write())
    monkeypatch.setattr(node, "LOOKS_S", (0.0, 0.01, 0.02))
    node._take_back(take_back, [])
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("error", "taken_back"),
    [
        (WorkerLostError(), True), (TimeLimitExceeded(), True), (SoftTimeLimitExceeded(), False), (ValueError(), False),
        (errors.Unavailable("away"), False),
    ],
)  # fmt: skip
def test_what_a_wake_up_held_is_taken_back_when_its_process_is_gone_and_not_when_it_only_failed(
    platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch, error: BaseException, *, taken_back: bool
) -> None:
    theirs = factories.tenant(platform)
    for wake in ("wake-1", "wake-2"):
        factories.job(platform, theirs, status="processing", wake_id=wake)
    monkeypatch.setattr(node, "_aside", lambda take_back, _: take_back(platform.engine, 3))
    node._child_died(SimpleNamespace(app=None), "wake-1", error)
    waiting = platform.rows("SELECT lost_count FROM jobs WHERE status = 'pending'")
    assert waiting == [(1,)] * taken_back


def test_what_an_earlier_worker_of_this_node_held_is_taken_back_jobs_and_deliveries_and_nobody_elses(
    platform: Platform, quiet: None
) -> None:
    factories.clear(platform)
    node._name("io@host", {})
    theirs = factories.tenant(platform)
    for worker in ("io@host/old/1", "io@other/old/1", f"{node.incarnation()}/1"):
        factories.job(platform, theirs, status="processing", worker=worker)
        factories.add(platform, models.WebhookDelivery, tenant_id=theirs, status="sending", worker=worker)
    assert node._rescue_mine(platform.engine, 3) == 2
    for table in ("jobs", "webhook_deliveries"):
        left = f"SELECT worker FROM {table} WHERE lease_expires_at IS NOT NULL ORDER BY worker"
        assert [row[0] for row in platform.rows(left)] == sorted([f"{node.incarnation()}/1", "io@other/old/1"])


def serving(*queues: str) -> SimpleNamespace:
    """As much of an app as says which queues its worker reads."""
    return SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=dict.fromkeys(queues))))


def test_the_pools_that_are_woken_for_what_was_taken_back_are_those_that_the_worker_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(node, "_take_back", lambda *said: asked.append(said))
    node._aside(node._rescue_mine, serving("cpu", "gpu", "webhooks", "control", "celery"))
    until(lambda: asked)
    assert asked == [(node._rescue_mine, ["cpu", "gpu", "webhooks"])]


def test_a_worker_that_is_ready_takes_back_what_it_held_and_shows_itself_by_its_own_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    often: list[tuple[float, object]] = []
    monkeypatch.setattr(node, "_aside", lambda *said: asked.append(said))
    sender = SimpleNamespace(
        app=serving("cpu"),
        timer=SimpleNamespace(call_repeatedly=lambda *said: often.append(said)),
        pool=SimpleNamespace(maintain_pool=len),
    )
    node._born_again(sender)
    assert asked == [(node._rescue_mine, sender.app)]
    assert often == [(5.0, node._beat), (0.1, len)]


@pytest.mark.parametrize("threads", [True, False])
def test_a_parent_hands_out_the_work_and_does_some_where_it_has_threads_instead_of_children(
    monkeypatch: pytest.MonkeyPatch, *, threads: bool
) -> None:
    node._name("io@host", {})
    signs.mine.cache_clear()
    begun: list[Callable[[], bool]] = []
    often: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(signs, "_begin", begun.append)
    pool = TaskPool(1) if threads else SimpleNamespace()
    signs._parent_begins(
        SimpleNamespace(timer=SimpleNamespace(call_repeatedly=lambda *said: often.append(said)), pool=pool)
    )
    assert (signs.mine().receives, signs.mine().works) == (True, threads)
    now = time.monotonic()
    ((every_s, goes_round),) = often
    assert every_s == 1.0
    monkeypatch.setattr(signs, "time", SimpleNamespace(monotonic=lambda: now + 60))
    assert not begun[0]()
    goes_round()
    assert begun[0]()
    signs._child_begins()
    assert begun[1]()
    signs.mine.cache_clear()


def test_a_child_shows_itself_under_its_own_number_where_the_worker_has_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(node, "_beat_always", shown.append)
    node._child_begins()
    monkeypatch.setenv(node.ALIVE_FILE, str(tmp_path / "alive"))
    node._child_begins()
    until(lambda: shown)
    assert shown == [f"{tmp_path}/alive.{os.getpid()}"]


class Enough(Exception):
    """Ends what goes on for ever."""


def test_a_child_shows_itself_every_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert alive.beats(tmp_path / "child")
        (tmp_path / "child").unlink()
        if len(slept) == 2:
            raise Enough

    monkeypatch.setattr(node, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(Enough):
        node._beat_always(str(tmp_path / "child"))
    assert slept == [5.0, 5.0]


def test_beat_shows_that_it_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node._clock_ticks()
    monkeypatch.setenv(node.ALIVE_FILE, str(tmp_path / "alive"))
    node._clock_ticks()
    assert alive.beats(tmp_path / "alive")


Tell = Callable[[], None]


@pytest.fixture
def going() -> dict[str, bool]:
    """Whether the loop of this process goes round."""
    return {"round": True}


@pytest.fixture
def tell(platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch, going: dict[str, bool]) -> Iterator[Tell]:
    """What this process does every other second, by hand."""
    told: list[Tell] = []
    made: list[sqlalchemy.Engine] = []

    class Kept(Base):
        def connections(self, count: int, application: str) -> sqlalchemy.Engine:
            made.append(super().connections(count, application))
            return made[-1]

    monkeypatch.setattr(presence, "always", told.append)
    monkeypatch.setattr(signs, "Base", Kept)
    node._name("io@host", {"queues": ["webhooks", "control"]})
    signs.mine.cache_clear()
    platform.truncate("counts")
    signs._begin(lambda: going["round"])
    until(lambda: told)
    yield told[0]
    signs.mine.cache_clear()
    made[0].dispose()


def shown(platform: Platform) -> list[str]:
    return [row[0] for row in platform.rows("SELECT name FROM workers ORDER BY name")]


@pytest.mark.parametrize(("round_", "stop", "seen"), [(True, False, 1), (False, False, 0), (True, True, 0)])
def test_who_stands_still_or_was_asked_to_stop_is_not_counted_on_and_still_counts_what_it_ends(
    platform: Platform, tell: Tell, going: dict[str, bool], *, round_: bool, stop: bool, seen: int
) -> None:
    going["round"] = round_
    if stop:
        node._stop()
    tell()
    assert shown(platform) == [f"{node.incarnation()}/{os.getpid()}"] * seen
    assert tally.told(platform.engine)


def test_a_process_shows_its_node_its_pools_and_what_it_does(platform: Platform, tell: Tell) -> None:
    tell()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'coatcheck-signs %'"
    until(lambda: platform.one(sessions) == (1,))
    found = platform.one("SELECT name, node, pools, receives, works FROM workers")
    assert found == (f"{node.incarnation()}/{os.getpid()}", node.incarnation(), ["webhooks"], False, True)


@pytest.mark.parametrize("receives", [True, False])
def test_a_parent_forgets_the_dead_of_its_own_node_and_a_child_nobody(
    platform: Platform, tell: Tell, *, receives: bool
) -> None:
    signs.mine().receives = receives
    mine, dead, elsewhere = (
        f"{node.incarnation()}/{os.getpid()}", f"{node.incarnation()}/{NOBODY}", f"io@other/a/{NOBODY}"
    )  # fmt: skip
    for name in (dead, elsewhere):
        sign_of_life(platform, name)
    tell()
    assert shown(platform) == sorted([mine, elsewhere, *([] if receives else [dead])])


def test_a_loop_counts_as_going_round_until_half_of_what_would_make_it_silent_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(signs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    loop = signs._Loop()
    found = []
    for after_s in (0.0, 4.9, 0.2):
        now[0] += after_s
        found.append(loop.went_round())
    loop.goes_round()
    assert (*found, loop.went_round()) == (True, True, False, True)
