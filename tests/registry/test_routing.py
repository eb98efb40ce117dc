"""Routes are changed as a whole, live everywhere at once, checked against what is published, and written down."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core import audit, errors
from core.audit import Actor
from registry import lifecycle, routing
from registry.catalog import CACHE_S, Catalog
from registry.judging import trials
from registry.routes import Unit
from registry.routing import Change
from tests.conftest import Platform, until
from tests.registry.conftest import MakeBundle

ME = Actor("cli:me", "10.0.0.1")
Set = Callable[..., list[Change]]


@pytest.fixture
def name(catalog: Catalog, make_bundle: MakeBundle) -> str:
    """A model with three versions, of which the first is stable."""
    made = [make_bundle(version) for version in ("1.0.0", "2.0.0", "2.1.0")]
    for bundle in made:
        catalog.publish(bundle)
    return made[0].manifest.name


@pytest.fixture
def route(platform: Platform, name: str) -> Set:
    def change(**raw: Any) -> list[Change]:
        with platform.engine.begin() as connection:
            return routing.change(connection, name, raw, ME)

    return change


def canary(version: str = "2.0.0", percent: float = 50, name: str = "next") -> dict[str, Any]:
    return {"name": name, "version": version, "percent": percent}


def test_a_change_is_soon_live_everywhere_and_says_what_it_was(
    platform: Platform, catalog: Catalog, name: str, route: Set
) -> None:
    other = Catalog(platform.engine, platform.store)
    units = [Unit(f"req_{number}", "c") for number in range(400)]
    assert {other.resolve(name, None, unit).route for unit in units} == {"stable"}
    assert route(canaries=[canary()]) == [Change("canary next", None, "2.0.0, 50 %")]
    until(lambda: other.resolve(name, None, units[0]).route == catalog.resolve(name, None, units[0]).route)
    until(lambda: len({other.resolve(name, None, unit).version for unit in units}) == 2)
    counts = Counter(other.resolve(name, None, unit).route for unit in units)
    assert 140 < counts["canary next"] < 260
    assert other.resolve(name, "1.0.0", units[0]).route == "pinned"
    assert other.resolve(name, None).route == "stable"
    assert route(stable="2.0.0", aliases={"champion": "2.0.0"}) == [
        Change("stable", "1.0.0", "2.0.0"), Change("canary next", "2.0.0, 50 %", None),
        Change("alias champion", None, "2.0.0"),
    ]  # fmt: skip
    assert route(aliases={"champion": "2.0.0"}) == []


def test_who_looks_ahead_in_time_always_knows_what_holds(
    catalog: Catalog, name: str, route: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unit("request", "caller")
    catalog.look_ahead()
    route(stable="2.0.0")
    until(lambda: catalog.is_due)
    catalog.look_ahead()
    monkeypatch.setattr("registry.catalog.LOOK_S", 60.0)  # however long that took
    found = catalog.remembered(name, None, unit)
    assert found is not None
    assert found.version == "2.0.0"


def test_whoever_comes_after_a_pause_gets_what_holds_now_however_many_come_at_once(
    catalog: Catalog, name: str, route: Set
) -> None:
    assert catalog.resolve(name, None).version == "1.0.0"
    read_at = time.monotonic()
    route(stable="2.0.0")
    until(lambda: time.monotonic() - read_at > CACHE_S)
    ready = threading.Barrier(16)

    def ask(_: int) -> str:
        ready.wait()
        return catalog.resolve(name, None).version

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(16))) == {"2.0.0"}


def test_what_changed_is_in_the_audit_log_in_the_same_transaction(platform: Platform, name: str, route: Set) -> None:
    route(canaries=[canary()])
    route(canaries=[canary()])
    with platform.engine.connect() as connection:
        assert routing.change(connection, name, {}, ME)
        connection.rollback()
    rows = platform.rows(
        "SELECT actor, address, action, before, after FROM audit WHERE object = :object AND action = 'routes.change'",
        object=f"model:{name}",
    )
    ((actor, address, action, before, after),) = rows
    assert (actor, address, action) == ("cli:me", "10.0.0.1", "routes.change")
    rest = {"judge": {"tolerance": 1.25, "level": 0.01, "acts": True}, "ramp": None}
    assert (before["canaries"], after["canaries"]) == ([], [{**canary(), **rest}])


def test_a_file_that_is_applied_again_takes_nothing_from_a_canary_that_has_grown(platform: Platform, name: str) -> None:
    def apply(item: dict[str, Any]) -> list[Change]:
        with platform.engine.begin() as connection:
            return routing.apply(connection, name, {"canaries": [item]}, ME)

    def share() -> float:
        with platform.engine.begin() as connection:
            return routing.current(connection, name).routes.canaries[0].percent

    growing = {**canary(percent=5), "ramp": {"to": [20, 50], "requests": 10}}
    apply(growing)
    with platform.engine.begin() as connection:
        plan = routing.held(connection, name)
        routing.grow(connection, name, plan, plan.routes.canaries[0], 20, ME)
    [kept] = apply(growing)
    assert (kept.part, kept.before == kept.after, share()) == ("canary next", True, 20)
    assert (len(apply({**growing, "percent": 1})), share()) == (1, 20)
    # Whoever says more gets it, and what is another canary begins where it is said to.
    assert (len(apply({**growing, "percent": 30})), share()) == (1, 30)
    assert (len(apply({**growing, "ramp": {"to": [50], "requests": 10}})), share()) == (1, 5)
    assert (len(apply({**growing, "percent": 0})), share()) == (1, 0)
    apply({**growing, "percent": 10})
    assert (len(apply({**growing, "version": "2.1.0"})), share()) == (1, 5)
    apply({**growing, "percent": 10, "version": "2.1.0", "name": "other"})
    assert (len(apply({**growing, "version": "2.1.0"})), share()) == (2, 5)


@pytest.mark.parametrize(
    ("raw", "error", "says"),
    [
        ({"canaries": [canary("9.9.9")]}, errors.InvalidInput, "has no version 9.9.9"),
        ({"stable": "9.9.9"}, errors.InvalidInput, "has no version 9.9.9"),
        ({"aliases": {"old": "9.9.9"}}, errors.InvalidInput, "has no version 9.9.9"),
        ({"stable": "1"}, errors.InvalidInput, "three numbers"),
        ({"stable": None}, errors.InvalidInput, "three numbers"),
        ({"canaries": [canary("1.0.0")]}, errors.VersionConflict, "is its stable version"),
        ({"stable": "2.0.0", "canaries": [canary()]}, errors.VersionConflict, "is its stable version"),
        ({"canaries": [canary("2.1.0")]}, errors.VersionConflict, "is deprecated"),
        ({"stable": "2.1.0"}, errors.VersionConflict, "is deprecated"),
    ],
)
def test_what_cannot_be_honoured_changes_nothing(
    platform: Platform, name: str, route: Set, raw: dict[str, Any], error: type[errors.CoatcheckError], says: str
) -> None:
    lifecycle.deprecate(platform.engine, name, "2.1.0", audit.operator(), message=None, sunset_at=None)
    with pytest.raises(error) as refused:
        route(**raw)
    told = refused.value.details.get("issue", "") if error is errors.InvalidInput else str(refused.value)
    assert says in told
    with platform.engine.begin() as connection:
        assert dict(routing.current(connection, name).told()) == {"stable": "1.0.0", "by": "request"}


def test_an_alias_may_lead_to_a_version_that_is_deprecated(platform: Platform, name: str, route: Set) -> None:
    lifecycle.deprecate(platform.engine, name, "2.1.0", audit.operator(), message=None, sunset_at=None)
    assert route(aliases={"last-year": "2.1.0"})


def test_beside_a_stable_version_that_is_deprecated_its_successor_may_be_tried(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    catalog.publish(first)
    name = first.manifest.name
    lifecycle.deprecate(platform.engine, name, "1.0.0", audit.operator(), message=None, sunset_at=None)
    catalog.publish(second)
    with platform.engine.begin() as connection:
        assert routing.change(connection, name, {"canaries": [canary()]}, ME)
        assert routing.end(connection, name, "next", ME, promoted=True)
        with pytest.raises(errors.VersionConflict, match=r"1\.0\.0 is deprecated, and cannot be its stable"):
            routing.change(connection, name, {"stable": "1.0.0"}, ME)


def test_a_model_that_is_not_there_has_no_routes(platform: Platform) -> None:
    with platform.engine.begin() as connection, pytest.raises(errors.ModelNotFound):
        routing.change(connection, "nothing", {}, ME)


def test_a_version_that_routes_name_does_not_end_under_them(platform: Platform, name: str, route: Set) -> None:
    route(canaries=[canary()], aliases={"champion": "2.1.0"})
    with pytest.raises(errors.VersionConflict, match=r"2\.0\.0 is its canary next, and is not removed"):
        lifecycle.remove(platform.engine, name, "2.0.0", audit.operator())
    with pytest.raises(errors.VersionConflict, match=r"2\.1\.0 is its alias champion, and is not deprecated"):
        lifecycle.deprecate(platform.engine, name, "2.1.0", audit.operator(), message=None, sunset_at=None)
    with pytest.raises(errors.VersionConflict, match=f"`coatcheck routes promote {name} next`"):
        lifecycle.make_stable(platform.engine, name, "2.0.0", ME)
    assert lifecycle.make_stable(platform.engine, name, "2.1.0", ME) == "1.0.0"


def test_a_canary_at_the_end_of_its_ramp_is_in_the_way_of_no_change(platform: Platform, name: str, route: Set) -> None:
    route(canaries=[{**canary(percent=5), "ramp": {"to": [20]}}])
    with platform.engine.begin() as connection:
        plan = routing.held(connection, name)
        routing.grow(connection, name, plan, plan.routes.canaries[0], 20, ME)
    assert lifecycle.make_stable(platform.engine, name, "2.1.0", ME) == "1.0.0"
    with platform.engine.begin() as connection:
        assert routing.amend(connection, name, {"aliases": {"old": "1.0.0"}}, ME)


def test_what_else_tries_a_version_ends_when_it_is_the_stable_one(platform: Platform, name: str, route: Set) -> None:
    beside = [
        {"name": "beside", "version": "2.0.0", "percent": 100},
        {"name": "third", "version": "2.1.0", "percent": 1},
    ]
    route(canaries=[canary(percent=5), canary(percent=10, name="twin")], shadows=beside)
    with platform.engine.begin() as connection:
        routing.end(connection, name, "next", ME, promoted=False)
        assert "shadow beside" in dict(routing.current(connection, name).told()), "who rolls back ends one canary"
    with platform.engine.begin() as connection:
        routing.end(connection, name, "twin", ME, promoted=True)
        found = dict(routing.current(connection, name).told())
        states = {item.canary: item.state for item in trials.listed(connection, name)}
    assert found == {"stable": "2.0.0", "by": "request", "shadow third": "2.1.0, 1 %"}
    # What was removed is told no more.
    assert states == {"next": trials.ROLLED_BACK, "twin": trials.PROMOTED}


@pytest.mark.parametrize(
    ("stable", "shadow", "refused"),
    [
        ({"labels": ["a"]}, {"labels": ["b", "c"]}, False),
        ({"numbers": [1]}, {"numbers": [2]}, False),
        ({"labels": ["a"]}, {"numbers": [1]}, True),
        ({"numbers": [1]}, {"labels": ["a"]}, True),
        ({"numbers": [1]}, {"numbers": [1, 2]}, True),
        ({"numbers": [1, 2]}, {"numbers": [1]}, True),
        ({"numbers": [1, 2]}, {"numbers": [1, 2]}, True),
        ({"embedding": 3}, {"embedding": 3}, True),
    ],
)
def test_a_shadow_answers_as_the_stable_version_does(
    platform: Platform, name: str, route: Set, stable: dict[str, Any], shadow: dict[str, Any], *, refused: bool
) -> None:
    for version, says in (("1.0.0", stable), ("2.0.0", shadow)):
        platform.execute(
            "UPDATE model_versions SET manifest = CAST(:says AS json) WHERE model = :name AND version = :version",
            says=json.dumps(says), name=name, version=version,
        )  # fmt: skip
    beside = [{"name": "beside", "version": "2.0.0", "percent": 100}]
    if not refused:
        assert route(shadows=beside) == [Change("shadow beside", None, "2.0.0, 100 %")]
        return
    with pytest.raises(errors.InvalidInput) as error:
        route(shadows=beside)
    issue = f"{name} 1.0.0 and 2.0.0 must both answer with a label, or both with one number"
    assert error.value.details == {"field": "shadow beside", "issue": issue}


def test_to_make_a_version_stable_is_written_down_and_refused_while_a_shadow_tries_it(
    platform: Platform, name: str, route: Set
) -> None:
    route(shadows=[{"name": "beside", "version": "2.0.0", "percent": 100}])
    with pytest.raises(errors.VersionConflict, match=r"2\.0\.0 is its shadow beside"):
        lifecycle.make_stable(platform.engine, name, "2.0.0", ME)
    lifecycle.make_stable(platform.engine, name, "2.1.0", ME)
    told = "SELECT before->>'stable', after->>'stable' FROM audit WHERE object = :of AND action = :made ORDER BY id"
    rows = platform.rows(told, of=f"model:{name}", made="routes.change")
    assert rows[-1] == ("1.0.0", "2.1.0")


@pytest.mark.parametrize(("promoted", "stable"), [(True, "2.0.0"), (False, "1.0.0")])
def test_a_canary_ends_promoted_or_rolled_back_and_the_others_stay(
    platform: Platform, name: str, route: Set, *, promoted: bool, stable: str
) -> None:
    route(canaries=[canary(), canary("2.1.0", 5, "other")], aliases={"champion": "1.0.0"})
    with platform.engine.begin() as connection:
        changes = routing.end(connection, name, "next", ME, promoted=promoted)
        found = dict(routing.current(connection, name).told())
    assert Change("canary next", "2.0.0, 50 %", None) in changes
    assert found == {"stable": stable, "by": "request", "canary other": "2.1.0, 5 %", "alias champion": "1.0.0"}
    with platform.engine.begin() as connection, pytest.raises(errors.InvalidInput) as refused:
        routing.end(connection, name, "next", ME, promoted=promoted)
    assert refused.value.details["issue"] == f"{name} has no canary 'next'; it has: other"


def test_a_range_means_its_newest_version_and_an_alias_the_one_it_stands_for(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, route: Set
) -> None:
    catalog.publish(make_bundle("2.10.0"))
    route(aliases={"champion": "2.0.0"})
    asked = {"2": "2.10.0", "v2": "2.10.0", "2.1": "2.1.0", "v2.0.0": "2.0.0", "champion": "2.0.0", "1": "1.0.0"}
    assert {said: catalog.resolve(name, said).version for said in asked} == asked
    for odd in ("3", "2.", "v", "", "2.1.0.0", "vv2", "²", "latest"):
        with pytest.raises(errors.VersionNotFound):
            catalog.resolve(name, odd)
    lifecycle.deprecate(platform.engine, name, "2.10.0", audit.operator(), message=None, sunset_at=None)
    catalog._forget()
    assert catalog.resolve(name, "2").version == "2.1.0"
    assert catalog.resolve(name, "2.10").version == "2.10.0"


def test_a_version_that_was_removed_says_what_to_use_and_is_no_part_of_a_range(
    platform: Platform, catalog: Catalog, name: str
) -> None:
    lifecycle.remove(platform.engine, name, "2.1.0", audit.operator())
    catalog._forget()
    for asked in ("2.1.0", "v2.1.0"):
        with pytest.raises(errors.VersionRetired) as refused:
            catalog.resolve(name, asked)
        assert refused.value.details["issue"] == f"{name} 2.1.0 was removed; use 2.0.0"
    assert catalog.resolve(name, "2").version == "2.0.0"
    lifecycle.remove(platform.engine, name, "2.0.0", audit.operator())
    catalog._forget()
    with pytest.raises(errors.VersionRetired) as refused:
        catalog.resolve(name, "2.0.0")
    assert "use 1.0.0" in refused.value.details["issue"]
    lifecycle.remove(platform.engine, name, "1.0.0", audit.operator())
    catalog._forget()
    with pytest.raises(errors.ModelNotFound):
        catalog.resolve(name, "1.0.0")


def test_what_is_not_said_of_an_amendment_stays_as_it_was(platform: Platform, name: str, route: Set) -> None:
    route(by="caller", canaries=[canary()], aliases={"champion": "1.0.0"})
    with platform.engine.begin() as connection:
        assert routing.amend(connection, name, {"canaries": []}, ME) == [Change("canary next", "2.0.0, 50 %", None)]
        assert [change.part for change in routing.amend(connection, name, {"stable": "2.1.0"}, ME)] == ["stable"]
        plan = routing.current(connection, name)
    assert (plan.stable, plan.routes.by, plan.routes.aliases) == ("2.1.0", "caller", {"champion": "1.0.0"})
