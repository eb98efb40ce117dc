"""What is done to one version, or to one canary, is done to no other of the same name or number."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from core import audit, database, errors
from inference.manifest import Manifest
from registry import lifecycle, routing
from registry.judging import trials
from registry.judging.trial import ERRORS, Bad, Sums, Trial
from registry.routes import By, Canary, Routes
from tests import factories, graphs
from tests.conftest import Platform, until

OURS = audit.operator()
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
MOMENT = dt.datetime(2027, 1, 31, tzinfo=dt.UTC)


@pytest.fixture
def pair(platform: Platform) -> Iterator[tuple[str, str]]:
    """Two models of three versions each, of which the first is stable; of rows alone, which nobody opens."""
    names = [factories.unique("pair").lower() for _ in range(2)]
    manifest = json.dumps(Manifest.from_dict(graphs.manifest()).to_dict())
    for name in names:
        platform.execute("INSERT INTO models (name, stable_version) VALUES (:name, '1.0.0')", name=name)
        for version in VERSIONS:
            platform.execute(
                "INSERT INTO model_versions (model, version, digest, manifest, max_batch) "
                "VALUES (:name, :version, :digest, CAST(:manifest AS json), 1)",
                name=name, version=version, digest=f"{name}-{version}", manifest=manifest,
            )  # fmt: skip
    yield names[0], names[1]
    platform.execute("DELETE FROM models WHERE name = ANY (:names)", names=names)


def versions(platform: Platform, *names: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    found = platform.rows(
        "SELECT model, version, deprecated_at, deprecation, sunset_at, removed_at FROM model_versions "
        "WHERE model = ANY (:names)", names=[*names],
    )  # fmt: skip
    return {(row.model, row.version): tuple(row)[2:] for row in found}


def deprecated(platform: Platform, name: str, version: str, message: str | None = "Use 3.0.0") -> bool:
    return lifecycle.deprecate(platform.engine, name, version, OURS, message=message, sunset_at=MOMENT)


def test_a_version_is_deprecated_and_removed_alone(platform: Platform, pair: tuple[str, str]) -> None:
    name, _ = pair
    before = versions(platform, *pair)

    def changed() -> dict[tuple[str, str], tuple[Any, ...]]:
        return {key: row for key, row in versions(platform, *pair).items() if row != before[key]}

    assert not deprecated(platform, name, "2.0.0")
    [(key, (since, *said))] = changed().items()
    assert (key, said) == ((name, "2.0.0"), ["Use 3.0.0", MOMENT, None])
    # What is said may change; since when it is, does not.
    assert deprecated(platform, name, "2.0.0", message=None)
    assert changed() == {(name, "2.0.0"): (since, None, MOMENT, None)}
    assert lifecycle.undo(platform.engine, name, "2.0.0", OURS)
    assert changed() == {}
    assert not lifecycle.undo(platform.engine, name, "2.0.0", OURS)
    lifecycle.remove(platform.engine, name, "2.0.0", OURS)
    [(key, (*said, removed_at))] = changed().items()
    assert (key, said) == ((name, "2.0.0"), [None, None, None])
    assert removed_at


def test_what_was_removed_stays_as_it_was_removed(platform: Platform, pair: tuple[str, str]) -> None:
    name, _ = pair
    lifecycle.remove(platform.engine, name, "2.0.0", OURS)
    before = versions(platform, *pair)
    for again in (
        lambda: lifecycle.remove(platform.engine, name, "2.0.0", OURS),
        lambda: deprecated(platform, name, "2.0.0"),
        lambda: lifecycle.undo(platform.engine, name, "2.0.0", OURS),
        lambda: lifecycle.make_stable(platform.engine, name, "2.0.0", OURS),
    ):
        with pytest.raises(errors.VersionNotFound) as refused:
            again()
        assert refused.value.details == {"field": "version", "issue": f"{name} has: 1.0.0, 3.0.0"}
    assert versions(platform, *pair) == before


def test_a_version_that_is_not_there_is_told_with_those_that_are_in_their_order(
    platform: Platform, pair: tuple[str, str]
) -> None:
    with platform.engine.begin() as connection, pytest.raises(errors.InvalidInput) as refused:
        routing.change(connection, pair[0], {"stable": "9.0.0"}, OURS)
    assert refused.value.details["issue"] == f"{pair[0]} has no version 9.0.0; it has: 1.0.0, 2.0.0, 3.0.0"


def test_a_version_does_not_end_while_somebody_has_routes_lead_to_it(platform: Platform, pair: tuple[str, str]) -> None:
    name, _ = pair
    before = versions(platform, *pair)
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM models%'"
    with ThreadPoolExecutor(1) as pool:
        with platform.engine.begin() as elsewhere:
            routing.change(elsewhere, name, {"aliases": {"old": "2.0.0"}}, OURS)
            removing = pool.submit(lifecycle.remove, platform.engine, name, "2.0.0", OURS)
            until(lambda: removing.done() or platform.rows(waits))
        with pytest.raises(errors.VersionConflict, match=r"2\.0\.0 is its alias old"):
            removing.result(60)
    assert versions(platform, *pair) == before


def test_one_is_undone_while_others_stay_deprecated(platform: Platform, pair: tuple[str, str]) -> None:
    for name in pair:
        for version in ("2.0.0", "3.0.0"):
            deprecated(platform, name, version)
    before = versions(platform, *pair)
    lifecycle.undo(platform.engine, pair[0], "2.0.0", OURS)
    assert versions(platform, *pair) == {**before, (pair[0], "2.0.0"): (None,) * 4}


Follow = Callable[..., dict[str, Trial]]


@pytest.fixture
def follow(platform: Platform) -> Follow:
    """Brings the trials of a model to canaries with these shares; returns them by their names."""

    def go(model: str, ended: str | None = None, stable: str = "1.0.0", **shares: float) -> dict[str, Trial]:
        routes = Routes(canaries=tuple(Canary(name, "2.0.0", share) for name, share in shares.items()))
        became = {} if ended is None else {ended: trials.ROLLED_BACK}
        with platform.engine.begin() as connection:
            routing.held(connection, model)
            found = trials.follow(connection, model, stable, routes, ended=became, by="somebody")
            return {trial.name: trial for trial in found}

    return go


def rows(platform: Platform, *models: str) -> dict[tuple[str, str], dict[str, Any]]:
    """All canaries, each with how many bad units are known."""
    found = platform.rows(
        "SELECT *, (SELECT count(*) FROM canary_units AS u WHERE u.model = c.model AND u.name = c.name) AS units "
        "FROM canaries AS c WHERE model = ANY (:models)", models=[*models],
    )  # fmt: skip
    return {(row.model, row.name): dict(row._mapping) for row in found}


def test_what_becomes_of_a_canary_becomes_of_no_other(
    platform: Platform, pair: tuple[str, str], follow: Follow
) -> None:
    name, _ = pair
    for model in pair:
        for trial in follow(model, next=50, other=25).values():
            with platform.engine.begin() as connection:
                [found] = trials.once(connection, trial, [Bad(ERRORS, b"u", True, MOMENT)])
                assert trials.once(connection, trial, [found]) == []
                trials.save(connection, trial.after([], [found]))
    before = rows(platform, *pair)
    assert len(before) == 4
    assert {row["units"] for row in before.values()} == {1}

    def changed() -> dict[str, Any]:
        """Of the first model's `next`: nothing else has."""
        found = {key: row for key, row in rows(platform, *pair).items() if row != before[key]}
        [(key, row)] = found.items()
        assert key == (name, "next")
        return {part: value for part, value in row.items() if value != before[key][part]}

    # Another share, beside which the other keeps its own, half of what it and
    # the stable version get: what was seen is kept, and its time begins.
    grown = follow(name, next=60, other=20)["next"]
    assert (grown.share, grown.sums.metrics[ERRORS].canary) == (0.75, 1)
    assert changed().keys() == {"share", "share_since"}
    # What is seen now.
    with platform.engine.begin() as connection:
        trials.save(connection, Trial(name, "next", 0.2, MOMENT, grown.judge, grown.by, Sums(canary=7)))
    assert json.loads(database.dumps(changed()["seen"]))["canary"] == 7
    # Its end.
    follow(name, ended="next", other=50)
    ended = changed()
    assert (ended["state"], ended["ended_by"], ended["units"]) == (trials.ROLLED_BACK, "somebody", 0)
    # And another of its name.
    with platform.engine.begin() as connection:
        assert trials.find(connection, name, "next").state == trials.ROLLED_BACK
        assert [item.state for item in trials.listed(connection, name)] == [trials.ROLLED_BACK, trials.RUNNING]
    again = follow(name, next=30, other=35)["next"]
    assert again.sums == Sums()
    begun = rows(platform, name)[name, "next"]
    assert [begun[part] for part in ("state", "ended_at", "ended_by", "evidence", "units")] == [
        trials.RUNNING, None, None, {}, 0
    ]  # fmt: skip


