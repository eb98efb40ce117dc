"""What is v2's own in its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api import errors as answered
from api.contract import REFUSALS, Words
from api.v1 import document
from api.v1.schemas import jobs
from api.v2 import schemas
from api.v2.present import PLACE, PROBLEM, V2, titles

_EDITION = V2()
_ABOUT = f"""\
Hand in an input, get a ticket, come back for the result. This contract is at [/openapi/v2.json](/openapi/v2.json), and
at [/docs?v2](/docs?v2) as a page to try it out; v1, beside it, is at [/openapi/v1.json](/openapi/v1.json).

A key goes into every request, as `Authorization: Bearer cck_…` or `X-API-Key: cck_…`. Which models there are, and what
they take, is at `GET /api/v2/models`. Unknown fields and query parameters are refused.

The same routes are at `/api/…` without a version for who sends
`Accept: {_EDITION.media_type}`, and are then answered as that type. Who accepts nothing of what
there is, is told so: 406.

Every answer that is an error has the same body, the schema `Problem` (RFC 9457); what its `code` may be stands with
each status, and its `type` leads to `{PLACE}` in here. The proxy may answer 400, 405, 413, 414, 429 and 503 to any
request, in the same shape; at an address that names no version, in v1's. Fields and codes may be added to answers;
none is taken away in v2.
"""
_NOT_ACCEPTABLE = {406: ("NotAcceptable", "Nothing that the client accepts is what there is")}


def _told(docs: Any) -> Any:
    """What routes say of themselves, with v2's schemas in the places of v1's."""
    if isinstance(docs, dict):
        told = {name: _told(item) for name, item in docs.items()}
        if "422" in (responses := told.get("responses", {})):
            told["responses"] = {**responses, "406": _NOT_ACCEPTABLE[406][0]}
        return told
    if isinstance(docs, list):
        return [_told(item) for item in docs]
    return schemas.STANDS_IN.get(docs, docs) if isinstance(docs, type) else docs


def _example(said: Mapping[str, Any], status: int) -> dict[str, Any]:
    code, rest = said["code"], {name: said[name] for name in ("code", "request_id", "timestamp")}
    return {
        "type": f"/openapi/v2.json#/{PLACE}/{code}",
        "title": titles()[code],
        "status": status,
        "detail": said["message"],
        "instance": f"#{said['request_id']}",
        **rest,
    }


def _finished(spec: Mapping[str, Any]) -> dict[str, Any]:
    """With every kind of problem there is, and addresses of v2 where texts that v1 has as well name some."""
    kinds = {code: {"title": title} for code, title in titles().items() if code != "SETTINGS_INVALID"}
    for status in sorted({*answered.STATUS.values(), *answered.CODES}):
        for code in answered.codes(status):
            if code in kinds:
                kinds[code].setdefault("status", status)  # type: ignore[arg-type]
    made: dict[str, Any] = _led_here({**document.finished(spec), f"{PLACE}": kinds})
    return made


def _led_here(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _led_here(item) for name, item in told.items()}
    if isinstance(told, list):
        return [_led_here(item) for item in told]
    return told.replace("/api/v1/", f"{_EDITION.prefix}/") if isinstance(told, str) else told


WORDS = Words(
    about=_ABOUT,
    refusal=schemas.Problem,
    media_type=PROBLEM,
    example=_example,
    statuses={**REFUSALS, **_NOT_ACCEPTABLE},
    results=tuple(schemas.STANDS_IN.get(item, item) for item in jobs.RESULTS),
    told=_told,
    finished=_finished,
)
