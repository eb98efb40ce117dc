"""Changing who gets which version: all of a model at once, checked against what is published, and written down."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import audit, database, errors
from core.audit import Actor
from inference.promise import VERSION, VERSIONS
from registry import rules
from registry.judging import trials
from registry.routes import Canary, Judge, Ramp, Routes

_VERSION = re.compile(VERSION)
_MODEL = text("SELECT stable_version, routes FROM models WHERE name = :model")
#: Whoever changes a model holds its row.
_HELD = text(f"{_MODEL} FOR UPDATE")
_LISTED = text("""
SELECT version, deprecated_at, manifest FROM model_versions WHERE model = :model AND removed_at IS NULL
ORDER BY created_at
""")
_CHANGE = text("""
UPDATE models SET stable_version = :stable, routes = CAST(:routes AS json) WHERE name = :model
""")


@dataclass(frozen=True)
class Plan:
    """Who is to get which version of a model: the stable one, and what lies beside it."""

    stable: str
    routes: Routes

    def told(self) -> Iterator[tuple[str, str]]:
        """Each part of it, and what it is."""
        routes = self.routes
        yield "stable", self.stable
        yield "by", routes.by
        for canary in routes.canaries:
            yield f"canary {canary.name}", _told(canary)
        for experiment in routes.experiments:
            sides = ", ".join(f"{item.name} {item.version} ({item.weight})" for item in experiment.variants)
            yield f"experiment {experiment.name}", f"{experiment.percent:g} %: {sides}"
        for shadow in routes.shadows:
            yield f"shadow {shadow.name}", f"{shadow.version}, {shadow.percent:g} %"
        for name, version in routes.aliases.items():
            yield f"alias {name}", version

    def to_json(self) -> dict[str, Any]:
        """What `read` takes."""
        return {"stable": self.stable, **dataclasses.asdict(self.routes)}


@dataclass(frozen=True)
class Change:
    """Of one part of a plan; None is nothing."""

    part: str
    before: str | None
    after: str | None


def read(raw: object, *, before: str) -> Plan:
    """What somebody wrote, with the stable version as it was `before` where they wrote none; raises InvalidInput."""
    rest = dict(raw) if isinstance(raw, Mapping) else raw
    stable = rest.pop("stable", before) if isinstance(rest, dict) else before
    if not isinstance(stable, str) or not _VERSION.match(stable):
        raise errors.InvalidInput.field("stable", f"must be {VERSIONS}")
    return Plan(stable, rules.read(rest))


def _told(canary: Canary) -> str:
    """Without what is as it would be if nothing were said."""
    said = [canary.version, f"{canary.percent:g} %"]
    if canary.ramp:
        steps = ", ".join(f"{step:g}" for step in canary.ramp.to)
        said.append(f"to {steps} % by {canary.ramp.requests} requests each, then {canary.ramp.then}")
    if canary.judge != Judge():
        said.append(f"tolerance {canary.judge.tolerance:g}, level {canary.judge.level:g}")
    return ", ".join([*said, *([] if canary.judge.acts else ["not acted on"])])


def diff(before: Plan, after: Plan) -> list[Change]:
    """What is not the same, in the order in which it is told."""
    old, new = dict(before.told()), dict(after.told())
    return [Change(part, old.get(part), new.get(part)) for part in {**old, **new} if old.get(part) != new.get(part)]


def current(connection: sqlalchemy.Connection, model: str) -> Plan:
    """As it is; raises ModelNotFound."""
    return _of(connection.execute(_MODEL, {"model": model}).one_or_none(), model)


def held(connection: sqlalchemy.Connection, model: str) -> Plan:
    """As it is, and stays until the transaction ends; raises ModelNotFound."""
    return _of(connection.execute(_HELD, {"model": model}).one_or_none(), model)


def _of(row: Any, model: str) -> Plan:
    if row is None:
        raise errors.ModelNotFound(f"There is no model {model!r}")
    return Plan(row.stable_version, rules.of(row.routes))


def change(connection: sqlalchemy.Connection, model: str, raw: object, by: Actor) -> list[Change]:
    """Have a model answered so, everywhere within `catalog.CACHE_S` of the commit; returns what that changes.

    Raises ModelNotFound, InvalidInput, also for a version that is not there, and VersionConflict for one that may not
    answer so.
    """
    before = held(connection, model)
    return _become(connection, model, before, read(raw, before=before.stable), by)


def apply(connection: sqlalchemy.Connection, model: str, raw: object, by: Actor) -> list[Change]:
    """The same by a file that is applied again and again: a canary that its ramp has grown since keeps its share, which
    is among the changes as one that changes nothing, unless the file gives it more, or none at all."""
    before = held(connection, model)
    after = read(raw, before=before.stable)
    grown: Mapping[tuple[str, str, Ramp | None], float] = {
        (item.name, item.version, item.ramp): item.percent for item in before.routes.canaries if item.ramp
    }
    kept = {
        item.name: dataclasses.replace(item, percent=share)
        for item in after.routes.canaries
        if 0 < item.percent < (share := grown.get((item.name, item.version, item.ramp), 0.0))
    }
    canaries = tuple(kept.get(item.name, item) for item in after.routes.canaries)
    after = dataclasses.replace(after, routes=dataclasses.replace(after.routes, canaries=canaries))
    changes = _become(connection, model, before, after, by)
    return [*changes, *(Change(f"canary {name}", told, told) for name, item in kept.items() if (told := _told(item)))]


def amend(connection: sqlalchemy.Connection, model: str, raw: Mapping[str, Any], by: Actor) -> list[Change]:
    """The same with what is not said as it was before."""
    return change(connection, model, {**held(connection, model).to_json(), **raw}, by)


def end(connection: sqlalchemy.Connection, model: str, canary: str, by: Actor, *, promoted: bool) -> list[Change]:
    """End a canary: `promoted`, its version is the stable one, and other canaries and shadows of it end as well; else
    its traffic is the stable one's again. Raises ModelNotFound, InvalidInput where there is none of that name,
    VersionConflict."""
    before = held(connection, model)
    ending = next((item for item in before.routes.canaries if item.name == canary), None)
    if ending is None:
        there = ", ".join(item.name for item in before.routes.canaries) or "none"
        raise errors.InvalidInput.field("canary", f"{model} has no canary {canary!r}; it has: {there}")
    canaries = tuple(item for item in before.routes.canaries if item is not ending)
    after = Plan(before.stable, dataclasses.replace(before.routes, canaries=canaries))
    if promoted:
        # Whatever else tries this version has nothing to compare it with any more.
        canaries = tuple(item for item in canaries if item.version != ending.version)
        shadows = tuple(item for item in before.routes.shadows if item.version != ending.version)
        after = Plan(ending.version, dataclasses.replace(before.routes, canaries=canaries, shadows=shadows))
        # To roll back is always possible, whatever has become of the rest.
        _check(connection, model, before, after)
    return _make(
        connection, model, before, after, by, ended={canary: trials.PROMOTED if promoted else trials.ROLLED_BACK}
    )


def grow(
    connection: sqlalchemy.Connection, model: str, before: Plan, canary: Canary, percent: float, by: Actor
) -> None:
    """Give a canary this share, by which the whole stays within what the rules allow."""
    grown = tuple(
        dataclasses.replace(item, percent=percent) if item.name == canary.name else item
        for item in before.routes.canaries
    )
    _make(connection, model, before, Plan(before.stable, dataclasses.replace(before.routes, canaries=grown)), by)


def _become(connection: sqlalchemy.Connection, model: str, before: Plan, after: Plan, by: Actor) -> list[Change]:
    _check(connection, model, before, after)
    return _make(connection, model, before, after, by)


def _make(
    connection: sqlalchemy.Connection,
    model: str,
    before: Plan,
    after: Plan,
    by: Actor,
    *,
    ended: Mapping[str, str] = trials.REMOVED_ALL,
) -> list[Change]:
    """`ended` is what became of canaries that are not there any more, which else were removed."""
    changes = diff(before, after)
    if changes:
        given = {"model": model, "stable": after.stable, "routes": database.dumps(dataclasses.asdict(after.routes))}
        connection.execute(_CHANGE, given)
        audit.record(connection, by, "routes.change", f"model:{model}", before=before.to_json(), after=after.to_json())
        trials.follow(connection, model, after.stable, after.routes, ended=ended, by=by.name)
    return changes


def _check(connection: sqlalchemy.Connection, model: str, before: Plan, plan: Plan) -> None:
    rows = {row.version: row for row in connection.execute(_LISTED, {"model": model})}
    known = {version: row.deprecated_at is not None for version, row in rows.items()}
    for part, version in (("stable", plan.stable), *plan.routes.versions()):
        if version not in known:
            issue = f"{model} has no version {version}; it has: {', '.join(known) or 'none'}"
            raise errors.InvalidInput.field(part, issue)
        # The stable version of a model that had no other may be deprecated: its successor begins beside it.
        if known[version] and not part.startswith("alias ") and (part, version) != ("stable", before.stable):
            raise errors.VersionConflict(f"{model} {version} is deprecated, and cannot be its {part}")
        if version == plan.stable and part.startswith(("canary ", "shadow ")):
            raise errors.VersionConflict(f"{model} {version} is its stable version, and cannot be its {part} as well")
        if part.startswith("shadow ") and not _comparable(rows[plan.stable].manifest, rows[version].manifest):
            issue = f"{model} {plan.stable} and {version} must both answer with a label, or both with one number"
            raise errors.InvalidInput.field(part, issue)


def _comparable(stable: Mapping[str, Any], shadow: Mapping[str, Any]) -> bool:
    """Whether it can be said how far the answers of two versions lie apart."""
    both_label = bool(stable.get("labels") and shadow.get("labels"))
    return both_label or len(stable.get("numbers", ())) == len(shadow.get("numbers", ())) == 1
