"""A file of rows: first it is cut into chunks, which are jobs; when they have ended, their parts are put together."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Sequence
from typing import ClassVar

import structlog

from access import quota
from core import errors
from core.seal import Purpose
from jobs import payloads, told
from jobs.bulk import failed_rows, merge, places, plan, progress
from jobs.kinds.kind import Kind, Tools
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import FailedRows, FileOfRows

log = structlog.get_logger()


class Bulk(Kind):
    """The payload is `FileOfRows`, or `FailedRows` of such a job."""

    name = "bulk"
    in_parts = True
    offset_s = 30.0
    sealed: ClassVar = {"url": Purpose.INPUT_URL, "output_url": Purpose.OUTPUT_URL}

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        manifest, payload = tools.version(mine.job).manifest, payloads.rows(mine.job.inputs)
        if chunks := progress.chunks(tools.engine, mine.job.id):
            wanted = payload.output_url if isinstance(payload, FileOfRows) else None
            send = tools.sources.sender(mine.job, wanted)
            return [merge.merge(tools.store, manifest, mine, chunks, send)]
        try:
            made = _plan(tools, mine, payload)
        except errors.ModelInterrupted:
            return [stopped(mine)]
        units = manifest.cost(told.explain_of(mine.job))
        # Until now it was accepted at the cost of one row.
        rows = sum(span.rows for span in made.spans)
        if tools.limits:
            quota.judge(tools.engine, mine.job.tenant_id, units * rows, counted=units)
        log.info("bulk_planned", chunks=len(made.spans), rows=rows)
        park = functools.partial(progress.park, job=mine.job, plan=made, units=units)
        return [Outcome(mine, hand_over=park)]

    def folder(self, job_id: uuid.UUID) -> str:
        return places.folder(job_id)


def _plan(tools: Tools, held: Held, payload: FileOfRows | FailedRows) -> plan.Plan:
    manifest = tools.version(held.job).manifest
    key = places.copy(held.job.id, held.job.attempt)
    if isinstance(payload, FailedRows):
        earlier = progress.chunks(tools.engine, payload.failed_of)
        # Its files go before its rows do.
        if not earlier or tools.store.head(earlier[0].payload.key) is None:
            raise errors.InputChanged("The earlier job whose rows have failed is forgotten: hand in its file anew")
        header = failed_rows.header(tools.store, earlier)
        found = failed_rows.failed(tools.store, manifest, earlier)
        return plan.make_again(tools.store, held, found, header, key=key, max_batch=manifest.max_batch)
    return plan.make(
        tools.store,
        held,
        tools.sources.open(held.job, payload.source),
        form=payload.format,
        fields=manifest.fields,
        key=key,
        max_batch=manifest.max_batch,
        max_bytes=tools.max_unpacked_bytes,
    )
