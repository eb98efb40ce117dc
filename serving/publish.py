"""A bundle that was uploaded, to be published: the ticket of the job that does it."""

from __future__ import annotations

import re

from core import errors, ids
from inference import promise
from jobs import kinds, submit, uploads
from jobs.job import Status
from jobs.payloads import Bundle, Upload
from serving import once, replies
from serving.serving import Serving
from serving.values import Ask, Replied, Reply, Served, Ticket

#: Whichever pool a model is for, it is tried as it is by whoever pushes it: on a CPU.
POOL = "cpu"


def publish(serving: Serving, ask: Ask, upload_id: str, *, stable: bool) -> Replied[Reply]:
    """Of the version that `ask` names. Raises InvalidInput, Forbidden, UploadNotFound, and what `Submitter.submit`
    raises."""
    if done := once.before(serving.engine, ask.key):
        return done
    _check("model", str(ask.model), promise.NAME, promise.NAMES)
    _check("version", str(ask.version), promise.VERSION, promise.VERSIONS)
    ask.caller.bounds.check_model(str(ask.model))
    found = uploads.use(serving.engine, serving.store, ask.caller.tenant_id, ids.parse_upload_id(upload_id))
    if found.content_type != uploads.BUNDLE:
        raise errors.InvalidInput.field("upload_id", f"is {found.content_type}; a bundle is {uploads.BUNDLE}")
    new = _job(serving, ask, Bundle(Upload(found.key, found.etag, found.sha256), stable))
    ticket = Ticket(new.id, Status.PENDING, Served(new.model, new.version, "pinned"), ask.request_id)
    replied = once.store(serving, new, ask.key, replies.kept(ticket) if ask.key else None)
    return once.earlier(replied) or Replied(ticket)


def _check(field: str, said: str, pattern: str, form: str) -> None:
    """Raises InvalidInput for what no bundle may be called."""
    if not re.match(pattern, said):
        raise errors.InvalidInput.field(field, f"must be {form}", received=said)


def _job(serving: Serving, ask: Ask, bundle: Bundle) -> submit.NewJob:
    settings, tier = serving.settings, ask.caller.tier
    return submit.NewJob(
        caller=ask.caller,
        pool=POOL,
        model=str(ask.model),
        version=str(ask.version),
        inputs=bundle.to_json(),
        options={},
        metadata={},
        request_id=ask.request_id,
        ttl_s=min(settings.jobs.ttl_s, tier.max_ttl_s),
        # Each run of a trial has its own limit; all together may take as long as any job.
        timeout_s=settings.queue.max_run_timeout_s,
        max_attempts=settings.jobs.max_attempts,
        kind=kinds.PUBLISH,
        id=ids.uuid7(serving.clock.now_s()),
    )
