"""What the predicting routes share: which version answers, whether the inputs fit it, and waiting for a job."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

import flask

from api import admission, answers, context, files, prefer
from api.resources import Resources
from api.schemas.fields import BEST
from core import errors, ids
from inference import schema
from inference.manifest import Manifest
from jobs import queries, run, submit
from jobs.job import Job, Kind, Priority, Status
from registry.catalog import Resolved
from webhooks.events import ENDS


def resolve(here: Resources, body: Mapping[str, Any]) -> Resolved:
    """The version that the header or the body pins, else the stable one; raises InvalidInput where they disagree."""
    header, in_body = flask.request.headers.get("X-Model-Version"), body.get("model_version")
    if header and in_body and header.removeprefix("v") != in_body.removeprefix("v"):
        raise errors.InvalidInput.field("model_version", f"is {in_body}, but the header X-Model-Version says {header}")
    return here.catalog.resolve(body.get("model"), header or in_body)


def takes_rows(resolved: Resolved) -> Resolved:
    """Raises InvalidInput for a model whose input is a file."""
    if resolved.manifest.takes_file:
        issue = f"{resolved.model} takes a file: POST /api/v1/jobs with upload_id or input_url"
        raise errors.InvalidInput.field("model", issue)
    return resolved


def one(manifest: Manifest, raw: object) -> dict[str, Any]:
    """One checked input; raises InvalidInput."""
    return schema.validate_inputs(manifest, raw)


def many(
    here: Resources, manifest: Manifest, raw: list[Any], return_errors: str
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The good inputs of a list in order, and by their places the errors of the others; raises InvalidInput naming the
    item if none may be bad, BatchTooLarge."""
    _limit_items(here, raw)
    good: list[dict[str, Any]] = []
    refused: dict[str, dict[str, Any]] = {}
    for place, item in enumerate(raw):
        try:
            good.append(schema.validate_inputs(manifest, item, name=f"inputs.{place}"))
        except errors.InvalidInput as error:
            if return_errors != run.INDIVIDUAL:
                raise
            refused[str(place)] = run.refusal(error)
    return good, refused


def _limit_items(here: Resources, raw: list[Any]) -> None:
    if not raw:
        raise errors.InvalidInput.field("inputs", "must not be empty")
    limit = here.settings.max_batch_items
    if len(raw) > limit:
        raise errors.BatchTooLarge(
            errors=[{"field": "inputs", "issue": f"exceeds maximum of {limit} items", "received_length": len(raw)}]
        )


def explain(resolved: Resolved, *asked: str | None) -> str:
    """The level asked for in one place or the other, if the model offers it; raises InvalidInput."""
    levels = {level for level in asked if level is not None} or {""}
    if len(levels) > 1:
        raise errors.InvalidInput.field("options.explain", "says something other than ?explain in the address")
    level, offered = levels.pop(), resolved.manifest.explanation
    if level == BEST and offered:
        return offered[-1]
    if level and level not in offered:
        said, offers = "true" if level == BEST else level, ", ".join(offered) or "none"
        issue = f"'{said}' is not offered by {resolved.model} {resolved.version}; it offers: {offers}"
        raise errors.InvalidInput.field("options.explain", issue)
    return level


def preference(here: Resources, *, respond_async: bool = False) -> prefer.Preference:
    """What the header prefers, or the body's `options.async`; raises InvalidInput."""
    found = prefer.parse(flask.request.headers.get("Prefer"), max_wait_s=here.settings.max_wait_s)
    return dataclasses.replace(found, respond_async=found.respond_async or respond_async)


def new_job(
    here: Resources,
    resolved: Resolved,
    inputs: Any,
    options: Mapping[str, Any],
    *,
    asked: Mapping[str, Any] | None = None,
    kind: Kind = Kind.PREDICT,
    job_id: uuid.UUID | None = None,
) -> submit.NewJob:
    """A job for the caller, with what it asked for within what its tier allows, and an id of its own unless it has one;
    raises InvalidInput."""
    caller, asked = context.caller(), asked or {}
    tier = caller.tier
    url = asked.get("webhook_url")
    priority = asked.get("priority", Priority.NORMAL)
    ttl_s = int(asked.get("expires_in_s", min(here.settings.job_ttl_s, tier.max_ttl_s)))
    tier.check(priority=priority, ttl_s=ttl_s)
    count = len(inputs) if isinstance(inputs, list) else 1
    return submit.NewJob(
        tenant_id=caller.tenant_id,
        tier=tier,
        pool=resolved.manifest.pool,
        model=resolved.model,
        version=resolved.version,
        inputs=inputs,
        options=options,
        metadata=asked.get("metadata", {}),
        request_id=flask.g.request_id,
        ttl_s=ttl_s,
        timeout_s=_timeout_s(here, asked),
        max_attempts=here.settings.max_attempts,
        units=resolved.manifest.units * count,
        priority=Priority(priority),
        kind=kind,
        webhook_url=url,
        webhook_events=asked.get("webhook_events", ENDS) if url else None,
        id=job_id or ids.uuid7(here.clock.now_s()),
    )


def _timeout_s(here: Resources, asked: Mapping[str, Any]) -> int:
    """What was asked for, or the default; raises InvalidInput above the limit."""
    asked_s, most = int(asked.get("timeout_s", here.settings.run_timeout_s)), here.settings.max_run_timeout_s
    if asked_s > most:
        raise errors.InvalidInput.field("timeout_s", f"must be at most {most}", received=asked_s)
    return asked_s


def wait(here: Resources, job_id: uuid.UUID, timeout_s: float) -> Job:
    """The job once it ended, or as it is when the time or the waiting places have run out; raises Unauthorized
    when the key is revoked meanwhile."""
    tenant = context.caller().tenant_id
    if timeout_s <= 0:
        return queries.get(here.engine, tenant, job_id)
    try:
        admission.move_to(here.waiters)
    except errors.Busy:
        return queries.get(here.engine, tenant, job_id)
    return queries.wait(here.engine, tenant, job_id, timeout_s, look_again=admission.verifier())


#: How a job may end for its input's sake; any other failure is ours.
_INPUTS_FAULT = {errors.ModelError.code: errors.ModelError, errors.TimedOut.code: errors.TimedOut}


def outcome(here: Resources, resolved: Resolved, job_id: uuid.UUID, timeout_s: float) -> Job | flask.Response:
    """The completed job in time, else its ticket; raises ModelError, TimedOut or JobFailed for one that ended
    otherwise."""
    found = wait(here, job_id, timeout_s)
    if not found.status.is_terminal:
        return answers.ticket(ids.job_id(job_id), found.status, resolved)
    if found.status is not Status.COMPLETED:
        error = found.error or {}
        raise _INPUTS_FAULT.get(error.get("code", ""), errors.JobFailed)(
            f"The job ended as {found.status}: {error.get('message', '')}",
            details={"job_id": ids.job_id(job_id), "status": found.status, "code": error.get("code")},
        )
    return files.loaded(found)
