"""Who forgets and takes back does so a few at a time, and what has been due for longest goes first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import text

import models
from jobs import chores, idempotency, quality, removed, rescue, uploads
from jobs.job import Status
from jobs.shadows import copies, pairs
from models.base import Base
from tests import factories
from tests.conftest import Platform
from tests.factories import SOON

HOURS = 60 * 24


def ago(hours: float) -> Any:
    return text(f"now() - interval '{hours} h'")


@dataclass(frozen=True)
class Sweep:
    """A step that has a LIMIT: its rows, of which `old` is what makes one due, and what is not due at all."""

    module: ModuleType
    step: Callable[[Platform], Any]
    table: type[Base]
    column: str
    left: str  #: of which rows nothing has been done yet
    given: Mapping[str, Any]


RUNS = {"status": "processing"}
SWEEPS = {
    "expire what waits": Sweep(
        chores, lambda platform: chores.expire(platform.engine, Status.PENDING), models.Job, "expires_at",
        "SELECT {column} FROM jobs WHERE status = 'pending'", {},
    ),
    "expire what runs": Sweep(
        chores, lambda platform: chores.expire(platform.engine, Status.PROCESSING), models.Job, "lease_expires_at",
        "SELECT {column} FROM jobs WHERE status = 'processing'", {**RUNS, "expires_at": factories.PAST},
    ),
    "take back": Sweep(
        rescue, lambda platform: rescue.lease_over(platform.engine, max_losses=3), models.Job, "lease_expires_at",
        "SELECT {column} FROM jobs WHERE status = 'processing'", RUNS,
    ),
    "forget keys": Sweep(
        idempotency, lambda platform: idempotency.purge(platform.engine), models.IdempotencyKey, "created_at",
        "SELECT {column} FROM idempotency_keys", {"fingerprint": b"f"},
    ),
    "forget uploads": Sweep(
        uploads, lambda platform: uploads.purge(platform.engine, platform.store), models.Upload, "created_at",
        "SELECT {column} FROM uploads", {"expires_at": ago(HOURS)},
    ),
    "forget pairs": Sweep(
        pairs, lambda platform: pairs.purge(platform.engine), models.ShadowPair, "at",
        "SELECT {column} FROM shadow_pairs", {},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


@pytest.mark.parametrize("name", SWEEPS)
def test_what_has_been_due_for_longest_goes_first_and_no_more_than_a_few_at_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sweep = SWEEPS[name]
    monkeypatch.setattr(sweep.module, "LIMIT", 1)
    tenant = {} if sweep.table is models.ShadowPair else {"tenant_id": factories.tenant(platform)}
    # Neither as they were made nor the other way round.
    for days in (80, 90, 70):
        factories.add(platform, sweep.table, **{**tenant, **sweep.given, sweep.column: ago(24 * days)})
    asked = f"SELECT round(extract(epoch FROM now() - at) / 86400)::int FROM ({sweep.left}) AS left_ (at) ORDER BY at"
    left = [[row[0] for row in platform.rows(asked.format(column=sweep.column))]]
    for _ in range(4):
        sweep.step(platform)
        left.append([row[0] for row in platform.rows(asked.format(column=sweep.column))])
    assert left == [[90, 80, 70], [80, 70], [70], [], []]


@pytest.fixture
def version(platform: Platform) -> Iterator[Callable[..., str]]:
    """Adds a version, of a model of its own if of none that is given, and returns its digest."""
    made: list[str] = []

    def add(model: str = "", **given: Any) -> str:
        if model not in made:
            made.append(factories.add(platform, models.Model, **({"name": model} if model else {}))["name"])
        return str(factories.add(platform, models.ModelVersion, model=model or made[-1], **given)["digest"])

    yield add
    platform.execute("DELETE FROM models WHERE name = ANY (:made)", made=made)


def test_of_removed_versions_a_few_at_a_time_are_forgotten_and_no_other(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, version: Callable[..., str]
) -> None:
    monkeypatch.setattr(removed, "LIMIT", 2)
    over = {version(removed_at=ago(2)) for _ in range(3)}
    for given in ({}, {"removed_at": ago(0.9)}, {"removed_at": ago(2), "forgotten_at": ago(1)}):
        version(**given)
    assert [removed.purge(platform.engine, platform.store) for _ in range(3)] == [2, 1, 0]
    forgotten = "SELECT digest FROM model_versions WHERE forgotten_at > now() - interval '1 min'"
    assert {row[0] for row in platform.rows(forgotten)} == over


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_a_removed_version_that_a_job_still_needs_is_kept_beside_another_of_its_model(
    platform: Platform, version: Callable[..., str], status: str
) -> None:
    model = factories.unique("model")
    version(model, version="1.0.0", removed_at=ago(2))
    over = version(model, version="2.0.0", removed_at=ago(2))
    factories.job(platform, factories.tenant(platform), model=model, version="1.0.0", status=status)
    assert removed.purge(platform.engine, platform.store) == 1
    forgotten = "SELECT digest FROM model_versions WHERE model = :model AND forgotten_at IS NOT NULL"
    assert platform.rows(forgotten, model=model) == [(over,)]


def test_copies_past_their_time_are_forgotten_a_few_at_a_time(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LIMIT", 2)
    for expires_at in (factories.PAST, SOON, factories.PAST, factories.PAST):
        factories.add(platform, models.ShadowCopy, expires_at=expires_at)
    forgotten = functools.partial(copies.purge, platform.engine)
    assert [forgotten() for _ in range(3)] == [{"sentiment": 2}, {"sentiment": 1}, {}]
    assert platform.one("SELECT count(*) FROM shadow_copies") == (1,)


def test_a_model_is_judged_by_the_last_that_was_said_of_it(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant, said = factories.tenant(platform), {"label": "a", "confidence": 0.5}
    for hours, true, model in ((2, "a", "judged"), (1, "b", "judged"), (3, "a", "judged"), (0.5, "a", "another")):
        job = factories.job(platform, tenant, status="completed")["id"]
        factories.add(platform, models.Feedback, job_id=job, at=ago(hours), true_label=true, model=model, **said)
    monkeypatch.setattr(quality, "MOST", 1)
    (found,) = quality.of(platform.engine, "judged")
    assert (found["judged"], found["labels"]["accuracy"]["value"]) == (1, 0.0)
