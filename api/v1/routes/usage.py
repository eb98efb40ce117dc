"""What a caller may use, and what its tenant used."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import flask

from access import usage
from access.usage import Used
from api import accepted, context, contract, resources
from api.v1 import present, present_limits
from api.v1.schemas import limits as out
from api.v1.schemas import usage as schemas
from serving import limits as serve

blueprint = contract.Blueprint("usage", __name__, url_prefix="/usage")
limits = contract.Blueprint("limits", __name__, url_prefix="/limits")

_COUNTED = ("calls", "units", "price")


@blueprint.route("", methods=["GET"])
@blueprint.arguments(schemas.UsageQuery(), location="query")
@blueprint.operation("getUsage", {200: schemas.Usage}, 401, 403, 422, 429, 500, 503, also=accepted.CSV)
def show(query: dict[str, Any]) -> flask.Response:
    """See what was used.

    Jobs are counted as they complete, what is answered at once within a second. As a table with `Accept: text/csv`.
    """
    engine = resources.here().engine
    by, days = usage.told_apart(query["by"]), usage.span(engine, query.get("from_"), query.get("to"))
    found = [_shown(item, by) for item in usage.read(engine, context.caller().tenant_id, days, by)]
    if accepted.wanted(accepted.JSON, accepted.CSV) == accepted.CSV:
        answer = flask.Response(_table(found, by), mimetype=accepted.CSV)
    else:
        answer = present.here().listed("usage", found, {"from": days.since, "to": days.until})
    answer.vary.add("Accept")
    return answer


@limits.route("", methods=["GET"])
@limits.no_query
@limits.operation("getLimits", {200: out.Limits}, 401, 403, 422, 429, 500, 503)
def show_limits() -> flask.Response:
    """See your limits, and what is left of them.

    Those of your tier: what it may do in a minute and at once, how many jobs may run and wait, how large they may be.
    """
    return flask.jsonify(present_limits.limits(serve.of(resources.here().serving, context.caller())))


def _shown(item: Used, by: Sequence[str]) -> dict[str, Any]:
    values = dataclasses.asdict(item)
    return {name: values[name] for name in (*by, *_COUNTED)} | {"price": f"{item.price.normalize():f}"}


def _table(rows: Sequence[dict[str, Any]], by: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*by, *_COUNTED])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
