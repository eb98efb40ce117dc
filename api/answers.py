"""From our values to v1's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask

from api import files, once
from core import ids
from jobs import uploads
from jobs.job import Job, Kind, Status
from registry.versions import Version
from serving import jobs, predict
from serving.values import Answer, Answers, Replied, Reply, Served, Ticket

JOBS_PATH = "/api/v1/jobs/"
RETRY_AFTER_S = "1"


def reply(replied: Replied[Reply]) -> flask.Response:
    """What was asked for, or the ticket of it."""
    value = replied.value
    if isinstance(value, Ticket):
        response = ticket(value)
    elif isinstance(value, Answer):
        response = _served(prediction(value.said, value.explain), value)
    else:
        shown = [prediction(item, "") for item in value.said]
        failed = sum("error" in item for item in shown)
        response = _served({"predictions": shown, "count": len(shown), "failed": failed}, value)
    return once.replayed(response) if replied.again else response


def prediction(stored: Mapping[str, Any], explain: str) -> dict[str, Any]:
    """One stored prediction as v1 shows it, or the error in its place."""
    if "error" in stored:
        return dict(stored)
    answer = {"prediction": stored["prediction"], "confidence": stored["confidence"]}
    if explain:
        answer["explanation"] = {"method": "scores", "scores": stored["scores"]}
    return answer


def _served(body: Mapping[str, Any], by: Answer | Answers) -> flask.Response:
    about = {"model": by.served.model, "model_version": by.served.version, "request_id": by.request_id}
    return _by(flask.jsonify({**body, **about}), by.served)


def _by(response: flask.Response, served: Served) -> flask.Response:
    response.headers["X-Model-Version"] = served.version
    response.headers["X-Model-Route"] = served.route
    return response


def ticket(of: Ticket) -> flask.Response:
    """The 202."""
    job_id = ids.job_id(of.job_id)
    path = JOBS_PATH + job_id
    body = {
        "job_id": job_id,
        "status": of.status,
        "model": of.served.model,
        "model_version": of.served.version,
        "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        "request_id": of.request_id,
    }
    response = flask.jsonify(body)
    response.status_code = 202
    response.headers["Location"] = path
    response.headers["Retry-After"] = RETRY_AFTER_S
    if of.applied:
        response.headers["Preference-Applied"] = of.applied
    return _by(response, of.served)


def _links(found: Job) -> dict[str, str]:
    path = JOBS_PATH + ids.job_id(found.id)
    links = {"self": path, "events": f"{path}/events"}
    if found.kind == Kind.BULK:
        links["parts"] = f"{path}/parts"
    if found.status is Status.COMPLETED:
        links["result"] = f"{path}/result"
    links["retry" if found.status.is_terminal else "cancel"] = (
        f"{path}/{'retry' if found.status.is_terminal else 'cancel'}"
    )
    return links


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
        "links": _links(found),
    }
    if found.retry_of is not None:
        answer["retry_of"] = ids.job_id(found.retry_of)
    if found.result is not None:
        answer["result"] = result(found)
    if found.error is not None:
        answer["error" if found.status.is_terminal else "last_error"] = found.error
    return answer


def timeline(found: Job) -> list[dict[str, Any]]:
    """From acceptance to the end, without the steps of progress."""
    first = {"event": Status.PENDING, "at": found.created_at}
    rest = [{name: value for name, value in item.items() if value is not None} for item in found.timeline or ()]
    return [first, *rest]


def result(found: Job) -> dict[str, Any]:
    """A completed job's result: one prediction, a list of them, or where its files are."""
    if found.kind == Kind.BULK:
        return files.output(found)
    if jobs.is_stored(found):
        return files.stored(found)
    if found.kind == Kind.FILE:
        return dict(found.result or {})
    explain = str(found.options.get("explain", ""))
    stored = found.result or {}
    if "predictions" in stored:
        return {"predictions": [prediction(item, explain) for item in predict.predictions(found)]}
    return prediction(stored, explain)


def version(item: Version, input_schema: Mapping[str, Any]) -> dict[str, Any]:
    manifest = item.manifest
    return {
        "model": item.model,
        "version": item.version,
        "stable": item.stable,
        "digest": item.digest,
        "kind": manifest.kind,
        "summary": manifest.summary,
        "labels": manifest.labels,
        "pool": manifest.pool,
        "inline": manifest.inline,
        "max_batch": manifest.max_batch,
        "units": manifest.units,
        "explanation": manifest.explanation,
        "licence": manifest.licence,
        "file_types": uploads.types(manifest.kind),
        "input_schema": input_schema,
    }
