"""From our values to v1's JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import flask
from werkzeug.http import http_date

from api import once, resources
from api.v1 import addresses, job_links
from core import errors, ids
from jobs import told
from jobs.bulk.progress import Done
from jobs.job import Job, Status
from jobs.result import Fault, Rows, Several, Stored, WithFiles
from serving.retrieve import Detail
from serving.values import Answer, Answers, Replied, Reply, Served, Ticket

RETRY_AFTER_S = "1"
#: The longest that a client is told to wait before it asks again.
MAX_RETRY_AFTER_S = 30


def reply(replied: Replied[Reply]) -> flask.Response:
    """What was asked for, or the ticket of it."""
    value = replied.value
    if isinstance(value, Ticket):
        response = ticket(value)
    elif isinstance(value, Answer):
        response = _served(told.v1(value.said, value.explain), value)
    else:
        failed = sum(isinstance(item, Fault) for item in value.said)
        shown = {**told.v1(Several(value.said), ""), "count": len(value.said), "failed": failed}
        response = _served(shown, value)
    return once.replayed(response) if replied.again else response


def _served(body: Mapping[str, Any], by: Answer | Answers) -> flask.Response:
    about = {"model": by.served.model, "model_version": by.served.version, "request_id": by.request_id}
    return _by(flask.jsonify({**body, **about}), by.served)


def _by(response: flask.Response, served: Served) -> flask.Response:
    response.headers["X-Model-Version"] = served.version
    response.headers["X-Model-Route"] = served.route
    if ends := resources.here().catalog.deprecation(served.model, served.version):
        # RFC 9745 and RFC 8594.
        response.headers["Deprecation"] = f"@{int(ends.at.timestamp())}"
        if ends.sunset_at:
            response.headers["Sunset"] = http_date(ends.sunset_at)
    return response


def parts(found: Job, done: Iterable[Done], more: int | None) -> flask.Response:
    """What is done of a file, and behind which part there may be more."""
    shown = addresses.parts(found, done)
    return flask.jsonify({"parts": shown, "next_after": more, "expires_at": addresses.expires_at()})


def ticket(of: Ticket) -> flask.Response:
    """The 202."""
    job_id = ids.job_id(of.job_id)
    leads_to = job_links.to(job_id, "show", "events", "cancel")
    body = {
        "job_id": job_id,
        "status": of.status,
        "model": of.served.model,
        "model_version": of.served.version,
        "links": leads_to,
        "request_id": of.request_id,
    }
    response = flask.jsonify(body)
    response.status_code = 202
    response.headers["Location"] = leads_to["self"]
    response.headers["Retry-After"] = RETRY_AFTER_S
    if of.applied:
        response.headers["Preference-Applied"] = of.applied
    return _by(response, of.served)


def job(found: Job) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "job_id": ids.job_id(found.id),
        "status": found.status,
        "progress": found.progress,
        "model": found.model,
        "model_version": found.version,
        "priority": found.priority,
        "attempt": found.attempt,
        "lost_count": found.lost_count,
        "timeout_s": found.timeout_s,
        "cancel_requested": found.cancel_requested,
        "metadata": found.metadata,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "expires_at": found.expires_at,
        "links": job_links.of(found),
    }
    if found.retry_of is not None:
        answer["retry_of"] = ids.job_id(found.retry_of)
    if found.result is not None:
        answer["result"] = result(found)
    if found.error is not None:
        answer["error" if found.status.is_terminal else "last_error"] = found.error
    return answer


def detail(seen: Detail) -> flask.Response:
    """A job with all that there is to say of it; to a GET only if it has changed since it was seen last."""
    found = seen.job
    body = {**job(found), "timeline": timeline(found)}
    if seen.rows is not None:
        body["rows"] = dataclasses.asdict(seen.rows)
    retry_after_s = 1
    if seen.place is not None:
        body["queue"] = dataclasses.asdict(seen.place)
        retry_after_s = min(MAX_RETRY_AFTER_S, max(1, math.ceil(seen.place.starts_in_s or 1)))
    response = flask.jsonify(body)
    if not found.status.is_terminal:
        response.headers["Retry-After"] = str(retry_after_s)
    # Weak: where it stands in the queue may differ, what happened to it does not.
    response.set_etag(f"{found.status}-{found.attempt}-{found.progress}-{found.cancel_requested:d}", weak=True)
    if flask.request.method == "GET":
        response.make_conditional(flask.request)
    return response


def outcome(found: Job) -> flask.Response:
    """A completed job's result, or the way to it; raises JobStateConflict while there is none."""
    if found.status is not Status.COMPLETED:
        raise errors.JobStateConflict(
            f"A job that is {found.status} has no result", details={"field": "status", "issue": f"is {found.status}"}
        )
    answer = result(found)
    url = answer.get({Rows: "output_url", Stored: "url"}.get(type(found.result), ""))
    return flask.redirect(url, 303) if url else flask.jsonify(answer)  # type: ignore[return-value]


def timeline(found: Job) -> list[dict[str, Any]]:
    """From acceptance to the end, without the steps of progress."""
    first = {"event": Status.PENDING, "at": found.created_at}
    rest = [{name: value for name, value in item.items() if value is not None} for item in found.timeline or ()]
    return [first, *rest]


def result(found: Job) -> dict[str, Any]:
    """A completed job's result: what was said to its inputs, or where its files are."""
    match found.result:
        case None:
            return {}
        case Rows():
            return addresses.output(found, found.result)
        case Stored():
            return addresses.stored(found, found.result)
        case WithFiles():
            return addresses.with_files(found, found.result)
        case said:
            return told.v1(said, str(found.options.get("explain", "")))
