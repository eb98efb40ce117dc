"""Jobs: a ticket now, the result later."""

from __future__ import annotations

import dataclasses
import math
import uuid
from typing import Any

import flask

from api import context, contract, negotiation, once, resources, stream
from api.parsing import Blueprint
from api.resources import Resources
from api.v1 import PREFIX, addresses, document, examples, present
from api.v1.schemas import jobs as out
from api.v1.schemas import requests as into
from core import broker, errors, ids
from jobs import kinds, place, queries
from jobs.bulk import progress
from jobs.job import Job, Status
from jobs.result import Rows, Stored
from serving import jobs as serve

blueprint = Blueprint("jobs", __name__, url_prefix=f"{PREFIX}/jobs")

BAD = (401, 403, 422, 429, 500, 503)
TICKET = {"Location": "The job", "Retry-After": "Seconds", **contract.REPLAYED}
STREAM = {
    "description": "Each event with its `id`, its name and JSON `data`. The name is a status, `progress`, "
    "`cancel_requested`, or `output`: its `pieces` are of the output, as they were found by its `attempt`",
    "content": {"text/event-stream": {}},
}
SEEN = {"ETag": "Changes with the job", "Retry-After": "Seconds until it is worth asking again"}
#: The longest that a client is told to wait before it asks again.
MAX_RETRY_AFTER_S = 30


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewJob(), examples=examples.NEW_JOB)
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.headers(Idempotency_Key=contract.ONCE, X_Model_Version=contract.PIN)
@contract.operation(blueprint, "createJob", {202: out.Ticket}, 400, 404, 409, 413, 415, *BAD, headers=TICKET)
def submit(body: dict[str, Any]) -> flask.Response:
    """Hand in a job.

    It is committed before this answers: it will end, whatever happens in between.
    """
    ask = negotiation.ask(body, once.key("jobs", body))
    return present.reply(serve.submit(resources.here().serving, ask, negotiation.order(body)))


