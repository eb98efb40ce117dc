"""Jobs: a ticket now, the result later."""

from __future__ import annotations

from typing import Any

import flask

from api import answers, docs, intake, requests, resources
from api.parsing import Blueprint
from api.schemas import answers as out
from api.schemas import requests as into
from core import errors, ids
from jobs import queries
from jobs.job import Job, Status

blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1/jobs", description="Take a ticket")
blueprint.before_request(requests.authenticate)

BAD = (401, 403, 422, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewJob())
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@docs.answers(
    blueprint, {202: out.Ticket}, 400, 404, 413, 415, *BAD, headers={"Location": "The job", "Retry-After": "Seconds"}
)
def submit(body: dict[str, Any]) -> flask.Response:
    """Hand in a job; it is committed before this answers."""
    here = resources.here()
    resolved = intake.resolve(here, body)
    options = {"explain": intake.explain(resolved, body["options"].get("explain", ""))}
    raw, limit = body["inputs"], here.settings.job_ttl_s
    if raw == []:
        raise errors.InvalidInput.field("inputs", "must hold at least one input")
    if body.get("expires_in_s", 1) > limit:
        raise errors.InvalidInput.field("expires_in_s", f"must be at most {limit}", received=body["expires_in_s"])
    many = isinstance(raw, list)
    inputs = intake.many(here, resolved.manifest, raw) if many else intake.one(resolved.manifest, raw)
    job_id = intake.accept(
        here,
        resolved,
        inputs,
        options=options,
        metadata=body["metadata"],
        priority=body["priority"],
        ttl_s=body.get("expires_in_s"),
    )
    return answers.ticket(ids.job_id(job_id), Status.PENDING, resolved)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(into.JobsQuery(), location="query")
@docs.answers(blueprint, {200: out.Jobs}, *BAD)
def list_jobs(query: dict[str, Any]) -> flask.Response:
    """The caller's jobs, newest first; results are at each job's own address."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = queries.page(
        resources.here().engine, requests.caller().tenant_id, queries.Filters(**query), limit=limit, cursor=cursor
    )
    return flask.jsonify({"jobs": [answers.job(found) for found in page.jobs], "next_cursor": page.next_cursor})


@blueprint.route("/<job_id>", methods=["GET"])
@blueprint.arguments(into.Wait(), location="query", as_kwargs=True)
@docs.answers(blueprint, {200: out.Job}, 404, *BAD)
def show(job_id: str, wait: float) -> flask.Response:
    """One job; `?wait=20` answers as soon as it ends, or after 20 seconds."""
    here = resources.here()
    if wait > here.settings.max_wait_s:
        raise errors.InvalidInput.field("wait", f"must be at most {here.settings.max_wait_s:g} seconds", received=wait)
    return _answer(intake.wait(here, ids.parse_job_id(job_id), wait))


@blueprint.route("/<job_id>/cancel", methods=["POST"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@docs.answers(blueprint, {200: out.Job}, 404, 409, *BAD)
def cancel(job_id: str) -> flask.Response:
    """Take a job back: at once while it is pending, between two batches while it is processing."""
    return _answer(queries.cancel(resources.here().engine, requests.caller().tenant_id, ids.parse_job_id(job_id)))


def _answer(found: Job) -> flask.Response:
    response = flask.jsonify(answers.job(found))
    if not found.status.is_terminal:
        response.headers["Retry-After"] = answers.RETRY_AFTER_S
    return response
