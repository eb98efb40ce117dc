"""The file of a job: an upload or at a signed URL, what it is, and what the job keeps of it."""

from __future__ import annotations

import urllib.parse
import uuid
from typing import Any

from core import errors, ids
from core.seal import Context, Purpose
from inference import schema
from inference.manifest import Manifest
from jobs import content_types, kinds, uploads
from jobs.payloads import AtUrl, FileOfRows, Source, Upload, WholeFile
from registry.versions import Resolved
from serving.serving import Serving
from serving.values import Ask, Order


def kept(
    serving: Serving, ask: Ask, order: Order, resolved: Resolved, job_id: uuid.UUID
) -> tuple[kinds.Kind, WholeFile | FileOfRows]:
    """Which kind of job a file makes, and what the job keeps of it. Raises InvalidInput, UploadNotFound, and all that
    looking at a signed URL can raise."""
    tenant_id = ask.caller.tenant_id
    source: Source
    type_: str | None
    if order.upload_id is not None:
        source, type_, said = _uploaded(serving, tenant_id, order.upload_id, order, resolved)
    else:
        source, type_, said = _at_url(serving, str(order.input_url), Context(Purpose.INPUT_URL, tenant_id, job_id))
    form = order.format or said
    if _is_whole(resolved.manifest, type_, form):
        return kinds.FILE, WholeFile(source, _fields(order, resolved))
    if order.inputs is not None:
        raise errors.InvalidInput.field("inputs", f"come from the file; {resolved.model} answers its rows")
    if form is None:
        raise errors.InvalidInput.field("options.format", "is required: neither type nor name of the file says it")
    output_url = None
    if order.output_url is not None:
        serving.fetcher.check_target(order.output_url, serving.clock.now())
        output_url = serving.seal.seal(order.output_url, Context(Purpose.OUTPUT_URL, tenant_id, job_id))
    return kinds.BULK, FileOfRows(source, form, output_url)


def _is_whole(manifest: Manifest, type_: str | None, form: str | None) -> bool:
    """Whether the file itself is the input; of a model that takes rows as well, one that nothing says to hold them."""
    if not (manifest.takes_file and manifest.takes_rows):
        return manifest.takes_file
    return type_ in manifest.file_types or (type_ not in uploads.ROWS and form is None)


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
    if resolved.manifest.takes_rows:
        if order.inputs is not None:
            raise errors.InvalidInput.field("inputs", "come from the file, which is one of them")
        return {}
    return schema.validate_inputs(resolved.manifest, {} if order.inputs is None else order.inputs)


def _uploaded(
    serving: Serving, tenant_id: uuid.UUID, upload_id: str, order: Order, resolved: Resolved
) -> tuple[Upload, str, str | None]:
    """With its type, and how its rows are written, if it says so."""
    found = uploads.use(serving.engine, serving.store, tenant_id, ids.parse_upload_id(upload_id))
    wanted = uploads.types(resolved.manifest)
    if found.content_type not in wanted:
        issue = f"is {found.content_type}; {resolved.model} takes {', '.join(wanted)}"
        raise errors.InvalidInput.field("upload_id", issue)
    fixed = uploads.ROWS.get(found.content_type)
    if None not in (order.format, fixed) and order.format != fixed:
        raise errors.InvalidInput.field("options.format", f"is not what the upload is: {found.content_type}")
    return Upload(found.key, found.etag, found.sha256), found.content_type, found.format


def _at_url(serving: Serving, url: str, context: Context) -> tuple[AtUrl, str | None, str | None]:
    """The same, by the name in it."""
    found, name = serving.fetcher.probe(url, serving.clock.now()), urllib.parse.urlsplit(url).path
    source = AtUrl(serving.seal.seal(url, context), found.etag)
    return source, content_types.canonical("", name), uploads.by_name(name)
