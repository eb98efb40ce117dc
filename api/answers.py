"""From our values to v1's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flask

from api import files
from core import ids
from jobs import uploads
from jobs.job import Job, Kind, Status
from registry.catalog import Resolved, Version

JOBS_PATH = "/api/v1/jobs/"
RETRY_AFTER_S = "1"


def prediction(stored: Mapping[str, Any], explain: str) -> dict[str, Any]:
    """One stored prediction as v1 shows it, or the error in its place."""
    if "error" in stored:
        return dict(stored)
    answer = {"prediction": stored["prediction"], "confidence": stored["confidence"]}
    if explain:
        answer["explanation"] = {"method": "scores", "scores": stored["scores"]}
    return answer


def served_by(response: flask.Response, resolved: Resolved) -> flask.Response:
    response.headers["X-Model-Version"] = resolved.version
    response.headers["X-Model-Route"] = resolved.route
    return response


def ticket(job_id: str, status: Status, resolved: Resolved) -> flask.Response:
    """The 202."""
    path = JOBS_PATH + job_id
    body = {
        "job_id": job_id,
        "status": status,
        "model": resolved.model,
        "model_version": resolved.version,
        "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        "request_id": flask.g.request_id,
    }
    response = flask.jsonify(body)
    response.status_code = 202
    response.headers["Location"] = path
    response.headers["Retry-After"] = RETRY_AFTER_S
    return served_by(response, resolved)


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
    if files.is_stored(found):
        return files.stored(found)
    if found.kind == Kind.FILE:
        return dict(found.result or {})
    explain = str(found.options.get("explain", ""))
    stored = found.result or {}
    if "predictions" in stored:
        return {"predictions": in_place(stored["predictions"], found.options, explain)}
    return prediction(stored, explain)


def in_place(
    stored: Sequence[Mapping[str, Any]], options: Mapping[str, Any], explain: str = ""
) -> list[dict[str, Any]]:
    """Predictions in the order of the request, among them errors."""
    # A job of an earlier release has its errors apart from its predictions.
    made, faults = iter(stored), options.get("faults", {})
    count = len(stored) + len(faults)
    return [faults.get(str(index)) or prediction(next(made), explain) for index in range(count)]


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
