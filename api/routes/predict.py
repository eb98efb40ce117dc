"""Predictions now: inline where the model is light, otherwise through a job that we wait for."""

from __future__ import annotations

from typing import Any

import flask

from api import answers, contract, examples, inline, intake, once, prefer, resources
from api.parsing import Blueprint
from api.resources import Resources
from api.schemas import answers as out
from api.schemas import jobs as later
from api.schemas import requests as into
from core import ids
from jobs import idempotency, run, submit
from jobs.job import Job, Status
from registry.catalog import Resolved

blueprint = Blueprint("predict", __name__, url_prefix="/api/v1/predict")

SERVED = {
    "X-Model-Version": "The version that answered",
    "X-Model-Route": "Why it did: `pinned` or `stable`",
    "Preference-Applied": "What of `Prefer` was honoured",
    **contract.REPLAYED,
}
BAD = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.Predict(), examples=examples.PREDICT)
@blueprint.arguments(into.PredictQuery(), location="query", as_kwargs=True)
@contract.headers(Idempotency_Key=contract.ONCE, X_Model_Version=contract.PIN, Prefer=contract.PREFER)
@contract.operation(blueprint, "predict", {200: out.Prediction, 202: later.Ticket}, *BAD, headers=SERVED)
def predict(body: dict[str, Any], explain: str | None = None) -> flask.Response:
    """Predict one input, now.

    A model that is not inline is asked through a job, and waited for as long as `Prefer` says; then there is a ticket.
    """
    here = resources.here()
    key = once.key("predict", {"body": body, "explain": explain})
    resolved = intake.takes_rows(intake.resolve(here, body))
    level = intake.explain(resolved, explain, body["options"].get("explain"))
    row = intake.one(resolved.manifest, body["inputs"])
    wants = intake.preference(here, respond_async=body["options"].get("async_", False))
    if resolved.manifest.inline and not wants.respond_async:
        return once.computed(here, key, lambda: _inline(here, resolved, row, level))
    found = _through_a_job(here, resolved, intake.new_job(here, resolved, row, {"explain": level}), key, wants)
    return _prediction(resolved, dict(found.result or {}), level) if isinstance(found, Job) else found


def _inline(here: Resources, resolved: Resolved, row: dict[str, Any], level: str) -> flask.Response:
    return _prediction(resolved, inline.one(here, resolved, row), level)


def _prediction(resolved: Resolved, stored: dict[str, Any], level: str) -> flask.Response:
    answer = {**answers.prediction(stored, level), "model": resolved.model, "model_version": resolved.version}
    response = flask.jsonify({**answer, "request_id": flask.g.request_id})
    return answers.served_by(response, resolved)


def _through_a_job(
    here: Resources, resolved: Resolved, new: submit.NewJob, key: idempotency.Key | None, wants: prefer.Preference
) -> Job | flask.Response:
    """The completed job, its ticket if that is preferred or it takes too long, or what the key already stands for."""
    ticket = None
    if wants.respond_async:
        ticket = _applied(answers.ticket(ids.job_id(new.id), Status.PENDING, resolved), "respond-async")
    # What the key stands for already needs no room, of which a full backlog has none.
    earlier = idempotency.find(here.engine, key) if key else None
    earlier = earlier or here.submitter.submit(new, key, once.stored(ticket) if ticket and key else None)
    if earlier and earlier.reply:
        return once.replay(earlier.reply)
    if ticket and earlier is None:
        return ticket
    job_id = earlier.job_id if earlier and earlier.job_id else new.id
    wait_s = here.settings.default_wait_s if wants.wait_s is None else wants.wait_s
    found = intake.outcome(here, resolved, job_id, 0.0 if ticket else wait_s)
    return found if isinstance(found, Job) else _applied(found, "respond-async" if ticket else f"wait={wait_s:g}")


@blueprint.route("/batch", methods=["POST"])
@blueprint.arguments(into.Batch(), examples=examples.BATCH)
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.headers(Idempotency_Key=contract.ONCE, X_Model_Version=contract.PIN, Prefer=contract.PREFER)
@contract.operation(blueprint, "predictBatch", {200: out.Predictions, 202: later.Ticket}, *BAD, headers=SERVED)
def predict_batch(body: dict[str, Any]) -> flask.Response:
    """Predict several inputs, now.

    With `return_errors: individual` a bad one spoils only its own answer.
    """
    here = resources.here()
    key = once.key("predict/batch", body)
    resolved = intake.takes_rows(intake.resolve(here, body))
    wants = intake.preference(here)
    return_errors = body["options"]["return_errors"]
    rows, refused = intake.many(here, resolved.manifest, body["inputs"], return_errors)
    if rows and (wants.respond_async or not resolved.manifest.inline):
        options = {"explain": "", "return_errors": return_errors, "refused": refused}
        new = intake.new_job(here, resolved, rows, options)
        found = _through_a_job(here, resolved, new, key, wants)
        if not isinstance(found, Job):
            return found
        return _batch(resolved, answers.in_place((found.result or {})["predictions"], found.options))
    return once.computed(here, key, lambda: _inline_batch(here, resolved, rows, refused, body["options"]))


def _batch(resolved: Resolved, answered: list[dict[str, Any]]) -> flask.Response:
    response = flask.jsonify(
        {
            "predictions": answered,
            "count": len(answered),
            "failed": sum("error" in answer for answer in answered),
            "model": resolved.model,
            "model_version": resolved.version,
            "request_id": flask.g.request_id,
        }
    )
    return answers.served_by(response, resolved)


def _inline_batch(
    here: Resources,
    resolved: Resolved,
    rows: list[dict[str, Any]],
    refused: dict[str, dict[str, Any]],
    options: dict[str, Any],
) -> flask.Response:
    individual = options["return_errors"] == run.INDIVIDUAL
    made = inline.several(here, resolved, rows, options["batch_size"], individual=individual)
    return _batch(resolved, run.in_place(made, refused))


def _applied(response: flask.Response, preference: str) -> flask.Response:
    if flask.request.headers.get("Prefer"):
        response.headers["Preference-Applied"] = preference
    return response
