"""What a claimed batch comes to, by the kind of its jobs."""

from __future__ import annotations

import dataclasses
import errno
import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import sqlalchemy
import structlog

from core import database, errors, metrics
from core.settings import Settings
from inference.manifest import Manifest
from inference.model import Model
from inference.opened import FileModel
from jobs import file, run
from jobs.bulk import failed_rows, merge, plan, progress, rows, work
from jobs.job import Claimed, Kind
from jobs.lease import Held
from jobs.run import Outcome
from jobs.source import Sources
from registry.catalog import Catalog
from registry.shelf import Shelf
from registry.versions import Resolved
from storage.objects import Store

#: A result over this is not kept in the database.
LARGE_BYTES = 256 * 1024

#: What is wrong with this machine, and with no job, here or elsewhere.
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)

log = structlog.get_logger()


@dataclass(frozen=True)
class Attempts:
    """What running a job needs; knows nothing of leases and of how an attempt is written down."""

    settings: Settings
    engine: sqlalchemy.Engine
    store: Store
    catalog: Catalog
    shelf: Shelf
    sources: Sources

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        """One outcome for each job of a lane; what goes wrong is in them."""
        try:
            return [self._lightened(outcome) for outcome in self._run(held)]
        except errors.CoatcheckError as error:
            return [Outcome(item, error=error) for item in held]
        except database.OUTAGES as error:
            return [Outcome(item, error=database.unavailable(error)) for item in held]
        except Exception as error:
            # The one place for what nobody foresaw: without it the worker would be declared lost, again and again.
            log.exception("attempt_broke", job_ids=[str(item.job.id) for item in held])
            if len(held) == 1:
                return [Outcome(held[0], error=_unforeseen(error))]
            # Whose fault it is, nobody knows: each by itself.
            return [outcome for item in held for outcome in self.run([item])]

    def _run(self, held: Sequence[Held]) -> list[Outcome]:
        job = held[0].job
        resolved = self._version(job)
        if job.kind == Kind.BULK:
            return [self._bulk(resolved, held[0])]
        model = self.shelf.open(resolved)
        with metrics.INFERENCE_SECONDS.labels(job.model).time():
            outcomes = self._predict(model, held)
        log.info("batch_ran", kind=job.kind, model=job.model, version=job.version, jobs=len(held), attempt=job.attempt)
        return outcomes

    def _version(self, job: Claimed) -> Resolved:
        """That which the job was accepted for: if it is not there, that is nobody's fault who handed it in. Raises
        ModelUnavailable."""
        try:
            return self.catalog.resolve(job.model, job.version)
        except (errors.ModelNotFound, errors.VersionNotFound) as error:
            raise errors.ModelUnavailable(f"{job.model} {job.version} is not listed here") from error

    def _predict(self, model: Model | FileModel, held: Sequence[Held]) -> list[Outcome]:
        job = held[0].job
        if isinstance(model, FileModel):
            return [file.answer(model, held[0], self.sources.open(job))]
        if job.kind == Kind.CHUNK:
            return [work.answer(self.store, model, held[0])]
        return run.run(model, held)

    def _lightened(self, outcome: Outcome) -> Outcome:
        """A large result is an object of its own, named by its attempt; that of a single input never is."""
        job = outcome.held.job
        if outcome.result is None or (job.kind == Kind.PREDICT and not isinstance(job.inputs, list)):
            return outcome
        try:
            body = database.dumps(outcome.result).encode()
        except orjson.JSONEncodeError as error:
            refused = errors.ModelError(f"The result cannot be written as JSON: {error}")
            return dataclasses.replace(outcome, result=None, error=refused)
        if len(body) <= LARGE_BYTES:
            return outcome
        key = f"{run.folder(job.id)}{job.attempt}.json"
        self.store.put(key, body)
        return dataclasses.replace(outcome, result={"stored_key": key, "bytes": len(body)})

    def _bulk(self, resolved: Resolved, held: Held) -> Outcome:
        """Cut the file, or, when its chunks have ended, put the parts together."""
        job = held.job
        if chunks := progress.chunks(self.engine, job.id):
            return merge.merge(self.store, resolved.manifest, held, chunks, self.sources.sender(job))
        try:
            made = self._plan(resolved.manifest, held)
        except errors.ModelInterrupted:
            return run.stopped(held)
        log.info("bulk_planned", chunks=len(made.spans), rows=sum(span.rows for span in made.spans))
        park = functools.partial(progress.park, job=job, plan=made, units=resolved.manifest.units)
        return Outcome(held, hand_over=park)

    def _plan(self, manifest: Manifest, held: Held) -> plan.Plan:
        inputs = held.job.inputs
        key = f"{work.folder(held.job.id)}input.{held.job.attempt}"
        if "failed_of" in inputs:
            earlier = progress.chunks(self.engine, uuid.UUID(inputs["failed_of"]))
            header = rows.header(self.store, earlier[0].inputs) if earlier else None
            found = failed_rows.failed(self.store, manifest, earlier)
            return plan.make_again(self.store, held, found, header, key=key, max_batch=manifest.max_batch)
        return plan.make(
            self.store,
            held,
            self.sources.open(held.job),
            form=inputs["format"],
            fields=manifest.fields,
            key=key,
            max_batch=manifest.max_batch,
            max_bytes=self.settings.max_unpacked_bytes,
        )


def _unforeseen(error: Exception) -> errors.CoatcheckError:
    """What the machine lacks it may have at the next attempt; all else would go wrong again."""
    if isinstance(error, MemoryError):
        return errors.OutOfMemory("The worker has not enough memory for this job")
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return errors.Unavailable(f"The worker's machine could not do it: {error.strerror or type(error).__name__}")
    return errors.JobFailed(f"The job cannot be run: {type(error).__name__}; the worker's log says more")