def test_a_canary_that_is_compared_with_another_version_begins_anew_alone(
    platform: Platform, pair: tuple[str, str], follow: Follow
) -> None:
    for model in pair:
        for trial in follow(model, next=10).values():
            with platform.engine.begin() as connection:
                trials.once(connection, trial, [Bad(ERRORS, b"u", True, MOMENT)])
    follow(pair[0], stable="3.0.0", next=10)
    found = rows(platform, *pair)
    assert {model: (row["stable"], row["units"]) for (model, _), row in found.items()} == {
        pair[0]: ("3.0.0", 0), pair[1]: ("1.0.0", 1)
    }  # fmt: skip


def test_a_canary_begins_anew_once_for_each_change_of_what_is_compared_and_how(
    platform: Platform, pair: tuple[str, str], follow: Follow
) -> None:
    name, _ = pair
    follow(name, next=10)

    def begun(stable: str, version: str, by: By) -> dict[str, Any]:
        """What is written down of it, which stays when it is followed again."""
        found = []
        for _ in range(2):
            with platform.engine.begin() as connection:
                routing.held(connection, name)
                trials.follow(connection, name, stable, Routes(by, (Canary("next", version, 20.0),)))
            found.append(rows(platform, name)[name, "next"])
        assert found[0] == found[1]
        return found[0]

    last = rows(platform, name)[name, "next"]
    for stable, version, by in (
        ("3.0.0", "2.0.0", By.REQUEST), ("3.0.0", "1.0.0", By.REQUEST), ("3.0.0", "1.0.0", By.CALLER),
    ):  # fmt: skip
        now = begun(stable, version, by)
        assert (now["stable"], now["version"], now["share"]) == (stable, version, 0.2)
        assert json.loads(now["rules"])[0] == by
        assert min(now["since"], now["share_since"]) > last["since"]
        last = now


