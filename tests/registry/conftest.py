"""Small models that may be published, and are gone with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference import bundle
from inference.bundle import Bundle
from registry.catalog import Catalog
from registry.shelf import Shelf
from tests import factories, graphs
from tests.conftest import Platform

MakeBundle = Callable[..., Bundle]


@pytest.fixture
def catalog(platform: Platform) -> Iterator[Catalog]:
    """That of a process of its own."""
    yield Catalog(platform.engine, platform.store)
    platform.execute("DELETE FROM models WHERE starts_with(name, 'tiny-')")


@pytest.fixture
def shelf(platform: Platform, tmp_path: Path) -> Shelf:
    """That of a process of its own."""
    return Shelf(platform.store, tmp_path / "cache")


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """One version of a model; the same name for all of a test."""
    name = factories.unique("tiny").lower()

    def make(version: str = "1.0.0", **says: Any) -> Bundle:
        folder = tmp_path / factories.unique("bundle")
        graphs.bundle(folder, name=name, version=version, **says)
        return bundle.load(folder)

    return make
