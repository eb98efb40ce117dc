"""What a storm shows only by chance, done once each on purpose, with the platform at rest: who loses what at the worst
moment, and how soon all is well again."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import redis
from redis import backoff, retry
from sqlalchemy import text

from core import broker, ids
from tests.chaos import machine
from tests.chaos.load import Client
from tests.chaos.proxy import Held
from tests.chaos.stage import Stage

#: In what a worker says when it settles what it has predicted, and nobody else ever says: a result in an array.
SETTLES = rb"\"confidence\""
#: Jobs in a burst, and what each is of.
BURST, SIZE = 60, 40
#: Inputs of a job that takes a worker some seconds.
LONG = 1000
#: How much slower a burst may be after everything than it was before.
SLOWER = 5.0


class Failed(Exception):
    """The platform did not do in time what it should."""


@dataclass
class Drill:
    """`took` is seconds until all was well, by scene; after a fault the others are left out, as the stage is not at
    rest."""

    stage: Stage
    client: Client
    lease_s: float
    burst_s: float = 0.0  #: what one took before anything was broken
    took: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def begin(self, scenes: Collection[str]) -> None:
        """Before anything is broken: everybody is there, and has looked for work as those do who start; and the better
        of two bursts."""
        for name in self._workers:
            ready = functools.partial(self._logged_more, " ready.", 0, name)
            self._within(f"{name} did not start", ready, base_s=60, starts=5)
        # The wake-up with which a worker starts waits in its parent until its child is born, and would then do the job
        # of one that was lost.
        numbers = itertools.count()

        def all_had_one() -> bool:
            self._ends("a first job", self._submit(f"first-{next(numbers)}"), base_s=10, starts=2)
            return all(self._logged_more("batch_ran", 0, name) for name in self._workers)

        self._within("of the first jobs one worker had none", all_had_one, base_s=60, starts=5)
        if "work goes on" in scenes:
            self.burst_s = min(self.burst() for _ in range(2))

    def run(self, scenes: Collection[str]) -> None:
        for name in scenes:
            try:
                SCENES[name](self)
            except Failed as failed:
                self.faults.append(f"when {name}: {failed}")
                return
            finally:
                self.stage.postgres.heal()

    # Scenes.

    def _wake_up_lost(self) -> None:
        """A hint is lost after its flag was set: who comes later must not rely on it for good."""
        # What healed a moment ago may still cut a connection.
        patient = retry.Retry(backoff.ConstantBackoff(0.2), 50)
        valkey: Any = redis.Redis.from_url(self.stage.env["REDIS_URL"], socket_timeout=5, retry=patient)
        flag, queue = f"{broker.KEY_PREFIX}hint:cpu", f"{broker.KEY_PREFIX}cpu"
        # An earlier hint that is still on its way would wake the pool in this one's place.
        self._within(
            "hints came to no rest", lambda: not valkey.exists(flag) and not valkey.llen(queue), base_s=10, starts=2
        )
        valkey.execute_command("ACL", "SETUSER", "default", "-lpush")
        try:
            job = next(filter(None, (self._without_hint(number, valkey, flag) for number in range(5))), None)
            if job is None:
                raise Failed("no hint was sent")
        finally:
            valkey.execute_command("ACL", "SETUSER", "default", "+lpush")
        # The flag's time, a sweep, and that whoever saw Redis refuse leaves it alone for 5 s.
        self._ends("a job whose wake-up was lost", job, base_s=12, starts=2)

    def _without_hint(self, number: int, valkey: Any, flag: str) -> UUID | None:
        """A job whose hint's flag was set; None while the API leaves Redis alone, as for 5 s after a failure."""
        job = self._submit(f"wake-up-{number}")
        said = machine.within(lambda: valkey.exists(flag), base_s=5, starts=0, meanwhile=self.stage.tend)
        return job if said else None

    def _child_killed(self) -> None:
        job, held = self._caught("child")
        killed_at = self._now()
        os.kill(held.pid, signal.SIGKILL)
        self._drop(held)
        self._free("a killed child's job", job, killed_at, base_s=7, starts=3)

    def _worker_killed(self) -> None:
        job, held = self._caught("worker")
        number = self._job(job).worker.partition("@")[0].removeprefix("cpu")
        killed_at = self._now()
        os.killpg(self.stage.children[f"worker{number}"].pid, signal.SIGKILL)
        self._drop(held)
        self._free("a killed worker's job", job, killed_at, base_s=self.lease_s + 6, starts=2)

    def _late_write(self) -> None:
        """A child is frozen while it settles; its write arrives when somebody else has the job."""
        if not any(self._zombie(number) for number in range(3)):
            raise Failed("nobody took the job over before the sleeper's transaction was ended, in three attempts")

    def _zombie(self, number: int) -> bool:
        """False where it took too long: a session that waits in a transaction lasts for ten seconds only."""
        job, held = self._caught(f"zombie-{number}")
        fenced = self._logged("write_fenced")
        os.kill(held.pid, signal.SIGSTOP)
        try:
            self._execute("UPDATE jobs SET lease_expires_at = clock_timestamp() WHERE id = :id", job)
            self._within("nobody took the job over", lambda: len(self.stage.postgres.held) > 1, base_s=8, starts=2)
            waits = (
                "SELECT count(*) AS here FROM pg_stat_activity WHERE application_name = :id AND state LIKE 'idle in%'"
            )
            met = bool(self._one(waits, held.speaker).here)
            held.let_go()
        finally:
            _wake(held.pid)
        if met:
            heard = functools.partial(self._logged_more, "write_fenced", fenced)
            what = "the late write was not heard of"
            self._within(what, lambda: self._job(job).finished_at or heard(), base_s=10, starts=2)
        if (now := self._job(job)).finished_at is not None:
            raise Failed(f"attempt 1 ended the job that attempt {now.attempt} holds, as {now.status}")
        self.stage.postgres.let_go()
        self._ends("the job", job, base_s=10, starts=2)
        return met

    def _lease_over(self) -> None:
        job, held = self._caught("lease")
        self.stage.postgres.catch = None
        frozen_at = self._now()
        os.kill(held.pid, signal.SIGSTOP)
        try:
            self._free("a frozen child's job", job, frozen_at, base_s=self.lease_s + 6, starts=2)
        finally:
            _wake(held.pid)

    def _outage(self) -> None:
        """Every worker misses two heartbeats of what it holds; then all is as before."""
        self._everybody_runs()
        words = '"failures": 2'
        missed = {name: self._logged(words, name) for name in self._workers}
        self.stage.postgres.shut = True
        self.stage.postgres.cut()
        for name in self._workers:
            heard = functools.partial(self._logged_more, words, missed[name], name)
            self._within(f"{name} missed no heartbeats", heard, base_s=self.lease_s + 5, starts=2)

    def _everybody_runs(self) -> None:
        """Each worker is in the middle of something that takes seconds."""
        for number in range(len(self._workers)):
            job = self._submit(f"outage-{number}", LONG, "sentiment/2.1.0")
            begun = functools.partial(self._is_processing, job)
            self._within("not every worker took a job", begun, base_s=10, starts=2)

    def _is_processing(self, job: UUID) -> bool:
        return bool(self._job(job).status == "processing")

    @property
    def _workers(self) -> list[str]:
        return [name for name in self.stage.programs if name.startswith("worker")]

    def _steady(self) -> None:
        """As much is done in a while as before anything was broken."""
        if not any(self.burst() < SLOWER * self.burst_s + 1 for _ in range(3)):
            raise Failed(f"{BURST} jobs took {self.took['burst']:.1f} s, and {self.burst_s:.1f} s before everything")

    def burst(self) -> float:
        """Seconds that a number of jobs takes from the first request until all have ended."""
        started = time.monotonic()
        jobs = [self._submit(f"burst{started:.3f}-{number}", SIZE) for number in range(BURST)]
        sql = "SELECT count(*) AS open FROM jobs WHERE id = ANY (:id) AND finished_at IS NULL"
        # Behind what was running when everything was broken, which may have had to begin anew.
        base_s = 40 + SLOWER * self.burst_s
        self._within("a burst did not end", lambda: not self._one(sql, jobs).open, base_s=base_s, starts=20)
        self.took["burst"] = time.monotonic() - started
        return self.took["burst"]

    # What they are made of.

    def _submit(self, name: str, size: int = 1, version: str = "sentiment/1.0.0") -> UUID:
        promise = self.client.of(f"drill-{name}", size, version)
        self.client.submit(promise)
        found = ids.parse_job_id(str(promise.job_id))
        assert found is not None
        return found

    def _caught(self, name: str) -> tuple[UUID, Held]:
        """A new job whose worker is about to settle it, and what it says."""
        for number in range(3):
            self.stage.postgres.catch = SETTLES
            job = self._submit(f"{name}-{number}")
            self._within("nobody ran a job", lambda: self.stage.postgres.held, base_s=10, starts=2)
            # Who has waited in a transaction for ten seconds, as on a busy machine, has lost the job by now.
            if self._job(job).worker is not None:
                return job, self.stage.postgres.held[0]
            self.stage.postgres.let_go()
        raise Failed("no worker kept a job for as long as it takes to look at it, in three attempts")

    def _drop(self, held: Held) -> None:
        self.stage.postgres.catch = None
        held.drop()

    def _free(self, what: str, job: UUID, since: float, *, base_s: float, starts: float) -> None:
        """The job of who was lost is noticed in time, and run again."""
        sql = "SELECT min(extract(epoch FROM at)) AS at FROM job_events WHERE job_id = :id AND type = 'pending'"
        self._within(f"{what} was not free again", lambda: self._one(sql, job).at, base_s=base_s, starts=starts)
        self.took[f"{what} is free again"] = float(self._one(sql, job).at) - since
        self._ends(what, job, base_s=6, starts=3)
        ended = self._one("SELECT extract(epoch FROM finished_at) AS at FROM jobs WHERE id = :id", job).at
        self.took[f"{what} is done"] = float(ended) - since

    def _ends(self, what: str, job: UUID, *, base_s: float, starts: float) -> None:
        self._within(f"{what} did not end", lambda: self._job(job).finished_at, base_s=base_s, starts=starts)

    def _within(self, otherwise: str, condition: Callable[[], object], *, base_s: float, starts: float) -> None:
        if not machine.within(condition, base_s=base_s, starts=starts, meanwhile=self.stage.tend):
            raise Failed(f"{otherwise} within {base_s:.0f} s and {starts:g} times what starting a process takes")

    def _job(self, job: UUID) -> Any:
        return self._one("SELECT status, attempt, worker, finished_at FROM jobs WHERE id = :id", job)

    def _now(self) -> float:
        return float(self._one("SELECT extract(epoch FROM clock_timestamp()) AS at, CAST(:id AS uuid)", None).at)

    def _one(self, sql: str, job: UUID | list[UUID] | str | None) -> Any:
        with self.stage.admin.connect() as connection:
            return connection.execute(text(sql), {"id": job}).one()

    def _execute(self, sql: str, job: UUID) -> None:
        with self.stage.admin.begin() as connection:
            connection.execute(text(sql), {"id": job})

    def _logged(self, words: str, name: str = "worker*") -> int:
        """How often workers have logged this."""
        logs = (self.stage.folder / "logs").glob(f"{name}.log")
        return sum(path.read_text(errors="replace").count(words) for path in logs)

    def _logged_more(self, words: str, before: int, name: str = "worker*") -> bool:
        return self._logged(words, name) > before


def _wake(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


#: In the order in which a run does them.
SCENES: dict[str, Callable[[Drill], None]] = {
    "a wake-up is lost": Drill._wake_up_lost,
    "a child is killed": Drill._child_killed,
    "a worker is killed": Drill._worker_killed,
    "a write comes late": Drill._late_write,
    "a lease runs out": Drill._lease_over,
    "the database is away": Drill._outage,
    "work goes on": Drill._steady,
}