@blueprint.route("", methods=["GET"])
@blueprint.arguments(into.JobsQuery(), location="query")
@contract.operation(blueprint, "listJobs", {200: out.Jobs}, *BAD)
def list_jobs(query: dict[str, Any]) -> flask.Response:
    """List your jobs, newest first.

    Results are at each job's own address. A moment is written as in every answer, such as 2026-01-31T12:00:00Z.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = queries.page(
        resources.here().engine, context.caller().tenant_id, queries.Filters(**query), limit=limit, cursor=cursor
    )
    return flask.jsonify({"jobs": [present.job(found) for found in page.jobs], "next_cursor": page.next_cursor})


@blueprint.route("/<job_id>", methods=["GET"])
@blueprint.arguments(into.Wait(), location="query", as_kwargs=True)
@contract.headers(If_None_Match="The ETag that was seen last")
@contract.operation(
    blueprint, "getJob", {200: out.Job, 304: "Not changed since the ETag in If-None-Match"}, 404, *BAD, headers=SEEN
)
def show(job_id: str, wait: float) -> flask.Response:
    """See a job, or wait for its end.

    `?wait=20` answers as soon as it ends, or after 20 seconds.
    """
    here = resources.here()
    most = here.settings.http.max_wait_s
    if wait > most:
        raise errors.InvalidInput.field("wait", f"must be at most {most:g} seconds", received=wait)
    return _answer(here, _waited(here, ids.parse_job_id(job_id), wait))


@blueprint.route("/<job_id>/result", methods=["GET"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.operation(
    blueprint,
    "getJobResult",
    {200: document.RESULT, 303: "Of a file: it is at the address in Location"},
    404,
    409,
    *BAD,
)
def result(job_id: str) -> flask.Response:
    """See a completed job's result, and nothing else.

    409 until there is one.
    """
    found = _find(job_id)
    if found.status is not Status.COMPLETED:
        raise errors.JobStateConflict(
            f"A job that is {found.status} has no result", details={"field": "status", "issue": f"is {found.status}"}
        )
    answer = present.result(found)
    url = answer.get({Rows: "output_url", Stored: "url"}.get(type(found.result), ""))
    return flask.redirect(url, 303) if url else flask.jsonify(answer)  # type: ignore[return-value]


@blueprint.route("/<job_id>/parts", methods=["GET"])
@blueprint.arguments(into.PartsQuery(), location="query")
@contract.operation(blueprint, "listJobParts", {200: out.Parts}, 404, *BAD)
def parts(query: dict[str, Any], job_id: str) -> flask.Response:
    """See what is done of a file.

    In order, also while the rest still runs, and when it was canceled.
    """
    found, limit = _find(job_id), query["limit"]
    done = progress.parts(resources.here().engine, found.id, after=query.get("after", -1), limit=limit)
    more = done[-1].number if len(done) == limit else None
    return flask.jsonify(
        {"parts": addresses.parts(found, done), "next_after": more, "expires_at": addresses.expires_at()}
    )


@blueprint.route("/<job_id>/events", methods=["GET"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.headers(Last_Event_ID="The last event that was seen; what came after it follows")
@contract.operation(blueprint, "streamJobEvents", {}, 404, *BAD)
@blueprint.doc(responses={"200": STREAM})
def events(job_id: str) -> flask.Response:
    """Follow what happens to a job, as Server-Sent Events.

    The terminal status is always the last one.
    """
    return stream.respond(resources.here(), _find(job_id))


@blueprint.route("/<job_id>/cancel", methods=["POST"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.operation(blueprint, "cancelJob", {200: out.Job}, 404, 409, *BAD)
def cancel(job_id: str) -> flask.Response:
    """Take a job back.

    At once while it is pending, at the worker's next heartbeat while it is processing. Safe to repeat.
    """
    here = resources.here()
    context.nothing_in_body()
    canceled = queries.cancel(here.engine, context.caller().tenant_id, ids.parse_job_id(job_id))
    here.hints.send(broker.WEBHOOKS)
    return _answer(here, canceled)


@blueprint.route("/<job_id>/retry", methods=["POST"])
@blueprint.arguments(into.RetryQuery(), location="query")
@contract.headers(Idempotency_Key=contract.ONCE)
@contract.operation(blueprint, "retryJob", {202: out.Ticket}, 404, 409, *BAD, headers=TICKET)
def retry(query: dict[str, Any], job_id: str) -> flask.Response:
    """Hand in an ended job once more.

    It becomes a new job, with the same inputs and model version, linked to the old one; of a file all rows, or only
    those that failed.
    """
    context.nothing_in_body()
    ask = negotiation.ask({}, once.key("retry", {"job_id": job_id, **query}))
    old = ids.parse_job_id(job_id)
    return present.reply(serve.again(resources.here().serving, ask, old, failed_rows=bool(query)))


def _find(job_id: str) -> Job:
    return queries.get(resources.here().engine, context.caller().tenant_id, ids.parse_job_id(job_id))


def _waited(here: Resources, job_id: uuid.UUID, wait_s: float) -> Job:
    return serve.wait(here.serving, context.caller().tenant_id, job_id, wait_s, negotiation.Waiting(here))


def _answer(here: Resources, found: Job) -> flask.Response:
    body = {**present.job(found), "timeline": present.timeline(found)}
    if kinds.find(found.kind).in_parts:
        body["rows"] = dataclasses.asdict(progress.count(here.engine, found.id))
    retry_after_s = 1
    if found.status is Status.PENDING:
        waits = place.place(here.engine, context.caller().tenant_id, found)
        body["queue"] = dataclasses.asdict(waits)
        retry_after_s = min(MAX_RETRY_AFTER_S, max(1, math.ceil(waits.starts_in_s or 1)))
    response = flask.jsonify(body)
    if not found.status.is_terminal:
        response.headers["Retry-After"] = str(retry_after_s)
    # Weak: where it stands in the queue may differ, what happened to it does not.
    response.set_etag(f"{found.status}-{found.attempt}-{found.progress}-{found.cancel_requested:d}", weak=True)
    if flask.request.method == "GET":
        response.make_conditional(flask.request)
    return response