def test_bad_events_of_long_ago_are_forgotten_while_others_are_looked_at(
    platform: Platform, pair: tuple[str, str], follow: Follow
) -> None:
    for model in pair:
        [trial] = follow(model, next=10).values()
        with platform.engine.begin() as connection:
            trials.once(connection, trial, [Bad(ERRORS, unit, True, MOMENT) for unit in (b"a", b"b")])
    # Who keeps its version is known for good.
    platform.execute("UPDATE canary_units SET gone_at = now() WHERE model = ANY (:names)", names=[*pair])
    platform.execute("UPDATE canary_units SET gone_at = NULL WHERE model = :name AND unit = 'a'", name=pair[0])
    platform.execute(
        "UPDATE canary_units SET gone_at = now() + interval '1 hour' WHERE model = :name AND unit = 'b'", name=pair[0]
    )
    with platform.admin.begin() as connection:
        connection.execute(
            text("SELECT FROM canary_units WHERE model = :name AND unit = 'a' FOR UPDATE"), {"name": pair[1]}
        )
        assert trials.purge(platform.engine) >= 1
        left = platform.rows("SELECT model, unit FROM canary_units WHERE model = ANY (:names)", names=[*pair])
    assert {(row.model, bytes(row.unit)) for row in left} == {(pair[0], b"a"), (pair[0], b"b"), (pair[1], b"a")}
    trials.purge(platform.engine)
    assert [row["units"] for _, row in sorted(rows(platform, *pair).items())] == [
        2 if name == pair[0] else 0 for name in sorted(pair)
    ]


def test_bad_events_of_long_ago_are_forgotten_a_few_at_a_time(
    platform: Platform, pair: tuple[str, str], follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    while trials.purge(platform.engine):
        pass
    [trial] = follow(pair[0], next=10).values()
    with platform.engine.begin() as connection:
        trials.once(connection, trial, [Bad(ERRORS, unit, True, MOMENT) for unit in (b"a", b"b", b"c")])
    gone = "UPDATE canary_units SET gone_at = now() - interval '1 h' * position(unit IN 'bca') WHERE model = :name"
    platform.execute(gone, name=pair[0])
    monkeypatch.setattr(trials, "LIMIT", 1)
    left = []
    for _ in range(3):
        assert trials.purge(platform.engine) == 1
        left.append({bytes(row.unit) for row in platform.rows("SELECT unit FROM canary_units WHERE model = :name",
                                                              name=pair[0])})  # fmt: skip
    # What has been due for longest goes first.
    assert left == [{b"b", b"c"}, {b"b"}, set()]
