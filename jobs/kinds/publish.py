"""A bundle that becomes a version of a model: unpacked, tried in a process of its own, stored and listed."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import errors
from core.audit import Actor
from inference import bundle
from inference.output import Record
from jobs import payloads, settle
from jobs.kinds.kind import Kind, Tools
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import Upload

#: No model may be called so.
COUNTED_AS = "(publish)"


class Publish(Kind):
    """The payload is a `payloads.Bundle`; model and version of the job are what it has to say of itself."""

    name = "publish"
    # Who may not publish may not have it done again either.
    repeats = False

    def counted_as(self, model: str) -> str:
        return COUNTED_AS

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        mine.begin(mine.interrupt)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="coatcheck-bundle-") as scratch:
            try:
                found = _published(tools, mine, Path(scratch).resolve() / mine.job.model)
            except errors.ModelInterrupted:
                return [stopped(mine)]
        return [Outcome(mine, Record(found), run_s=time.perf_counter() - started)]


def _published(tools: Tools, held: Held, folder: Path) -> dict[str, Any]:
    """What came of it; raises BundleInvalid, ModelInterrupted, InputChanged, Unavailable."""
    job, payload = held.job, payloads.Bundle.from_json(held.job.inputs)
    try:
        _fetch(tools, held, payload.source, folder)
        loaded = bundle.load(folder)
        _check(held, loaded)
        new = tools.catalog.publish(
            loaded,
            stable=payload.stable,
            by=Actor(f"key:{job.key_id}"),
            wanted=lambda: held.wanted,
            fence=functools.partial(settle.is_ours, job=job),
        )
    except (errors.BundleInvalid, errors.InvalidInput, errors.VersionConflict, errors.ModelUnavailable) as error:
        # Where it lay is nobody's business. That an extra is not installed here will be so the next time.
        said = error.message.replace(f"{folder}/", "").replace(str(folder), folder.name)
        raise errors.BundleInvalid(said, details=error.details) from error
    stable = tools.catalog.resolve(job.model, None).version == job.version
    return {"model": job.model, "version": job.version, "digest": loaded.digest, "new": new, "stable": stable}


def _fetch(tools: Tools, held: Held, source: Upload, folder: Path) -> None:
    """What is tried is a copy that nobody else can change."""
    with tempfile.TemporaryFile() as file:
        for piece in tools.sources.open(held.job, source):
            if not held.wanted:
                raise errors.ModelInterrupted
            file.write(piece)
        file.seek(0)
        bundle.unpack(file, folder)


def _check(held: Held, loaded: bundle.Bundle) -> None:
    """Raises BundleInvalid."""
    manifest = loaded.manifest
    for key, said, asked in (("name", manifest.name, held.job.model), ("version", manifest.version, held.job.version)):
        if said != asked:
            raise errors.BundleInvalid(f"model.yaml: {key} is {said}, but {asked} was to be published")
