"""One model that does not open is its own callers' loss, and everybody's who looks."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from core.broker import Line
from core.clock import Clock
from inference import bundle
from registry.catalog import Catalog
from registry.shelf import Shelf
from serving.readiness import Probe
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
