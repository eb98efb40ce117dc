"""Bundles in the store that nothing lists."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from core import audit, errors
from registry import lifecycle, unlisted
from registry.catalog import Catalog
from registry.shelf import bundle_key
from storage.objects import Store
from tests.conftest import Platform
from tests.registry.conftest import MakeBundle


@pytest.fixture(autouse=True)
def others(platform: Platform) -> None:
    """Gone: what earlier tests left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unlisted, "AFTER_S", -60)
        while unlisted.purge(platform.engine, platform.store):
            pass


def test_what_a_canceled_publishing_left_goes_after_a_day_and_what_is_listed_or_still_needed_stays(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, removed, canceled = (make_bundle(f"{number}.0.0") for number in (1, 2, 3))
    catalog.publish(listed)
    catalog.publish(removed)
    lifecycle.remove(platform.engine, removed.manifest.name, "2.0.0", audit.operator())
    with pytest.raises(errors.ModelInterrupted):
        catalog.publish(canceled, fence=lambda _: False)
    assert platform.store.head(bundle_key(canceled.digest))
    assert unlisted.purge(platform.engine, platform.store) == 0
    monkeypatch.setattr(unlisted, "AFTER_S", -60)  # the clocks of this machine and of the store's
    assert unlisted.purge(platform.engine, platform.store) == 1
    assert platform.store.head(bundle_key(canceled.digest)) is None
    for needed in (listed, removed):
        assert platform.store.head(bundle_key(needed.digest))
    # Once it is not needed any more, what is stored of it again is nobody's.
    platform.execute("UPDATE model_versions SET forgotten_at = now() WHERE digest = :digest", digest=removed.digest)
    assert unlisted.purge(platform.engine, platform.store) == 1
    assert platform.store.head(bundle_key(removed.digest)) is None


def test_however_many_there_are_only_so_many_go_at_a_time(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlisted, "AFTER_S", -60)
    monkeypatch.setattr(unlisted, "LIMIT", 2)
    for _ in range(3):
        platform.store.put(bundle_key(uuid.uuid4().hex), b"x")
    assert [unlisted.purge(platform.engine, platform.store) for _ in range(3)] == [2, 1, 0]


def test_what_is_published_again_while_it_is_looked_at_stays(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    again, listed = make_bundle("1.0.0"), make_bundle("2.0.0")
    platform.store.put(bundle_key(again.digest), b"stored a moment ago")

    class Late(Store):
        """Says what was there before the one was stored again, and the other was listed."""

        def old(self, prefix: str, age_s: float) -> Iterator[str]:
            if prefix == bundle_key(again.digest):
                yield from super().old(prefix, age_s)
            elif prefix == bundle_key(listed.digest):
                catalog.publish(listed)
                yield prefix
            else:
                yield from map(bundle_key, (again.digest, listed.digest))

    assert unlisted.purge(platform.engine, Late(platform.settings.storage)) == 0
    assert all(platform.store.head(bundle_key(made.digest)) for made in (again, listed))
