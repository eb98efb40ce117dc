"""What there is to know of a kind of job. A new kind is one class in one module."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy
import structlog

from core import errors, metrics
from core.seal import Purpose
from inference.manifest import Manifest
from jobs.job import Claimed
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.shadows.buffer import Buffer
from jobs.source import Sources
from registry.catalog import Catalog
from registry.shelf import Shelf
from registry.versions import Resolved
from storage.objects import Store

log = structlog.get_logger()


@dataclass(frozen=True)
class Tools:
    """What jobs are run with."""

    engine: sqlalchemy.Engine
    store: Store
    catalog: Catalog
    shelf: Shelf
    sources: Sources
    max_unpacked_bytes: int  #: of one file of rows
    limits: bool  #: whether a tier's month holds anybody back
    shadows: Buffer  #: takes what shadows are to be asked

    def version(self, job: Claimed) -> Resolved:
        """That which the job was accepted for: if it is not there, that is nobody's fault who handed it in. Raises
        ModelUnavailable."""
        try:
            return self.catalog.resolve(job.model, job.version)
        except (errors.ModelNotFound, errors.VersionNotFound) as error:
            if removed := self.catalog.removed(job.model, job.version):
                return removed
            raise errors.ModelUnavailable(f"{job.model} {job.version} is not listed here") from error


class Kind(ABC):
    """Made once, used by many threads. What SQL has to know of it is written to the row of each job."""

    #: As its rows have it.
    name: ClassVar[str]
    #: Whether one claim may take several jobs of one model, to be run together.
    batches: ClassVar[bool] = False
    #: Whether it is a part of another job, and shown to nobody.
    hidden: ClassVar[bool] = False
    #: Whether it may be handed in once more when it has ended.
    repeats: ClassVar[bool] = True
    #: Whether its work is done by jobs of their own, its parts, while it is parked.
    in_parts: ClassVar[bool] = False
    #: Where a tenant's jobs of this kind stand behind its others of the same moment, in seconds of `fair_at`.
    offset_s: ClassVar[float] = 0.0
    #: Whether an attempt may leave files in our store, whatever comes of it.
    leaves_files: ClassVar[bool] = False
    #: What of its payload is sealed, and for what.
    sealed: ClassVar[Mapping[str, Purpose]] = {}

    @abstractmethod
    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        """One outcome for each job, all of one model's version; what is raised ends each of them."""

    def settled(self, tools: Tools, outcome: Outcome) -> set[str]:
        """What follows from an attempt that is written down: the pools that have something to do now."""
        return set()

    def pool(self, manifest: Manifest) -> str:
        """Which workers run it for a model."""
        return manifest.pool

    def counted_as(self, model: str) -> str:
        """What metrics call the model of its jobs: a word of which there are only so many."""
        return model

    def folder(self, job_id: uuid.UUID) -> str:
        """The prefix of everything in our store that was made for the job; it goes when the job is forgotten."""
        return f"results/{job_id.hex}/"


@contextmanager
def inference(held: Sequence[Held]) -> Iterator[None]:
    """Around running jobs of one lane through their model: it is measured, and told in the log."""
    job = held[0].job
    with metrics.INFERENCE_SECONDS.labels(job.model).time():
        yield
    log.info("batch_ran", kind=job.kind, model=job.model, version=job.version, jobs=len(held), attempt=job.attempt)
