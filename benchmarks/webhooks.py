"""Deliveries by one io worker to receivers on this machine: how many a second, and how late while one of three
hangs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks import bed
from benchmarks.drain import ROW
from core import database
from local.state import free_port
from webhooks import endpoints
from webhooks.signing import Signing

JOBS = 10_000
#: Jobs a second while one receiver hangs: two calls for each, and a model, on the same two cores as the receivers.
PACE, STEP = 125, 50

_INSERT = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, expires_at, max_attempts, timeout_s, inputs, options,
                  metadata, request_id)
SELECT gen_random_uuid(), (SELECT id FROM tenants LIMIT 1), 'predict', true, :pool, 'sentiment', '1.0.0',
       :pool || '/predict/sentiment/1.0.0', now() + interval '1 day', 4, 300, CAST(:inputs AS json), '{}', '{}',
       'req_bench'
FROM generate_series(1, :jobs)
""")
_OPEN = text("SELECT count(*) FROM webhook_deliveries WHERE finished_at IS NULL AND target <> :hanging")
_RATE = text("""
SELECT count(*) / extract(epoch FROM max(finished_at) - min(at)) FROM webhook_deliveries
JOIN webhook_attempts ON delivery_id = id WHERE webhook_deliveries.status = 'delivered'
""")
_ENDS = text("SELECT status, count(*) FROM webhook_deliveries WHERE target <> :hanging GROUP BY status")


def run() -> None:
    with bed.made() as found, Receivers() as receivers:
        platform = Platform(found, receivers)
        for count in (1, 8):
            print(
                f"  {platform.throughput(count):8.0f} deliveries/s to {count} receiver(s) of {JOBS} in all", flush=True
            )
        platform.one_hangs()


class Receivers:
    """Ours, in a process of their own."""

    COUNT = 9

    def __enter__(self) -> Receivers:
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.receiver_app", str(self.port), str(self.COUNT)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=bed.ROOT
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.port + number}/hook"

    def report(self, number: int) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the receivers have no pipes")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, dict[str, Any]] = json.loads(self._process.stdout.readline())
        return found[str(self.port + number)]


@dataclass
class Platform:
    """The processes that matter here: worker, io worker, beat."""

    found: bed.Bed
    receivers: Receivers

    def __post_init__(self) -> None:
        ports = range(self.receivers.port, self.receivers.port + self.receivers.COUNT)
        self.found.env["COATCHECK_WEBHOOK_LOOPBACK"] = ",".join(map(str, ports))
        self.found.key()
        self.engine = self.found.parts.engine
        celery = ("celery", "-A", "workers.app")
        io = ("worker", "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h", "--concurrency", "4", "-l", "WARNING")
        self.io = self.found.python("io", *celery, *io)
        self.found.python("beat", *celery, "beat", "--pidfile=", "-l", "WARNING")
        self.found.python("worker", *celery, "worker", "-Q", "cpu", "--concurrency", "1", "-l", "WARNING")

    def throughput(self, count: int) -> float:
        """Jobs that all end at the same moment, told to so many receivers."""
        self._fresh(range(1, count + 1), "job.canceled")
        self._insert(JOBS // count, "none")
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE jobs SET status = 'canceled' WHERE finished_at IS NULL"))
        self._until_sent()
        with self.engine.connect() as connection:
            return float(connection.execute(_RATE).scalar_one())

    def one_hangs(self) -> None:
        """Jobs that end at a steady pace, with three receivers of which one never answers."""
        hanging = self._fresh((0, 1, 2), "job.completed")
        before = [len(self.receivers.report(number)["late"]) for number in (1, 2)]
        memory = [megabytes(self.io.pid)]
        started = time.monotonic()
        for number in range(JOBS // STEP):
            self._insert(STEP, "cpu")
            memory.append(megabytes(self.io.pid))
            time.sleep(max(0.0, started + (number + 1) * STEP / PACE - time.monotonic()))
        self._until_sent(hanging)
        with self.engine.connect() as connection:
            ends = {row[0]: row[1] for row in connection.execute(_ENDS, {"hanging": hanging})}
        print(f"  {JOBS} jobs at {PACE}/s, three receivers, one of which hangs; ended: {ends}")
        for number, skip in zip((1, 2), before, strict=True):
            late = self.receivers.report(number)["late"][skip:]
            cuts = statistics.quantiles(late, n=100)
            seconds = f"p50 {cuts[49]:.3f} s  p99 {cuts[98]:.3f} s"
            print(f"    receiver {number}: {len(late)} calls, after the job's end {seconds}")
        print(
            f"    io worker's memory, MB: {memory[1]:.0f} at first, {max(memory):.0f} at most, {memory[-1]:.0f} at last"
        )

    def _fresh(self, numbers: Any, event: str) -> str:
        """These receivers and no other; returns the target of the first."""
        tables = "jobs, job_results, usage, job_events, webhook_endpoints, webhook_secrets, webhook_deliveries"
        with self.found.superuser.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables}, webhook_attempts, webhook_troubles CASCADE"))
            tenant_id = connection.execute(text("SELECT id FROM tenants LIMIT 1")).scalar_one()
        seal = self.found.parts.seal
        with self.engine.begin() as connection:
            made = [
                endpoints.create(
                    connection, seal, tenant_id, url=self.receivers.url(number), events=[event], description="",
                    signing=Signing.V1,
                )
                for number in numbers
            ]  # fmt: skip
        return str(made[0].id)

    def _insert(self, count: int, pool: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(_INSERT, {"jobs": count, "inputs": database.dumps(ROW), "pool": pool})
        self.found.parts.hints.send("cpu")

    def _until_sent(self, hanging: str = "") -> None:
        def done() -> bool:
            with self.engine.connect() as connection:
                return not connection.execute(_OPEN, {"hanging": hanging}).scalar_one()

        bed.until(done, 300)


def megabytes(pid: int) -> float:
    return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * 4096 / 1e6
