"""What each field of the schema is answered with."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson
from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, build_schema

from access import usage
from access.keys import ADMIN, Caller
from access.usage import Span, Used
from api.graphql.cost import MOST_ITEMS
from api.resources import Resources
from core import database, errors
from inference import schema as schemas
from jobs.shadows import pairs, report
from registry import choice, listing
from registry.choice import Known
from registry.judging import trials
from registry.routes import NONE
from registry.versions import Version

T = TypeVar("T")

USAGE_DAYS = 30
#: Of all that may be long in one answer.
MOST_BYTES = 8 << 20
Versions = Sequence[Version]


class Context:
    """Of one query: who asks, and what was looked up for it already."""

    def __init__(self, here: Resources, caller: Caller) -> None:
        self.caller = caller
        self._catalog, self._engine = here.catalog, here.engine
        self.known, self._is_new = here.catalog.known(), False
        self.trials = functools.cache(self._trials)
        self._bytes, self._outage = 0, list[Exception]()

    def found(self, look: Callable[[Known], T]) -> T | None:
        """What is seen in all there is, None where it is not there: it may have been published since it was read, which
        is looked up once, however much is asked for."""
        try:
            return look(self.known)
        except (errors.NotFound, errors.VersionRetired):
            if self._is_new:
                return None
        self.known, self._is_new = self._looked_up(lambda: self._catalog.known(anew=True)), True
        return self.found(look)

    def weighed(self, value: T) -> T:
        """What may be long, and asked for again and again; raises InvalidInput beyond MOST_BYTES."""
        self._bytes += len(orjson.dumps(value))
        if self._bytes > MOST_BYTES:
            raise errors.InvalidInput.field(
                "query", f"answers more than {MOST_BYTES >> 20} MiB: ask for less at a time"
            )
        return value

    def _looked_up(self, look: Callable[[], T]) -> T:
        """What the database says; once it has not answered, nobody waits for it any more in this query."""
        if self._outage:
            raise self._outage[0]
        try:
            return look()
        except (errors.Unavailable, *database.OUTAGES) as error:
            self._outage.append(error)
            raise

    @functools.cached_property
    def used(self) -> Mapping[tuple[str | None, str | None], Used]:
        """Of each version, by the caller's tenant."""
        return self._looked_up(self._used)

    def _used(self) -> Mapping[tuple[str | None, str | None], Used]:
        until = usage.span(self._engine, None, None).until
        days = Span(until - dt.timedelta(USAGE_DAYS - 1), until)
        found = usage.read(self._engine, self.caller.tenant_id, days, ["model", "version"])
        return {(item.model, item.version): item for item in found}

    def report(self, model: str, shadow: str) -> dict[str, Any] | None:
        """How a shadow compares; None where it was asked nothing yet."""
        try:
            return report.of(self._looked_up(lambda: pairs.of(self._engine, model, shadow)))
        except errors.NotFound:
            return None

    def card(self, found: Version) -> str | None:
        def look() -> str | None:
            with database.reading(self._engine) as connection:
                return listing.card(connection, found.model, found.version)

        return self._looked_up(look)

    def _trials(self, model: str) -> Mapping[str, dict[str, Any]]:
        """Of each of its canaries."""

        def look() -> Mapping[str, dict[str, Any]]:
            with database.reading(self._engine) as connection:
                return {item.canary: item.told() for item in trials.listed(connection, model)}

        return self._looked_up(look)


Info = GraphQLResolveInfo[Context]


def model(_: None, info: Info, *, name: str) -> Versions | None:
    return info.context.found(lambda known: list(choice.model(known, name).versions.values()))


def models(_: None, info: Info, *, first: int | None, after: str | None = None) -> dict[str, Any]:
    known = info.context.known
    names = sorted(name for name in known if after is None or name > after)
    part = names[: _checked(first)]
    items = [list(known[name].versions.values()) for name in part]
    return {"items": items, "next": part[-1] if len(names) > len(part) else None}


def version(found: Versions, info: Info, *, number: str) -> Version | None:
    return info.context.found(lambda known: choice.version(known, found[0].model, number))


def versions(found: Versions, _: Info, *, first: int | None) -> Versions:
    return sorted(found, key=lambda item: item.number, reverse=True)[: _checked(first)]


def routes(found: Versions, info: Info) -> dict[str, Any]:
    info.context.caller.require(ADMIN)
    model, context = found[0].model, info.context
    listed = context.known.get(model)
    said = listed.routes if listed else NONE
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


def _checked(first: int | None) -> int:
    if first is None or not 1 <= first <= MOST_ITEMS:
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
        "labels": lambda found, info: info.context.weighed(found.manifest.classes),
        "maxBatch": lambda found, _: found.manifest.max_batch,
        "inputSchema": lambda found, info: info.context.weighed(schemas.json_schema(found.manifest)),
        "outputSchema": lambda found, info: info.context.weighed(found.manifest.output_schema),
        "example": lambda found, info: info.context.weighed(found.manifest.golden[0].inputs),
        "card": lambda found, info: info.context.weighed(info.context.card(found)),
        "usage": used,
        **{
            name: lambda found, info: getattr(found.manifest, info.field_name)
            for name in ("kind", "summary", "licence", "pool", "inline", "units", "explanation", "fields")
        },
    },
    "Deprecation": {"at": lambda found, _: _time(found.at), "sunsetAt": lambda found, _: _time(found.sunset_at)},
    "Field": {
        "minLength": lambda found, _: found.min_length,
        "maxLength": lambda found, _: found.max_length,
        "default": lambda found, info: info.context.weighed(found.default),
        "enum": lambda found, info: info.context.weighed(found.enum),
    },
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
