"""From what was asked to a job that can be stored: what it is made of, and what its tier allows."""

from __future__ import annotations

import uuid
from typing import Any

from core import errors, ids
from jobs import kinds, submit
from jobs.job import Priority, ReturnErrors
from registry.versions import Resolved
from serving import files, inputs
from serving.serving import Serving
from serving.values import Ask, Order
from webhooks.events import ENDS


def job(serving: Serving, ask: Ask, order: Order) -> tuple[submit.NewJob, Resolved]:
    """What is to be stored, and the version that will answer. Raises ModelNotFound, VersionNotFound, Forbidden,
    InvalidInput, BatchTooLarge, UploadNotFound, and all that looking at a signed URL can raise."""
    resolved, job_id = inputs.resolve(serving, ask), ids.uuid7(serving.clock.now_s())
    with inputs.asked_of(resolved):
        kind, kept, options = _made_of(serving, ask, order, resolved, job_id)
    return new(serving, ask, order, resolved, kept, options, kind=kind, job_id=job_id), resolved


def _made_of(
    serving: Serving, ask: Ask, order: Order, resolved: Resolved, job_id: uuid.UUID
) -> tuple[kinds.Kind, Any, dict[str, Any]]:
    """The kind of the job, what it keeps of its inputs, and its options."""
    level = inputs.explain(resolved, ask, order.explain)
    options: dict[str, Any] = {"explain": level, **within(ask)}
    if order.has_file:
        inputs.in_file(resolved, level)
        kind, payload = files.kept(serving, ask, order, resolved, job_id)
        if kind is kinds.BULK:
            options["return_errors"] = order.return_errors or ReturnErrors.INDIVIDUAL
        return kind, payload.to_json(), options
    manifest = inputs.takes_rows(resolved).manifest
    kind = kinds.EXPLAIN if manifest.asked_apart(level) else kinds.PREDICT
    if not isinstance(order.inputs, list):
        return kind, inputs.one(manifest, order.inputs), options
    options["return_errors"] = order.return_errors or ReturnErrors.FAIL_FAST
    most = inputs.most(manifest, level, serving.settings.api.max_batch_items)
    rows, options["refused"] = inputs.many(manifest, order.inputs, options["return_errors"], most=most)
    return kind, rows, options


def within(ask: Ask) -> dict[str, float | bool]:
    """Of a job's options, how exactly reasons are wanted, if that was said."""
    strict = {"explain_strict": True} if ask.strict else {}
    return {} if ask.tolerance is None else {"explain_tolerance": ask.tolerance, **strict}


def new(
    serving: Serving,
    ask: Ask,
    order: Order,
    resolved: Resolved,
    kept: Any,
    options: dict[str, Any],
    *,
    kind: kinds.Kind = kinds.PREDICT,
    job_id: uuid.UUID | None = None,
) -> submit.NewJob:
    """A job for the caller, with what was ordered within what the tier allows, and an id of its own unless it has one;
    raises InvalidInput, and Unauthorized for a stranger, who could never come back for it."""
    if ask.caller.network is not None:
        raise errors.Unauthorized("A prediction that takes a job needs an API key")
    jobs, tier = serving.settings.jobs, ask.caller.tier
    ttl_s = order.expires_in_s or min(jobs.ttl_s, tier.max_ttl_s)
    tier.check(priority=order.priority, ttl_s=ttl_s)
    count = len(kept) if isinstance(kept, list) else 1
    return submit.NewJob(
        caller=ask.caller,
        pool=kind.pool(resolved.manifest),
        model=resolved.model,
        version=resolved.version,
        route=resolved.route,
        inputs=kept,
        options=options,
        metadata=order.metadata,
        request_id=ask.request_id,
        ttl_s=ttl_s,
        timeout_s=timeout_s(serving, ask, order.timeout_s),
        max_attempts=jobs.max_attempts,
        units=resolved.manifest.cost(options["explain"]) * count,
        priority=Priority(order.priority),
        kind=kind,
        webhook_url=order.webhook_url,
        webhook_events=(order.webhook_events or ENDS) if order.webhook_url else None,
        id=job_id or ids.uuid7(serving.clock.now_s()),
    )


def timeout_s(serving: Serving, ask: Ask, asked_s: int | None) -> int:
    """What was asked for, or the default; raises InvalidInput above the limit."""
    most = min(serving.settings.queue.max_run_timeout_s, ask.caller.tier.max_run_s)
    asked_s = asked_s or min(serving.settings.jobs.run_timeout_s, most)
    if asked_s > most:
        raise errors.InvalidInput.field("timeout_s", f"must be at most {most}", received=asked_s)
    return asked_s
