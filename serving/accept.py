"""From what was asked to a job that can be stored: what it is made of, and what its tier allows."""

from __future__ import annotations

import urllib.parse
import uuid
from typing import Any

from core import errors, ids
from core.seal import Context, Purpose
from inference import schema
from jobs import kinds, submit, uploads
from jobs.job import Priority, ReturnErrors
from jobs.kinds.kind import Kind
from jobs.payloads import AtUrl, FileOfRows, Source, Upload, WholeFile
from registry.versions import Resolved
from serving import inputs
from serving.serving import Serving
from serving.values import Ask, Order
from webhooks.events import ENDS


def job(serving: Serving, ask: Ask, order: Order, resolved: Resolved) -> submit.NewJob:
    """Raises InvalidInput, BatchTooLarge, UploadNotFound, and all that looking at a signed URL can raise."""
    options: dict[str, Any] = {"explain": inputs.explain(resolved, order.explain)}
    if order.has_file:
        job_id = ids.uuid7(serving.clock.now_s())
        kind, payload = _of_file(serving, ask, order, resolved, job_id)
        if kind is kinds.BULK:
            options["return_errors"] = order.return_errors or ReturnErrors.INDIVIDUAL
        return new(serving, ask, order, resolved, payload.to_json(), options, kind=kind, job_id=job_id)
    manifest = inputs.takes_rows(resolved).manifest
    if not isinstance(order.inputs, list):
        return new(serving, ask, order, resolved, inputs.one(manifest, order.inputs), options)
    options["return_errors"] = order.return_errors or ReturnErrors.FAIL_FAST
    most = serving.settings.api.max_batch_items
    rows, options["refused"] = inputs.many(manifest, order.inputs, options["return_errors"], most=most)
    return new(serving, ask, order, resolved, rows, options)


def new(
    serving: Serving,
    ask: Ask,
    order: Order,
    resolved: Resolved,
    kept: Any,
    options: dict[str, Any],
    *,
    kind: Kind = kinds.PREDICT,
    job_id: uuid.UUID | None = None,
) -> submit.NewJob:
    """A job for the caller, with what was ordered within what the tier allows, and an id of its own unless it has one;
    raises InvalidInput."""
    jobs, tier = serving.settings.jobs, ask.caller.tier
    ttl_s = order.expires_in_s or min(jobs.ttl_s, tier.max_ttl_s)
    tier.check(priority=order.priority, ttl_s=ttl_s)
    count = len(kept) if isinstance(kept, list) else 1
    return submit.NewJob(
        tenant_id=ask.caller.tenant_id,
        tier=tier,
        pool=resolved.manifest.pool,
        model=resolved.model,
        version=resolved.version,
        inputs=kept,
        options=options,
        metadata=order.metadata,
        request_id=ask.request_id,
        ttl_s=ttl_s,
        timeout_s=_timeout_s(serving, order),
        max_attempts=jobs.max_attempts,
        units=resolved.manifest.units * count,
        priority=Priority(order.priority),
        kind=kind,
        webhook_url=order.webhook_url,
        webhook_events=(order.webhook_events or ENDS) if order.webhook_url else None,
        id=job_id or ids.uuid7(serving.clock.now_s()),
    )


def _timeout_s(serving: Serving, order: Order) -> int:
    """What was asked for, or the default; raises InvalidInput above the limit."""
    asked_s = order.timeout_s or serving.settings.jobs.run_timeout_s
    most = serving.settings.queue.max_run_timeout_s
    if asked_s > most:
        raise errors.InvalidInput.field("timeout_s", f"must be at most {most}", received=asked_s)
    return asked_s


def _of_file(
    serving: Serving, ask: Ask, order: Order, resolved: Resolved, job_id: uuid.UUID
) -> tuple[Kind, WholeFile | FileOfRows]:
    """Which kind of job a file makes, and what the job keeps of it."""
    tenant_id = ask.caller.tenant_id
    source: Source
    if order.upload_id is not None:
        source, said = _uploaded(serving, tenant_id, order.upload_id, order, resolved)
    else:
        source, said = _at_url(serving, str(order.input_url), Context(Purpose.INPUT_URL, tenant_id, job_id))
    if resolved.manifest.takes_file:
        return kinds.FILE, WholeFile(source, _fields(order, resolved))
    if order.inputs is not None:
        raise errors.InvalidInput.field("inputs", f"come from the file; {resolved.model} answers its rows")
    form = order.format or said
    if form is None:
        raise errors.InvalidInput.field("options.format", "is required: neither type nor name of the file says it")
    output_url = None
    if order.output_url is not None:
        serving.fetcher.check_target(order.output_url, serving.clock.now())
        output_url = serving.seal.seal(order.output_url, Context(Purpose.OUTPUT_URL, tenant_id, job_id))
    return kinds.BULK, FileOfRows(source, form, output_url)


def _fields(order: Order, resolved: Resolved) -> dict[str, Any]:
    """What is said beside a file that is taken whole. Who hands in rows by mistake is told of no option that only rows
    have, since this is asked after the file's type."""
    rows_only = {
        "options.format": order.format,
        "options.return_errors": order.return_errors,
        "output_url": order.output_url,
    }
    for name, value in rows_only.items():
        if value is not None:
            raise errors.InvalidInput.field(name, f"is for rows; {resolved.model} takes the whole file")
    return schema.validate_inputs(resolved.manifest, {} if order.inputs is None else order.inputs)


def _uploaded(
    serving: Serving, tenant_id: uuid.UUID, upload_id: str, order: Order, resolved: Resolved
) -> tuple[Upload, str | None]:
    found = uploads.use(serving.engine, serving.store, tenant_id, ids.parse_upload_id(upload_id))
    wanted = uploads.types(resolved.manifest)
    if found.content_type not in wanted:
        issue = f"is {found.content_type}; {resolved.model} takes {', '.join(wanted)}"
        raise errors.InvalidInput.field("upload_id", issue)
    fixed = uploads.ROWS.get(found.content_type)
    if None not in (order.format, fixed) and order.format != fixed:
        raise errors.InvalidInput.field("options.format", f"is not what the upload is: {found.content_type}")
    return Upload(found.key, found.etag, found.sha256), found.format


def _at_url(serving: Serving, url: str, context: Context) -> tuple[AtUrl, str | None]:
    found = serving.fetcher.probe(url, serving.clock.now())
    return AtUrl(serving.seal.seal(url, context), found.etag), uploads.by_name(urllib.parse.urlsplit(url).path)
