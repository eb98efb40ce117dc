"""Predictions now: inline where the model is light, otherwise through a job that we wait for."""

from __future__ import annotations

from typing import Any

import flask

from api import answers, docs, errors, intake, once, requests, resources
from api.parsing import Blueprint
from api.resources import Resources
from api.schemas import answers as out
from api.schemas import requests as into
from core import errors as faults
from core import ids, metrics
from inference.model import Model
from jobs import drain, idempotency, submit
from jobs.job import Job, Status
from registry.catalog import Resolved

blueprint = Blueprint("predict", __name__, url_prefix="/api/v1/predict", description="Ask now")
blueprint.before_request(requests.authenticate)

SERVED = {"X-Model-Version": "The version that answered", "X-Model-Route": "Why it did: pinned or stable"}
BAD = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.Predict())
@blueprint.arguments(into.PredictQuery(), location="query", as_kwargs=True)
@docs.answers(blueprint, {200: out.Prediction, 202: out.Ticket}, *BAD, headers=SERVED)
def predict(body: dict[str, Any], explain: str = "") -> flask.Response:
    """Predict one input."""
    here = resources.here()
    key = once.key("predict", {"body": body, "explain": explain})
    resolved = intake.resolve(here, body)
    level = intake.explain(resolved, explain or body["options"].get("explain", ""))
    row = intake.one(resolved.manifest, body["inputs"])
    wants = intake.preference(here)
    respond_async = wants.respond_async or body["options"].get("async_", False)
    if resolved.manifest.inline and not respond_async:
        return once.computed(here, key, lambda: _inline(here, resolved, row, level))
    new = intake.new_job(here, resolved, row, explain=level)
    if respond_async:
        ticket = _preferred(answers.ticket(ids.job_id(new.id), Status.PENDING, resolved), "respond-async")
        earlier = here.submitter.submit(new, key, once.stored(ticket) if key else None)
        return once.replay(earlier.reply) if earlier and earlier.reply else ticket
    found = _through_a_job(here, resolved, new, key)
    return _prediction(resolved, dict(found.result or {}), level) if isinstance(found, Job) else found


def _inline(here: Resources, resolved: Resolved, row: dict[str, Any], level: str) -> flask.Response:
    return _prediction(resolved, drain.body(_run(here, resolved, [row])[0]), level)


def _prediction(resolved: Resolved, stored: dict[str, Any], level: str) -> flask.Response:
    answer = {**answers.prediction(stored, level), "model": resolved.model, "model_version": resolved.version}
    response = flask.jsonify({**answer, "request_id": flask.g.request_id})
    return answers.served_by(response, resolved)


def _through_a_job(
    here: Resources, resolved: Resolved, new: submit.NewJob, key: idempotency.Key | None
) -> Job | flask.Response:
    """The completed job, its ticket if it takes too long, or what the key already stands for."""
    earlier = here.submitter.submit(new, key)
    if earlier and earlier.reply:
        return once.replay(earlier.reply)
    job_id = earlier.job_id if earlier and earlier.job_id else new.id
    wants = intake.preference(here)
    wait_s = here.settings.default_wait_s if wants.wait_s is None else wants.wait_s
    return intake.outcome(here, resolved, job_id, wait_s)


@blueprint.route("/batch", methods=["POST"])
@blueprint.arguments(into.Batch())
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@docs.answers(blueprint, {200: out.Predictions, 202: out.Ticket}, *BAD, headers=SERVED)
def predict_batch(body: dict[str, Any]) -> flask.Response:
    """Predict several inputs; with `return_errors: individual` a bad one spoils only itself."""
    here = resources.here()
    key = once.key("predict/batch", body)
    resolved = intake.resolve(here, body)
    intake.limit_items(here, body["inputs"])
    items: list[dict[str, Any] | None] = [None] * len(body["inputs"])
    rows: dict[int, dict[str, Any]] = {}
    for index in range(len(items)):
        try:
            rows[index] = intake.item(resolved.manifest, body["inputs"], index)
        except faults.InvalidInput as error:
            if body["options"]["return_errors"] == "fail_fast":
                raise
            items[index] = {"error": errors.body(error)}
    if rows and not resolved.manifest.inline:
        found = _through_a_job(here, resolved, intake.new_job(here, resolved, list(rows.values())), key)
        if not isinstance(found, Job):
            return found
        made = [answers.prediction(item, "") for item in (found.result or {})["predictions"]]
        return _batch(resolved, items, dict(zip(rows, made, strict=True)))
    return once.computed(
        here, key, lambda: _batch(resolved, items, _inline_rows(here, resolved, rows, body["options"]))
    )


def _batch(resolved: Resolved, items: list[dict[str, Any] | None], made: dict[int, dict[str, Any]]) -> flask.Response:
    answered = [made.get(index, item) for index, item in enumerate(items)]
    response = flask.jsonify(
        {
            "predictions": answered,
            "count": len(answered),
            "failed": sum("error" in (answer or {}) for answer in answered),
            "model": resolved.model,
            "model_version": resolved.version,
            "request_id": flask.g.request_id,
        }
    )
    return answers.served_by(response, resolved)


def _inline_rows(
    here: Resources, resolved: Resolved, rows: dict[int, dict[str, Any]], options: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    inputs, size = list(rows.values()), options["batch_size"]
    made: list[dict[str, Any]] = []
    for start in range(0, len(inputs), size):
        made += _slice(
            here, resolved, inputs[start : start + size], individual=options["return_errors"] == "individual"
        )
    return dict(zip(rows, made, strict=True))


def _slice(
    here: Resources, resolved: Resolved, rows: list[dict[str, Any]], *, individual: bool
) -> list[dict[str, Any]]:
    try:
        return [answers.prediction(drain.body(item), "") for item in _run(here, resolved, rows)]
    except faults.ModelError as error:
        if not individual:
            raise
        if len(rows) == 1:
            return [{"error": errors.body(error)}]
        return [_slice(here, resolved, [row], individual=True)[0] for row in rows]


def _run(here: Resources, resolved: Resolved, rows: list[dict[str, Any]]) -> list[Any]:
    model: Model = here.catalog.open(resolved)
    with metrics.INFERENCE_SECONDS.labels(resolved.model).time():
        found = model.predict(rows)
    metrics.INLINE.labels(resolved.model, resolved.version).inc(len(rows))
    return found


def _preferred(response: flask.Response, applied: str) -> flask.Response:
    if flask.request.headers.get("Prefer"):
        response.headers["Preference-Applied"] = applied
    return response
