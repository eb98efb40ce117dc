"""How soon work goes on after a kill -9: of a worker's child, in the middle of a run or idle, of the worker, of the io
worker, of the API."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import text

from benchmarks import bed
from benchmarks.drain import ROW
from core import alive, database
from local import platform_processes
from local.supervisor import Supervisor

#: Of each kind: a child's death is the usual one, and its p99 is promised.
CHILDREN, PROCESSES = 30, 10
#: Runs for some seconds in many small steps, so that a kill is in the middle of it.
LONG = [{"text": "not bad at all " * 60, "language": "en", "confidence_threshold": 0.0}] * 1000

_INSERT = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, expires_at, max_attempts, timeout_s, inputs, options,
                  metadata, request_id)
SELECT :id, (SELECT id FROM tenants LIMIT 1), 'predict', true, 'cpu', 'sentiment', CAST(:version AS text),
       'cpu/predict/sentiment/' || :version, now() + make_interval(secs => :ttl_s), 4, 300, CAST(:inputs AS json), '{}',
       '{}', 'req_bench'
""")
_EVENT = text("SELECT extract(epoch FROM at) FROM job_events WHERE (job_id, type, attempt) = (:id, :what, :attempt)")
_HOLDER = text("SELECT worker FROM jobs WHERE id = :id AND status = 'processing'")
_CANCEL = text("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id")
_ENDED = text("SELECT finished_at IS NOT NULL FROM jobs WHERE id = :id")
_NOW = text("SELECT extract(epoch FROM clock_timestamp())")


def run() -> None:
    with bed.made() as found:
        found.once("models", "push", str(bed.ROOT / "bundles" / "sentiment-2"))
        with supervised(found) as keeper:
            stage = Stage(found, keeper)
            print("seconds after a kill -9 until work goes on", flush=True)
            show("child, running: noticed, run again", CHILDREN, stage.child_in_the_middle)
            show("child, idle: a new job is done", CHILDREN, stage.idle_child)
            show("worker, running: noticed, run again", PROCESSES, stage.worker_in_the_middle)
            show("io worker: sweeps again", PROCESSES, stage.io_worker)
            show("api: answers again", PROCESSES, stage.api)


def show(name: str, count: int, kill: Callable[[], tuple[float, ...]]) -> None:
    """Kill so many times, each at another moment of everybody's timers, and print a line for each thing timed."""
    taken = []
    for _ in range(count):
        time.sleep(random.uniform(2, 7))
        taken.append(kill())
    title, _, words = name.partition(": ")
    for word, seconds in zip(words.split(", "), zip(*taken, strict=True), strict=True):
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        print(
            f"  {title:<16} {word:<18} p50 {cuts[49]:5.2f}  p99 {cuts[98]:5.2f}  max {max(seconds):5.2f}  (n={count}, "
            f"load {os.getloadavg()[0]:.1f})",
            flush=True,
        )


@contextlib.contextmanager
def supervised(found: bed.Bed) -> Iterator[Supervisor]:
    """Worker, io worker, beat and API as `./run up` starts and keeps them."""
    keeper = Supervisor(found.folder, {})
    programs = [item for part in platform_processes.programs(found.state, found.env) for item in part]
    for program in programs:
        if program.name in ("worker", "io", "beat", "api"):
            keeper._launch(program)
    watch = threading.Thread(target=keeper.watch)
    watch.start()
    try:
        yield keeper
    finally:
        keeper.ask_to_stop()
        watch.join()
        keeper.stop()


@dataclass
class Stage:
    """Kills, and says how many seconds later what happened, by the database's clock."""

    found: bed.Bed
    keeper: Supervisor

    def __post_init__(self) -> None:
        self.found.key()
        self._done(self._submit("1.0.0", ROW))
        bed.until(self._api_answers)

    def child_in_the_middle(self) -> tuple[float, float]:
        return self._in_the_middle(lambda child: child)

    def worker_in_the_middle(self) -> tuple[float, float]:
        return self._in_the_middle(lambda _: self._pid("worker"))

    def idle_child(self) -> tuple[float]:
        """The job comes at once, before anybody can have noticed."""
        children = Path(f"/proc/{self._pid('worker')}/task/{self._pid('worker')}/children").read_text().split()
        at = self._kill(next(pid for pid in map(int, children) if _is_child(pid)))
        job = self._submit("1.0.0", ROW)
        return (self._done(job) - at,)

    def io_worker(self) -> tuple[float]:
        """Only a sweep ends a job that is past its time and that no worker wants."""
        at = self._kill(self._pid("io"))
        return (self._event(self._submit("1.0.0", ROW, ttl_s=0.0), "expired", 0) - at,)

    def api(self) -> tuple[float]:
        """With its own workers, which would answer for a moment longer."""
        started = time.monotonic()
        os.killpg(self._pid("api"), signal.SIGKILL)
        bed.until(self._api_answers)
        return (time.monotonic() - started,)

    def _in_the_middle(self, whom: Callable[[int], int]) -> tuple[float, float]:
        job = self._submit("2.1.0", LONG)
        bed.until(lambda: self._one(_HOLDER, id=job))
        time.sleep(0.5)
        at = self._kill(whom(int(self._one(_HOLDER, id=job).rpartition("/")[2])))
        noticed, again = self._event(job, "pending", 1), self._event(job, "processing", 2)
        self._one(_CANCEL, id=job)
        bed.until(lambda: self._one(_ENDED, id=job))
        return noticed - at, again - at

    def _kill(self, pid: int) -> float:
        at = float(self._one(_NOW))
        os.kill(pid, signal.SIGKILL)
        return at

    def _pid(self, name: str) -> int:
        return next(item.pid for item in self.keeper.children if item.program.name == name and item.alive)

    def _api_answers(self) -> bool:
        return alive.asked(self.found.state.run, platform_processes.API_SOCKET, "/healthz")

    def _submit(self, version: str, inputs: object, *, ttl_s: float = 3600.0) -> uuid.UUID:
        job = uuid.uuid4()
        self._one(_INSERT, id=job, version=version, inputs=database.dumps(inputs), ttl_s=ttl_s)
        self.found.parts.hints.send("cpu")
        return job

    def _done(self, job: uuid.UUID) -> float:
        return self._event(job, "completed", 1)

    def _event(self, job: uuid.UUID, what: str, attempt: int) -> float:
        bed.until(lambda: self._one(_EVENT, id=job, what=what, attempt=attempt))
        return float(self._one(_EVENT, id=job, what=what, attempt=attempt))

    def _one(self, statement: sqlalchemy.TextClause, **parameters: object) -> Any:
        with self.found.parts.engine.begin() as connection:
            found = connection.execute(statement, parameters)
            return found.scalar() if found.returns_rows else None


def _is_child(pid: int) -> bool:
    """Whether it is one of the worker's, and not what counts their semaphores."""
    return b"semaphore_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
