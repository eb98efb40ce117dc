"""Jobs: a ticket now, the result later."""

from __future__ import annotations

import uuid
from typing import Any

import flask

from api import context, contract, negotiation, resources, stream
from api.resources import Resources
from api.v1 import examples, present
from api.v1.schemas import jobs as out
from api.v1.schemas import requests as into
from core import ids
from serving import feedback, retrieve
from serving import jobs as serve

blueprint = contract.Blueprint("jobs", __name__, url_prefix="/jobs")

BAD = (401, 403, 422, 429, 500, 503)
STREAM = {
    "description": "Each event with its `id`, its name and JSON `data`. The name is a status, `progress`, "
    "`cancel_requested`, or `output`: its `pieces` are of the output, as they were found by its `attempt`",
    "content": {"text/event-stream": {}},
}
SEEN = {"ETag": "Changes with the job", "Retry-After": "Seconds until it is worth asking again"}


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewJob(), examples=examples.NEW_JOB)
@blueprint.no_query
@contract.headers(Idempotency_Key=contract.ONCE, X_Model_Version=contract.PIN, X_Route_Key=contract.ROUTE_KEY)
@blueprint.operation("createJob", {202: out.Ticket}, 400, 404, 409, 410, 413, 415, *BAD, headers=contract.TICKET)
def submit(body: dict[str, Any]) -> flask.Response:
    """Hand in a job.

    It is committed before this answers: it will end, whatever happens in between.
    """
    ask = negotiation.ask("jobs", body)
    return present.here().reply(serve.submit(resources.here().serving, ask, negotiation.order(body)))


@blueprint.route("", methods=["GET"])
@blueprint.arguments(into.JobsQuery(), location="query")
@blueprint.operation("listJobs", {200: out.Jobs}, *BAD)
def list_jobs(query: dict[str, Any]) -> flask.Response:
    """List your jobs, newest first.

    Results are at each job's own address. A moment is written as in every answer, such as 2026-01-31T12:00:00Z.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    serving, tenant_id = resources.here().serving, context.caller().tenant_id
    page = retrieve.page(serving, tenant_id, limit=limit, cursor=cursor, **query)
    shown = present.here()
    return shown.listed("jobs", [shown.job(found) for found in page.jobs], next_cursor=page.next_cursor)


@blueprint.route("/<job_id>", methods=["GET"])
@blueprint.arguments(into.Wait(), location="query", as_kwargs=True)
@contract.headers(If_None_Match="The ETag that was seen last")
@blueprint.operation(
    "getJob", {200: out.Job, 304: "Not changed since the ETag in If-None-Match"}, 404, *BAD, headers=SEEN
)
def show(job_id: str, wait: float) -> flask.Response:
    """See a job, or wait for its end.

    `?wait=20` answers as soon as it ends, or after 20 seconds.
    """
    patience = negotiation.patience(resources.here(), wait)
    here, tenant_id, found_id = _mine(job_id)
    found = retrieve.wait(here.serving, tenant_id, found_id, wait, patience)
    return present.here().detail(retrieve.detail(here.serving, tenant_id, found))


@blueprint.route("/<job_id>/result", methods=["GET"])
@blueprint.no_query
@blueprint.operation(
    "getJobResult",
    {200: out.RESULT, 303: "Of a file: it is at the address in Location"},
    404,
    409,
    *BAD,
)
def result(job_id: str) -> flask.Response:
    """See a completed job's result, and nothing else.

    409 until there is one.
    """
    here, tenant_id, found_id = _mine(job_id)
    return present.here().outcome(retrieve.find(here.serving, tenant_id, found_id))


@blueprint.route("/<job_id>/parts", methods=["GET"])
@blueprint.arguments(into.PartsQuery(), location="query")
@blueprint.operation("listJobParts", {200: out.Parts}, 404, *BAD)
def parts(query: dict[str, Any], job_id: str) -> flask.Response:
    """See what is done of a file.

    In order, also while the rest still runs, and when it was canceled.
    """
    here, tenant_id, found_id = _mine(job_id)
    found = retrieve.find(here.serving, tenant_id, found_id)
    done, more = retrieve.parts(here.serving, found, after=query.get("after", -1), limit=query["limit"])
    return present.here().parts(found, done, more)


@blueprint.route("/<job_id>/events", methods=["GET"])
@blueprint.no_query
@contract.headers(Last_Event_ID="The last event that was seen; what came after it follows")
@blueprint.operation("streamJobEvents", {}, 404, *BAD)
@blueprint.doc(responses={"200": STREAM})
def events(job_id: str) -> flask.Response:
    """Follow what happens to a job, as Server-Sent Events.

    The terminal status is always the last one.
    """
    here, tenant_id, found_id = _mine(job_id)
    return stream.respond(here, retrieve.find(here.serving, tenant_id, found_id))


@blueprint.route("/<job_id>/cancel", methods=["POST"])
@blueprint.no_query
@blueprint.operation("cancelJob", {200: out.Job}, 404, 409, *BAD)
def cancel(job_id: str) -> flask.Response:
    """Take a job back.

    At once while it is pending, at the worker's next heartbeat while it is processing. Safe to repeat.
    """
    context.nothing_in_body()
    here, tenant_id, found_id = _mine(job_id)
    found = retrieve.cancel(here.serving, tenant_id, found_id)
    return present.here().detail(retrieve.detail(here.serving, tenant_id, found))


@blueprint.route("/<job_id>/retry", methods=["POST"])
@blueprint.arguments(into.RetryQuery(), location="query")
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation("retryJob", {202: out.Ticket}, 404, 409, 410, *BAD, headers=contract.TICKET)
def retry(query: dict[str, Any], job_id: str) -> flask.Response:
    """Hand in an ended job once more.

    It becomes a new job, with the same inputs and model version, linked to the old one; of a file all rows, or only
    those that failed.
    """
    context.nothing_in_body()
    ask = negotiation.ask("retry", {}, {"job_id": job_id, **query})
    old = ids.parse_job_id(job_id)
    return present.here().reply(serve.again(resources.here().serving, ask, old, failed_rows=bool(query)))


@blueprint.route("/<job_id>/feedback", methods=["POST"])
@blueprint.arguments(into.Feedback(), examples=examples.FEEDBACK)
@blueprint.no_query
@blueprint.operation("giveFeedback", {204: "It is written down"}, 400, 404, 409, 413, 415, *BAD)
def give_feedback(body: dict[str, Any], job_id: str) -> tuple[str, int]:
    """Say what a job should have answered.

    Of a completed job with one input, whose answer is a label or one number. Safe to repeat, and may be changed.
    """
    here, tenant_id, found_id = _mine(job_id)
    feedback.give(here.serving, tenant_id, found_id, body["truth"])
    return "", 204


def _mine(job_id: str) -> tuple[Resources, uuid.UUID, uuid.UUID]:
    """Where a job is looked for: among the caller's. Raises JobNotFound for what is no id."""
    return resources.here(), context.caller().tenant_id, ids.parse_job_id(job_id)
