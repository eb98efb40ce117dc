"""Files that clients hand in, and addresses of what was made of them: for whoever holds them, and for a while."""

from __future__ import annotations

import dataclasses
import datetime as dt
import urllib.parse
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from api import context, resources
from api.resources import Resources
from core import database, errors, ids
from core.seal import Context, Purpose
from inference import schema
from jobs import uploads
from jobs.bulk import progress
from jobs.bulk.progress import Chunk
from jobs.job import Job, Kind, Status
from registry.catalog import Resolved
from storage.objects import SKEW_S


def taken(
    here: Resources, body: Mapping[str, Any], resolved: Resolved, job_id: uuid.UUID
) -> tuple[Kind, dict[str, Any]]:
    """What a job keeps of its file, and which kind of job that makes.

    Raises UploadNotFound, InvalidInput, and all that looking at a signed URL can raise.
    """
    kept, said = _at_url(here, body["input_url"], job_id) if "input_url" in body else _uploaded(here, body, resolved)
    if resolved.manifest.takes_file:
        # Only now: who hands in rows by mistake is not to be told of an option that rows have.
        for_rows = [f"options.{name}" for name in ("format", "return_errors") if name in body["options"]]
        for name in (*for_rows, *({"output_url"} & body.keys())):
            raise errors.InvalidInput.field(name, f"is for rows; {resolved.model} takes the whole file")
        return Kind.FILE, {**kept, "fields": schema.validate_inputs(resolved.manifest, body.get("inputs", {}))}
    if "inputs" in body:
        raise errors.InvalidInput.field("inputs", f"come from the file; {resolved.model} answers its rows")
    form = body["options"].get("format") or said
    if form is None:
        raise errors.InvalidInput.field("options.format", "is required: neither type nor name of the file says it")
    if "output_url" in body:
        here.fetcher.check_target(body["output_url"], here.clock.now())
        kept["output_url"] = here.seal.seal(
            body["output_url"], Context(Purpose.OUTPUT_URL, context.caller().tenant_id, job_id)
        )
    return Kind.BULK, {**kept, "format": form}


def _uploaded(here: Resources, body: Mapping[str, Any], resolved: Resolved) -> tuple[dict[str, Any], str | None]:
    upload_id = ids.parse_upload_id(body["upload_id"])
    found = uploads.use(here.engine, here.store, context.caller().tenant_id, upload_id)
    wanted = uploads.types(resolved.manifest.kind)
    if found.content_type not in wanted:
        issue = f"is {found.content_type}; {resolved.model} takes {', '.join(wanted)}"
        raise errors.InvalidInput.field("upload_id", issue)
    form, fixed = body["options"].get("format"), uploads.ROWS.get(found.content_type)
    if None not in (form, fixed) and form != fixed:
        raise errors.InvalidInput.field("options.format", f"is not what the upload is: {found.content_type}")
    return {"key": found.key, "etag": found.etag, "sha256": found.sha256}, found.format


def _at_url(here: Resources, url: str, job_id: uuid.UUID) -> tuple[dict[str, Any], str | None]:
    found = here.fetcher.probe(url, here.clock.now())
    sealed = here.seal.seal(url, Context(Purpose.INPUT_URL, context.caller().tenant_id, job_id))
    kept = {"url": sealed, "etag": found.etag, "sha256": None}
    return kept, uploads.by_name(urllib.parse.urlsplit(url).path)


def failed_rows(here: Resources, old: Job) -> dict[str, Any] | None:
    """The inputs of a job that answers what an ended one did not, None for the same ones again: it answered nothing.

    Raises InvalidInput, JobStateConflict.
    """
    if old.kind != Kind.BULK:
        raise errors.InvalidInput.field("rows", "is for jobs that were made from a file of rows")
    count = progress.count(here.engine, old.id)
    if old.status is Status.COMPLETED and count.failed == 0:
        raise errors.JobStateConflict("No row of this job has failed", details={"field": "rows", "issue": "0 failed"})
    return {"failed_of": old.id.hex, "sha256": None} if count.total else None


def output(found: Job) -> dict[str, Any]:
    """A completed bulk job's result."""
    stored = found.result or {}
    answer: dict[str, Any] = {"rows": stored["rows"], "failed": stored["failed"], "expires_at": expires_at()}
    answer |= {name: stored[name] for name in ("sent", "send_error") if name in stored}
    for what in ("output", "errors"):
        if key := stored.get(f"{what}_key"):
            answer[f"{what}_url"] = address(key, f"{ids.job_id(found.id)}.{what}.jsonl")
    return answer


def parts(found: Job, chunks: Iterable[Chunk]) -> list[dict[str, Any]]:
    """What is done of a bulk job, in order."""
    return [
        {
            "part": chunk.inputs["part"],
            "first_line": chunk.inputs["line"],
            "rows": chunk.rows,
            "failed": chunk.result["failed"],
            "url": address(chunk.result["key"], f"{ids.job_id(found.id)}.part-{chunk.inputs['part']:06}.jsonl"),
        }
        for chunk in chunks
    ]


def is_stored(found: Job) -> bool:
    """Whether the result is an object of its own."""
    return "stored_key" in (found.result or {})


def loaded(found: Job) -> Job:
    """The job with its result, wherever that is; raises Unavailable."""
    if not is_stored(found):
        return found
    data = resources.here().store.get((found.result or {})["stored_key"])
    return dataclasses.replace(found, result=database.loads(data.decode()))


def stored(found: Job) -> dict[str, Any]:
    """A result too large for the database."""
    kept = found.result or {}
    url = address(kept["stored_key"], f"{ids.job_id(found.id)}.json")
    return {"url": url, "bytes": kept["bytes"], "expires_at": expires_at()}


def address(key: str, filename: str) -> str:
    """Where a client gets the object for a while; raises Unavailable."""
    here = resources.here()
    check_signing(here)
    return here.store.presign_get(key, filename=filename, expires_s=here.settings.download_s)


def check_signing(here: Resources) -> None:
    """Raises Unavailable while this machine's clock is so wrong that no store would take what it signs."""
    ahead_s = here.clock.ahead_s()
    if abs(ahead_s) > SKEW_S:
        raise errors.Unavailable(f"This machine's clock is wrong by {ahead_s:+.0f} s, and no store takes what it signs")


def expires_at() -> dt.datetime:
    """When addresses made now end."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=resources.here().settings.download_s)
