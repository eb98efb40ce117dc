"""Models and their versions, as v1 shows them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import orjson

from api import links
from inference import schema
from jobs import uploads
from registry.versions import Version


def model(versions: Sequence[Version]) -> dict[str, Any]:
    """A model, by all of its versions."""
    stable = stable_of(versions)
    itself = links.to("models.show_model", name=stable.model)
    version = links.to("models.show_version", name=stable.model, version=stable.version)
    return {
        "name": stable.model,
        "stable_version": stable.version,
        "summary": stable.manifest.summary,
        "versions": [item.version for item in versions],
        "links": {"self": itself, "stable_version": version},
    }


def to_try(versions: Sequence[Version]) -> dict[str, Any]:
    """What a model's stable version takes and answers, and a request that it answers."""
    item = stable_of(versions)
    found = _schemas(item)
    manifest, inputs = item.manifest, item.manifest.golden[0].inputs
    body: dict[str, Any] = {"model": item.model, "inputs": inputs}
    if not manifest.takes_rows:
        return {**found, "example": {**body, "upload_id": "upl_…"}}
    if manifest.takes_file and not inputs:
        # Its picture is too large to be shown.
        return {**found, "example": {"model": item.model, "upload_id": "upl_…"}}
    said = shlex.quote(orjson.dumps(body).decode())
    head = "-H \"Authorization: Bearer $COATCHECK_API_KEY\" -H 'Content-Type: application/json'"
    return {**found, "example": body, "curl": f'curl {head} "$COATCHECK_URL{links.to("predict.predict")}" -d {said}'}


def version(item: Version) -> dict[str, Any]:
    """All that there is to know of one."""
    manifest = item.manifest
    return {
        "model": item.model,
        "version": item.version,
        "stable": item.stable,
        **_ends(item),
        "digest": item.digest,
        "kind": manifest.kind,
        "summary": manifest.summary,
        "labels": manifest.classes,
        "pool": manifest.pool,
        "inline": manifest.inline,
        "max_batch": manifest.max_batch,
        "units": manifest.units,
        "explanation": manifest.explanation,
        "licence": manifest.licence,
        "file_types": uploads.types(manifest),
        **_schemas(item),
        "example": manifest.golden[0].inputs,
    }


def stable_of(versions: Sequence[Version]) -> Version:
    """There always is one: `registry.lifecycle` ends it last of all, and `Catalog.publish` makes none of an ended."""
    return next(item for item in versions if item.stable)


def _schemas(item: Version) -> dict[str, Any]:
    return {"input_schema": schema.json_schema(item.manifest), "output_schema": item.manifest.output_schema}


def _ends(item: Version) -> dict[str, Any]:
    """Whether it is deprecated, and what is known of that."""
    if item.deprecation is None:
        return {"deprecated": False}
    at, message, sunset_at = item.deprecation.at, item.deprecation.message, item.deprecation.sunset_at
    more = {"deprecation": message, "sunset_at": sunset_at}
    return {"deprecated": True, "deprecated_at": at, **{name: value for name, value in more.items() if value}}
