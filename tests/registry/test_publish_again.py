"""What is published already: every `up` hands it in again."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from inference import bundle, trial
from registry.shelf import Shelf
from tests import graphs
from tests.conftest import Platform


def test_it_is_not_tried_again_but_is_in_the_store_afterwards(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = bundle.load(graphs.bundle(tmp_path / "own", name=f"m{uuid.uuid4().hex}"))
    assert platform.catalog.publish(loaded)
    wanted = platform.catalog.resolve(loaded.manifest.name, None)
    stored = f"bundles/{loaded.digest}.tar"
    assert platform.store.head(stored)
    platform.store.delete_all(stored)

    def tried(again: bundle.Bundle) -> None:
        raise AssertionError(again)

    monkeypatch.setattr(trial, "run", tried)
    assert not platform.catalog.publish(loaded)
    Shelf(platform.store, tmp_path / "cache").open(wanted)
