"""Which version answers, and that what answers is what was published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import audit, database, errors
from core.audit import Actor
from registry import lifecycle, routing
from registry.catalog import CACHE_S, Catalog
from registry.shelf import Shelf, bundle_key
from tests import graphs
from tests.conftest import Platform, until
from tests.registry.conftest import MakeBundle


def elsewhere(platform: Platform) -> Catalog:
    """The same registry as another process sees it."""
    return Catalog(platform.engine, platform.store)


def test_a_version_cannot_be_published_again_with_other_contents(catalog: Catalog, make_bundle: MakeBundle) -> None:
    first = make_bundle()
    assert catalog.publish(first)
    assert not catalog.publish(first)
    other = make_bundle(summary="Which is larger, really?")
    with pytest.raises(errors.BundleInvalid, match="already published with other contents") as refused:
        catalog.publish(other, stable=True)
    assert refused.value.details["published_digest"] == first.digest
    assert catalog.resolve(first.manifest.name, "1.0.0").digest == first.digest


@pytest.mark.parametrize("way", ["another bundle", "one byte", "no bundle"])
def test_a_bundle_changed_in_the_store_is_not_opened(
    platform: Platform, catalog: Catalog, shelf: Shelf, make_bundle: MakeBundle, tmp_path: Path, way: str
) -> None:
    ours = make_bundle()
    catalog.publish(ours)
    packed = graphs.pack(ours)
    changed: Callable[[], bytes] = {
        "another bundle": lambda: graphs.pack(make_bundle(summary="Something else")),
        "one byte": lambda: packed.replace(b"Which is larger?", b"Which is larder?"),
        "no bundle": lambda: b"nothing",
    }[way]
    platform.store.put(bundle_key(ours.digest), changed())
    wanted = catalog.resolve(ours.manifest.name, None)
    with pytest.raises(errors.BundleInvalid, match="cannot be opened here"):
        shelf.open(wanted)
    assert list((tmp_path / "cache").iterdir()) == []
    # Nothing of it is remembered: what was mended is served.
    platform.store.put(bundle_key(ours.digest), packed)
    until(lambda: platform.store.get(bundle_key(ours.digest)) == packed)
    assert shelf.open(wanted).bundle.digest == ours.digest


def test_a_model_that_misses_its_golden_examples_here_is_not_served(
    catalog: Catalog, shelf: Shelf, make_bundle: MakeBundle, platform: Platform
) -> None:
    ours = make_bundle()
    name = ours.manifest.name
    catalog.publish(ours)
    # As on a machine whose digits are others: the model gives what it gives, and more was promised.
    platform.execute(
        "UPDATE model_versions SET manifest = replace(manifest::text, '0.731059', '0.9')::json WHERE model = :name",
        name=name,
    )
    catalog._forget()
    wanted = catalog.resolve(name, None)
    assert wanted.manifest.golden[0].answer["confidence"] == 0.9
    with pytest.raises(errors.BundleInvalid, match="cannot be opened here"):
        shelf.predictor(wanted)
    assert shelf.loaded() == []


def test_a_blink_of_the_database_forgets_no_model(
    catalog: Catalog, shelf: Shelf, make_bundle: MakeBundle, platform: Platform
) -> None:
    ours = make_bundle()
    catalog.publish(ours)
    name = ours.manifest.name
    assert catalog.resolve(name, None).route == "stable"
    catalog._engine = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    catalog._forget()
    assert catalog.resolve(name, None).digest == ours.digest
    assert shelf.open(catalog.resolve(name, "1.0.0")).bundle.digest == ours.digest
    # Who never knew one cannot say that there is none.
    with pytest.raises(errors.Unavailable):
        Catalog(catalog._engine, platform.store).resolve(name, None)
    catalog._engine.dispose()


def test_a_running_process_hears_of_a_new_version_and_of_a_new_stable_one(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    running = elsewhere(platform)
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = first.manifest.name
    catalog.publish(first)
    until(lambda: name in {item.model for item in running.versions()}, CACHE_S + 60)
    catalog.publish(second)
    until(lambda: len([item for item in running.versions() if item.model == name]) == 2)
    assert running.resolve(name, None).version == "1.0.0"
    assert lifecycle.make_stable(platform.engine, name, "2.0.0", audit.operator()) == "1.0.0"
    until(lambda: running.resolve(name, None).version == "2.0.0")


def test_a_version_that_was_published_a_moment_ago_is_found_by_whoever_has_just_looked(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.catalog.LOOK_S", 3600.0)
    running = elsewhere(platform)
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = first.manifest.name
    running.versions()
    catalog.publish(first)
    assert running.resolve(name, None).version == "1.0.0"
    catalog.publish(second)
    assert running.resolve(name, "2.0.0").version == "2.0.0"
    # Without the database nobody can say that there is no third.
    running._engine = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(errors.Unavailable):
        running.resolve(name, "3.0.0")
    running._engine.dispose()


def test_the_first_version_of_a_model_answers_until_another_is_said_to(
    catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second, third = (make_bundle(f"{number}.0.0") for number in (1, 2, 3))
    name = first.manifest.name
    answers = []
    for made, stable in ((first, False), (second, False), (third, True)):
        catalog.publish(made, stable=stable)
        answers.append(catalog.resolve(name, None).version)
    assert answers == ["1.0.0", "1.0.0", "3.0.0"]
    # In the order in which they were published.
    assert [item.version for item in catalog.model(name)] == ["1.0.0", "2.0.0", "3.0.0"]
    pinned = catalog.resolve(name, "v2.0.0")
    assert (pinned.version, pinned.route) == ("2.0.0", "pinned")


def test_a_deprecated_version_that_is_handed_in_again_does_not_become_the_stable_one(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = first.manifest.name
    catalog.publish(first)
    catalog.publish(second, stable=True)
    lifecycle.deprecate(platform.engine, name, "1.0.0", audit.operator(), message=None, sunset_at=None)
    with pytest.raises(errors.VersionConflict, match=f"`coatcheck models deprecate {name} 1.0.0 --undo`"):
        catalog.publish(first, stable=True)
    assert not catalog.publish(first)
    assert catalog.resolve(name, None).version == "2.0.0"
    assert platform.store.head(bundle_key(first.digest))


def test_a_version_that_is_removed_while_it_is_handed_in_again_stays_so_and_another_answers(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = first.manifest.name
    catalog.publish(second)
    catalog.publish(first)

    def removed(_: object) -> bool:
        lifecycle.remove(platform.engine, name, "1.0.0", audit.operator())
        return True

    with pytest.raises(errors.VersionConflict, match=r"1\.0\.0 was removed meanwhile"):
        catalog.publish(first, stable=True, fence=removed)
    catalog._forget()
    assert catalog.resolve(name, None).version == "2.0.0"


def test_what_is_published_after_the_last_version_was_removed_answers(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second, third = (make_bundle(f"{number}.0.0") for number in (1, 2, 3))
    name = first.manifest.name
    catalog.publish(first)
    lifecycle.remove(platform.engine, name, "1.0.0", audit.operator())
    catalog.publish(second)
    catalog.publish(third)
    assert catalog.resolve(name, None).version == "2.0.0"


def test_what_there_is_not_is_told_with_what_there_is(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    made = make_bundle()
    catalog.publish(made)
    with pytest.raises(errors.VersionNotFound) as refused:
        catalog.resolve(made.manifest.name, "9.9.9")
    assert "1.0.0" in str(refused.value.details)
    with pytest.raises(errors.VersionNotFound):
        lifecycle.make_stable(platform.engine, made.manifest.name, "9.9.9", audit.operator())
    assert catalog.resolve(made.manifest.name, None).version == "1.0.0"
    for asks in (
        lambda: catalog.resolve("nothing", None),
        lambda: lifecycle.make_stable(platform.engine, "nothing", "1.0.0", audit.operator()),
    ):
        with pytest.raises(errors.ModelNotFound):
            asks()


def test_a_model_that_is_opened_by_many_at_once_is_opened_once(
    catalog: Catalog, shelf: Shelf, make_bundle: MakeBundle
) -> None:
    made = make_bundle()
    catalog.publish(made)
    wanted = catalog.resolve(made.manifest.name, None)
    with ThreadPoolExecutor(8) as pool:
        opened = set(map(id, pool.map(shelf.open, [wanted] * 8)))
    assert len(opened) == 1
    assert shelf.loaded() == [f"{made.manifest.name}@1.0.0"]


def changes(platform: Platform, name: str) -> list[tuple[object, ...]]:
    """What the audit log says of a model: who, what, and as what it is afterwards."""
    sql = "SELECT actor, action, after FROM audit WHERE object = :object ORDER BY id"
    return [tuple(row) for row in platform.rows(sql, object=f"model:{name}")]


def test_who_published_deprecated_and_removed_a_version_is_in_the_audit_log_once(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name, engine = first.manifest.name, platform.engine
    for made, stable in ((first, False), (second, True), (second, True)):
        catalog.publish(made, stable=stable, by=Actor("key:somebody"))
    by, until_then = Actor("cli:me"), dt.datetime(2027, 1, 31, tzinfo=dt.UTC)
    lifecycle.deprecate(engine, name, "1.0.0", by, message="Use 2.0.0", sunset_at=until_then)
    for _ in range(2):
        lifecycle.undo(engine, name, "1.0.0", by)
    lifecycle.remove(engine, name, "1.0.0", by)
    found = changes(platform, name)
    assert found[2][2]["stable"] == "2.0.0"  # type: ignore[index]
    found[2] = found[2][:2]
    assert found == [
        ("key:somebody", "model.publish", {"version": "1.0.0", "digest": first.digest}),
        ("key:somebody", "model.publish", {"version": "2.0.0", "digest": second.digest}),
        ("key:somebody", "routes.change"),
        ("cli:me", "model.deprecate",
         {"version": "1.0.0", "message": "Use 2.0.0", "sunset_at": "2027-01-31T00:00:00+00:00"}),
        ("cli:me", "model.undo_deprecate", {"version": "1.0.0"}),
        ("cli:me", "model.remove", {"version": "1.0.0"}),
    ]  # fmt: skip


def test_what_was_stored_of_a_version_that_somebody_else_took_meanwhile_is_nobodys(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    mine, theirs = make_bundle(), make_bundle(summary="Another one")

    def faster(_: object) -> bool:
        return elsewhere(platform).publish(theirs)

    with pytest.raises(errors.BundleInvalid, match="already published with other contents"):
        catalog.publish(mine, fence=faster)
    there = [platform.store.head(bundle_key(made.digest)) is not None for made in (mine, theirs)]
    assert there == [False, True]


def test_what_may_not_be_published_as_the_stable_version_leaves_nothing(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = first.manifest.name
    catalog.publish(first)
    catalog.publish(second)
    with platform.engine.begin() as connection:
        routes = {"shadows": [{"name": "beside", "version": "2.0.0", "percent": 1}]}
        routing.amend(connection, name, routes, audit.operator())
    before = changes(platform, name)
    golden = [{"inputs": {"x": 2, "y": 1}, "embedding": [graphs.CONFIDENCE, 1 - graphs.CONFIDENCE]}]
    vectors = make_bundle("3.0.0", labels=None, embedding=2, golden=golden)
    with pytest.raises(errors.InvalidInput) as refused:
        catalog.publish(vectors, stable=True)
    assert "must both answer with a label" in str(refused.value.details)
    assert changes(platform, name) == before
    with pytest.raises(errors.VersionNotFound):
        catalog.resolve(name, "3.0.0")
