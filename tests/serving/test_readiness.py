"""One model that does not open is its own callers' loss, and everybody's who looks."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import broker, database
from core.broker import Line
from core.clock import Clock
from inference import bundle
from registry.catalog import Catalog
from registry.shelf import Shelf
from serving.readiness import Probe
from storage.objects import Store
from tests import graphs
from tests.conftest import Platform


def test_without_a_model_that_opens_nothing_is_answered(
    platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.catalog, "versions", list)
    clock = Clock(platform.engine)
    found = Probe(
        platform.engine, clock, platform.submitter, platform.catalog, platform.shelf, platform.line, platform.store
    ).check()  # fmt: skip
    assert (found["status"], found["problems"], found["pools"]) == ("unavailable", ["no stable model opens"], {})


def test_where_every_model_takes_jobs_there_is_none_to_open_here(
    platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = SimpleNamespace(pool="cpu", inline=False, asked_apart=lambda level: False)
    for stable, status in ((True, "degraded"), (False, "unavailable")):
        item = SimpleNamespace(model="m", stable=stable, manifest=manifest)
        monkeypatch.setattr(platform.catalog, "versions", lambda item=item: [item])
        found = Probe(
            platform.engine, Clock(platform.engine), platform.submitter, platform.catalog, platform.shelf,
            platform.line, platform.store,
        ).check()  # fmt: skip
        assert (found["status"], found["model_loaded"]) == (status, stable)
        assert ("no stable model opens" in found["problems"]) is not stable
        assert any("no worker of pool 'cpu'" in problem for problem in found["problems"]) is stable


def test_what_does_not_answer_is_named_and_requests_are_answered(platform: Platform, quiet: None) -> None:
    nowhere = dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1")
    found = Probe(
        platform.engine,
        Clock(platform.engine),
        platform.submitter,
        platform.catalog,
        platform.shelf,
        Line("redis://127.0.0.1:1/0"),
        Store(nowhere, read_s=1, attempts=1),
    ).check()
    assert found["checks"] == {"database": True, "accepts": True, "redis": False, "storage": False, "clock": True}
    assert found["problems"][:2] == ["redis does not answer", "storage does not answer"]
    assert (found["status"], found["model_loaded"]) == ("degraded", True)


def test_without_its_database_nothing_is_answered_and_only_that_is_told(platform: Platform) -> None:
    nowhere = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    full: Any = SimpleNamespace(accepts=False)
    found = Probe(
        nowhere, Clock(nowhere), full, platform.catalog, platform.shelf, platform.line, platform.store
    ).check()  # fmt: skip
    nowhere.dispose()
    told = {name: found[name] for name in ("status", "problems", "model_loaded", "pools", "clock_ahead_s")}
    assert told == {
        "status": "unavailable", "problems": ["database does not answer"], "model_loaded": False, "pools": {},
        "clock_ahead_s": None,
    }  # fmt: skip
    assert found["checks"] == {"database": False, "accepts": True, "redis": True, "storage": True, "clock": True}


def test_a_database_that_stores_nothing_is_not_ready_and_says_why(platform: Platform, quiet: None) -> None:
    full: Any = SimpleNamespace(accepts=False)
    found = Probe(
        platform.engine, Clock(platform.engine), full, platform.catalog, platform.shelf, platform.line, platform.store
    ).check()
    assert (found["status"], found["checks"]["accepts"], found["model_loaded"]) == ("unavailable", False, True)
    assert found["problems"][0] == "database stores nothing new: its disk is full, or it is read-only"


@pytest.mark.parametrize(
    ("pool", "asks", "missed"), [("gpu", False, "gpu"), ("gpu", True, "gpu"), ("cpu", True, "explain")]
)
def test_workers_are_missed_where_a_model_needs_them_to_answer_or_to_explain(
    platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch, pool: str, asks: bool, missed: str
) -> None:
    def named() -> set[str]:
        probe = Probe(
            platform.engine, Clock(platform.engine), platform.submitter, platform.catalog, platform.shelf,
            platform.line, platform.store,
        )  # fmt: skip
        return {name for name in broker.POOLS for said in probe.check()["problems"] if f"pool '{name}'" in said}

    shipped = [item for item in platform.catalog.versions() if item.model in ("sentiment", "tumor")]
    manifest = SimpleNamespace(pool=pool, inline=False, asked_apart=lambda level: asks and level == "shap")
    added = SimpleNamespace(model="m", stable=True, manifest=manifest)
    monkeypatch.setattr(platform.catalog, "versions", lambda: shipped)
    assert named() == {"cpu"}
    monkeypatch.setattr(platform.catalog, "versions", lambda: [*shipped, added])
    assert named() == {"cpu", missed}


@pytest.mark.parametrize(("ahead_s", "right"), [(4.9, True), (-4.9, True), (5.0, False), (-5.0, False)])
def test_a_clock_that_is_wrong_by_seconds_is_named(
    platform: Platform, quiet: None, monkeypatch: pytest.MonkeyPatch, ahead_s: float, right: bool
) -> None:
    clock = Clock(platform.engine)
    monkeypatch.setattr(clock, "look", lambda: ahead_s)
    found = Probe(
        platform.engine, clock, platform.submitter, platform.catalog, platform.shelf, platform.line, platform.store
    ).check()
    said = "this machine's clock is not the database's: signed addresses are wrong"
    assert (found["checks"]["clock"], found["clock_ahead_s"]) == (right, ahead_s)
    assert (said in found["problems"]) is not right


def test_one_model_that_does_not_open_is_named_and_the_others_are_answered(platform: Platform, tmp_path: Path) -> None:
    name = f"m{uuid.uuid4().hex}"
    loaded = bundle.load(graphs.bundle(tmp_path / "own", name=name))
    platform.catalog.publish(loaded)
    try:
        # Whole when it was published.
        platform.store.put(f"bundles/{loaded.digest}.tar", b"not what it was")
        catalog, shelf = Catalog(platform.engine, platform.store), Shelf(platform.store, tmp_path / "copies")
        clock, line = Clock(platform.engine), Line(platform.settings.queue.redis_url)
        found = Probe(platform.engine, clock, platform.submitter, catalog, shelf, line, platform.store).check()
        assert (found["status"], found["model_loaded"]) == ("degraded", True)
        assert [problem for problem in found["problems"] if name in problem] == [
            f"{name} does not open; the log says why"
        ]
        # Nobody gets it without asking for it.
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "next", name=name, version="2.0.0")), stable=True)
        catalog = Catalog(platform.engine, platform.store)
        found = Probe(platform.engine, clock, platform.submitter, catalog, shelf, line, platform.store).check()
        assert [problem for problem in found["problems"] if name in problem] == []
    finally:
        platform.execute("DELETE FROM model_versions WHERE model = :name", name=name)
        platform.execute("DELETE FROM models WHERE name = :name", name=name)
