"""What workers and their deaths do, by hand, one step at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from access.chores import of_access
from core.chores import Chore
from core.seal import Seal
from core.settings import Settings
from inference.output import Label
from jobs import claim, settle
from jobs.attempt import Attempts
from jobs.chores import of_jobs
from jobs.job import Claimed
from jobs.kinds.predict import in_place, rows_of
from jobs.result import Result, Several
from tests import factories
from tests.conftest import Platform, until
from webhooks.chores import of_webhooks
from webhooks.courier import Courier
from webhooks.receivers import Receivers
from webhooks.sender import Sender

SAID = Label("positive", 0.9, {"negative": 0.1, "positive": 0.9})


def take(
    platform: Platform, pool: str = "cpu", *, lease_s: float = 20.0, worker: str = "node/inc/1", wake_id: str = "wake-1"
) -> claim.Batch | None:
    return claim.claim(platform.engine, pool=pool, worker=worker, wake_id=wake_id, lease_s=lease_s)


def took(platform: Platform, **how: str) -> list[Claimed]:
    """A claim that must find something."""
    batch = take(platform, **how)  # type: ignore[arg-type]
    assert batch is not None
    return list(batch.jobs)


def complete(platform: Platform, jobs: list[Claimed]) -> set[UUID]:
    def result(job: Claimed) -> Result:
        said = in_place([SAID] * len(rows_of(job)), job.options.get("refused", {}))
        return Several(said) if isinstance(job.inputs, list) else SAID

    return settle.complete(platform.engine, [settle.Done(job, result(job), 1, run_ms=3) for job in jobs])


def with_tools(attempts: Attempts, **changed: Any) -> Attempts:
    """The same, but for some of what it runs jobs with."""
    return dataclasses.replace(attempts, tools=dataclasses.replace(attempts.tools, **changed))


def awake(platform: Platform, condition: Callable[[], object], timeout_s: float = 120) -> Any:
    """Wait, and wake the pool all the while: a wake-up may be lost, when Redis takes half a second, and
    perhaps nobody sweeps."""

    def looked() -> object:
        platform.hints.send("cpu")
        return condition()

    return until(looked, timeout_s)


def work(platform: Platform) -> None:
    """One batch, from claim to settle."""
    complete(platform, took(platform))


def courier(
    platform: Platform, settings: Settings, *, worker: str = "io/a/1", asked_to_stop: Callable[[], bool] = lambda: False
) -> Courier:
    """One that calls receivers by other settings than the platform's."""
    sender = Sender(settings.webhooks, Seal(settings.sealing), Receivers(settings))
    return Courier(
        settings.webhooks, platform.engine, platform.hints, sender, worker=worker, asked_to_stop=asked_to_stop
    )


def chores(platform: Platform) -> list[Chore]:
    """All there are, in the order in which one makes work for the next."""
    schedule = platform.settings.webhooks.schedule
    return [
        *of_jobs(platform.engine, platform.hints, platform.store, max_losses=3),
        *of_webhooks(platform.engine, platform.hints, schedule),
        *of_access(platform.engine, max_errors=20, keep_days=platform.settings.jobs.usage_keep_days),
    ]


def clean_up(platform: Platform) -> dict[str, int]:
    """Every chore once; returns how much each did."""
    return {chore.name: chore.run() for chore in chores(platform)}


def lose(platform: Platform) -> None:
    """The workers of everything processing die, and their leases run out."""
    platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE status = 'processing'")
    clean_up(platform)
    platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")


def status_of(platform: Platform, job_id: UUID) -> object:
    return platform.one("SELECT status FROM jobs WHERE id = :id", id=job_id)[0]


def sign_of_life(
    platform: Platform,
    name: str,
    *,
    pool: str = "cpu",
    receives: bool = False,
    works: bool = False,
    jobs_per_s: float = 0.0,
    silent_s: float = 0.0,
) -> None:
    """What a process of a worker, `node/incarnation/pid`, said so long ago."""
    factories.add(
        platform, models.Worker, name=name, node=name.rpartition("/")[0], pools=[pool], receives=receives, works=works,
        jobs_per_s=jobs_per_s, seen_at=text(f"now() - interval '{silent_s} s'"),
    )  # fmt: skip


@contextlib.contextmanager
def without_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where a container may have no more of them."""

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        yield
