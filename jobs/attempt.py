"""What a claimed batch comes to, by the kind of its jobs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
import structlog

from core import database, errors, metrics
from core.seal import Seal
from core.settings import Settings
from jobs import run
from jobs.bulk import merge, plan, progress, work
from jobs.job import Kind
from jobs.lease import Held
from jobs.run import Outcome
from registry.catalog import Catalog, Resolved
from storage.fetch import Fetcher
from storage.objects import Store

log = structlog.get_logger()


@dataclass(frozen=True)
class Attempts:
    """What running a job needs; knows nothing of leases and of how an attempt is written down."""

    settings: Settings
    engine: sqlalchemy.Engine
    store: Store
    catalog: Catalog
    fetcher: Fetcher
    seal: Seal

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        """One outcome for each job of a lane; what goes wrong is in them."""
        try:
            return self._run(held)
        except errors.CoatcheckError as error:
            return [Outcome(item, error=error) for item in held]
        except database.OUTAGES:
            return [Outcome(item, error=database.unavailable()) for item in held]

    def _run(self, held: Sequence[Held]) -> list[Outcome]:
        job = held[0].job
        resolved = self.catalog.resolve(job.model, job.version)
        if job.kind == Kind.BULK:
            return [self._bulk(resolved, held[0])]
        model = self.catalog.predictor(resolved)
        with metrics.INFERENCE_SECONDS.labels(job.model).time():
            chunk = job.kind == Kind.CHUNK
            outcomes = [work.answer(self.store, model, held[0])] if chunk else run.run(model, held)
        log.info("batch_ran", kind=job.kind, model=job.model, version=job.version, jobs=len(held), attempt=job.attempt)
        return outcomes

    def _bulk(self, resolved: Resolved, held: Held) -> Outcome:
        """Cut the file, or, when its chunks have ended, put the parts together."""
        job = held.job
        if chunks := progress.chunks(self.engine, job.id):
            return merge.merge(self.store, resolved.manifest, held, chunks)
        made = plan.make(
            self.store,
            held,
            plan.checked(self._source(job.inputs), job.inputs["sha256"]),
            form=job.inputs["format"],
            key=f"{work.folder(job.id)}input.{job.attempt}",
            max_batch=resolved.manifest.max_batch,
            max_bytes=self.settings.max_unpacked_bytes,
        )
        if made is None:
            return run.stopped(held)
        log.info("bulk_planned", chunks=len(made.spans), rows=sum(span.rows for span in made.spans))
        park = functools.partial(progress.park, job=job, plan=made, units=resolved.manifest.units)
        return Outcome(held, hand_over=park)

    def _source(self, inputs: Mapping[str, Any]) -> Iterator[bytes]:
        """The file that was accepted, from its upload or from the client's own bucket."""
        if "url" in inputs:
            return self.fetcher.stream(self.seal.open(inputs["url"]), inputs["etag"])
        return self.store.stream(inputs["key"], inputs["etag"])
