"""What each field of the schema is answered with."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, build_schema

from access import usage
from access.keys import ADMIN, Caller
from access.usage import Span, Used
from api.graphql.cost import MOST_ITEMS
from api.resources import Resources
from core import database, errors
from inference import schema as schemas
from jobs.shadows import pairs, report
from registry.catalog import Catalog
from registry.judging import trials
from registry.versions import Version

USAGE_DAYS = 30
Versions = Sequence[Version]


class Context:
    """Of one query: who asks, and what was looked up for it already."""

    def __init__(self, here: Resources, caller: Caller) -> None:
        self.caller = caller
        self.catalog: Catalog = here.catalog
        self._engine = here.engine
        self.trials = functools.cache(self._trials)

    @functools.cached_property
    def used(self) -> Mapping[tuple[str | None, str | None], Used]:
        """Of each version, by the caller's tenant."""
        until = dt.datetime.now(dt.UTC).date()
        days = Span(until - dt.timedelta(USAGE_DAYS - 1), until)
        found = usage.read(self._engine, self.caller.tenant_id, days, ["model", "version"])
        return {(item.model, item.version): item for item in found}

    def report(self, model: str, shadow: str) -> dict[str, Any] | None:
        """How a shadow compares; None where it was asked nothing yet."""
        try:
            return report.of(pairs.of(self._engine, model, shadow))
        except errors.NotFound:
            return None

    def _trials(self, model: str) -> Mapping[str, dict[str, Any]]:
        """Of each of its canaries."""
        with database.reading(self._engine) as connection:
            return {item.canary: item.told() for item in trials.listed(connection, model)}


Info = GraphQLResolveInfo[Context]


def model(_: None, info: Info, *, name: str) -> Versions | None:
    try:
        found: Versions = info.context.catalog.model(name)
    except errors.ModelNotFound:
        return None
    return found


def models(_: None, info: Info, *, first: int, after: str | None = None) -> dict[str, Any]:
    catalog: Catalog = info.context.catalog
    names = sorted({item.model for item in catalog.versions() if after is None or item.model > after})
    part = names[: _checked(first)]
    return {"items": [catalog.model(name) for name in part], "next": part[-1] if len(names) > len(part) else None}


def version(found: Versions, info: Info, *, number: str) -> Version | None:
    try:
        one: Version = info.context.catalog.version(found[0].model, number)
    except (errors.VersionNotFound, errors.VersionRetired):
        return None
    return one


def versions(found: Versions, _: Info, *, first: int) -> Versions:
    return sorted(found, key=lambda item: item.number, reverse=True)[: _checked(first)]


def routes(found: Versions, info: Info) -> dict[str, Any]:
    info.context.caller.require(ADMIN)
    model, context = found[0].model, info.context
    said = context.catalog.routes(model)
    return {
        "by": said.by,
        "canaries": [
            {**vars(item), "trial": lambda _, name=item.name: context.trials(model).get(name)} for item in said.canaries
        ],
        "experiments": said.experiments,
        "shadows": [
            {**vars(item), "report": lambda _, name=item.name: context.report(model, name)} for item in said.shadows
        ],
        "aliases": [{"name": name, "version": to} for name, to in said.aliases.items()],
    }


def used(found: Version, info: Info) -> dict[str, Any]:
    info.context.caller.require("usage:read")
    mine: Used | None = info.context.used.get((found.model, found.version))
    if mine is None:
        return {"calls": 0, "units": 0, "price": "0"}
    return {"calls": mine.calls, "units": mine.units, "price": f"{mine.price.normalize():f}"}


def _checked(first: int) -> int:
    if not 1 <= first <= MOST_ITEMS:
        raise errors.InvalidInput.field("first", f"must be from 1 to {MOST_ITEMS}", received=first)
    return first


def _stable(found: Versions) -> Version:
    return next(item for item in found if item.stable)


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


#: Of each type, the fields that are not simply named in Python as they are in the schema.
_OF: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "Query": {"model": model, "models": models},
    "Model": {
        "name": lambda found, _: found[0].model,
        "summary": lambda found, _: _stable(found).manifest.summary,
        "stable": lambda found, _: _stable(found),
        "version": version,
        "versions": versions,
        "routes": routes,
    },
    "Version": {
        "labels": lambda found, _: found.manifest.labels or found.manifest.tags,
        "maxBatch": lambda found, _: found.manifest.max_batch,
        "inputSchema": lambda found, _: schemas.json_schema(found.manifest),
        "outputSchema": lambda found, _: found.manifest.output_schema,
        "example": lambda found, _: found.manifest.golden[0].inputs,
        "usage": used,
        **{
            name: lambda found, info: getattr(found.manifest, info.field_name)
            for name in ("kind", "summary", "licence", "pool", "inline", "units", "explanation", "fields")
        },
    },
    "Deprecation": {"at": lambda found, _: _time(found.at), "sunsetAt": lambda found, _: _time(found.sunset_at)},
    "Field": {"minLength": lambda found, _: found.min_length, "maxLength": lambda found, _: found.max_length},
}  # fmt: skip


@functools.cache
def schema() -> GraphQLSchema:
    """The file beside this one, with what answers it."""
    made = build_schema((Path(__file__).parent / "schema.graphql").read_text())
    for name, fields in _OF.items():
        type_ = made.type_map[name]
        if isinstance(type_, GraphQLObjectType):
            for field, resolve in fields.items():
                type_.fields[field].resolve = resolve
    return made
