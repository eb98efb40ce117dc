"""Faults, drawn from a seed. Each is done by the main loop; those that last are undone when their time is over."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import redis
from sqlalchemy import exc, text

from core import broker
from tests.chaos.stage import Stage


@dataclass(frozen=True)
class Loss:
    """A worker process that was killed, and what it held: when are these jobs in somebody's hands again?"""

    what: str  #: child or worker
    at: float  #: the database's clock, epoch seconds
    jobs: dict[UUID, int]  #: id → attempt


@dataclass(frozen=True)
class Zombie:
    pid: int
    jobs: dict[UUID, int]  #: id → attempt
    wakes_at: float  #: at the latest, monotonic


@dataclass
class Nemesis:
    stage: Stage
    random: random.Random
    lease_s: float
    done: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    losses: list[Loss] = field(default_factory=list)
    _undo: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    _zombies: list[Zombie] = field(default_factory=list)

    def strike(self) -> None:
        """One fault."""
        faults = [fault for fault, weight in self._faults() for _ in range(weight)]
        fault = self.random.choice(faults)
        with contextlib.suppress(exc.DBAPIError, ProcessLookupError, *broker.LOST):
            fault()
            self.done[fault.__name__.strip("_")] += 1

    def tend(self) -> None:
        """Undo what has lasted long enough."""
        self._wake_zombies()
        now = time.monotonic()
        due = [undo for at, undo in self._undo if at <= now]
        self._undo = [(at, undo) for at, undo in self._undo if at > now]
        for undo in due:
            with contextlib.suppress(ProcessLookupError):
                undo()

    def heal(self) -> None:
        for zombie in self._zombies:
            with contextlib.suppress(ProcessLookupError):
                os.kill(zombie.pid, signal.SIGCONT)
        self._zombies.clear()
        for _, undo in self._undo:
            with contextlib.suppress(ProcessLookupError):
                undo()
        self._undo.clear()
        self.stage.postgres.heal()
        self.stage.redis.heal()

    def _faults(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self._kill_child, 12), (self._kill_worker, 5), (self._kill_worker_parent_only, 2), (self._freeze_child, 4),
            (self._kill_api, 3), (self._kill_express, 2), (self._kill_io, 2), (self._kill_beat, 1),
            (self._kill_redis, 2), (self._flush_redis, 2), (self._freeze_redis, 1),
            (self._crash_postgres, 2), (self._terminate_backends, 3),
            (self._cut, 3), (self._black_hole, 1), (self._slow, 2), (self._false_hints, 2),
        ]  # fmt: skip

    def _kill_child(self) -> None:
        if (pid := self._busy_child()) is not None:
            self._lose("child", lambda worker: worker.endswith(f"/{pid}"), lambda: os.kill(pid, signal.SIGKILL))

    def _kill_worker(self) -> None:
        name = self._worker()
        node = name.replace("worker", "cpu") + "@"
        group = self.stage.children[name].pid
        self._lose("worker", lambda worker: worker.startswith(node), lambda: os.killpg(group, signal.SIGKILL))

    def _kill_worker_parent_only(self) -> None:
        self._kill(self._worker())

    def _freeze_child(self) -> None:
        """A zombie. It wakes up at the worst moment: when somebody else has its job and is not done yet."""
        if (pid := self._busy_child()) is not None:
            os.kill(pid, signal.SIGSTOP)
            held = {job: attempt for job, attempt, worker in self._processing() if worker.endswith(f"/{pid}")}
            self._zombies.append(Zombie(pid, held, time.monotonic() + 3 * self.lease_s))

    def _wake_zombies(self) -> None:
        with contextlib.suppress(exc.DBAPIError):
            for zombie in list(self._zombies):
                successors = {
                    int(worker.rpartition("/")[2])
                    for job, attempt, worker in self._processing()
                    if attempt > zombie.jobs.get(job, attempt)
                }
                if not successors and time.monotonic() < zombie.wakes_at:
                    continue
                self._zombies.remove(zombie)
                for pid in successors:
                    # It may be gone, like all whom the next fault meets.
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                        self._later(1.0, partial(os.kill, pid, signal.SIGCONT))
                self.done["zombie_met_its_successor"] += bool(successors)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(zombie.pid, signal.SIGCONT)

    def _kill_api(self) -> None:
        self._kill("api", group=True)

    def _kill_express(self) -> None:
        self._kill("express")

    def _kill_io(self) -> None:
        self._kill("io")

    def _kill_beat(self) -> None:
        self._kill("beat")

    def _kill_redis(self) -> None:
        self._kill("valkey")

    def _flush_redis(self) -> None:
        redis.Redis.from_url(self.stage.env["REDIS_URL"], socket_timeout=2).flushall()

    def _freeze_redis(self) -> None:
        pid = self.stage.children["valkey"].pid
        os.kill(pid, signal.SIGSTOP)
        self._later(3, lambda: os.kill(pid, signal.SIGCONT))

    def _crash_postgres(self) -> None:
        os.kill(self.stage.children["postgres"].pid, signal.SIGQUIT)
        self.kills += 1

    def _terminate_backends(self) -> None:
        with self.stage.admin.begin() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'coatcheck%'")
            )

    def _cut(self) -> None:
        self.random.choice((self.stage.postgres, self.stage.redis)).cut()

    def _black_hole(self) -> None:
        proxy = self.random.choice((self.stage.postgres, self.stage.redis))
        proxy.hole = True
        self._later(3, proxy.heal)

    def _slow(self) -> None:
        proxy = self.random.choice((self.stage.postgres, self.stage.redis))
        proxy.delay_s = 0.05
        self._later(3, proxy.heal)

    def _false_hints(self) -> None:
        app = broker.producer(self.stage.env["REDIS_URL"])
        for _ in range(30):
            app.send_task(broker.WAKE, args=["cpu"], queue="cpu", retry=False, ignore_result=True)

    def _kill(self, name: str, *, group: bool = False) -> None:
        pid = self.stage.children[name].pid
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)
        self.kills += 1

    def _worker(self) -> str:
        return self.random.choice(sorted(name for name in self.stage.programs if name.startswith("worker")))

    def _processing(self) -> list[tuple[UUID, int, str]]:
        with self.stage.admin.connect() as connection:
            rows = connection.execute(
                text("SELECT id, attempt, worker FROM jobs WHERE status = 'processing' AND worker IS NOT NULL")
            )
            return [(row.id, row.attempt, row.worker) for row in rows]

    def _busy_child(self) -> int | None:
        pids = sorted({int(worker.rpartition("/")[2]) for *_, worker in self._processing()})
        alive = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        return self.random.choice(alive) if alive else None

    def _lose(self, what: str, mine: Callable[[str], bool], kill: Callable[[], None]) -> None:
        rows = self._processing()
        with self.stage.admin.connect() as connection:
            kill()
            at = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
        self.kills += 1
        held = {job: attempt for job, attempt, worker in rows if mine(worker)}
        if held:
            self.losses.append(Loss(what, float(at), held))

    def _later(self, seconds: float, undo: Callable[[], object]) -> None:
        self._undo.append((time.monotonic() + seconds, undo))
