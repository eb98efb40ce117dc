"""What a claimed batch comes to: its kind says how it is run, and what goes wrong is an outcome as well."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import structlog

from core import database, errors, metrics
from inference.output import Label, Record
from jobs import kinds, told
from jobs.job import Claimed
from jobs.kinds.kind import Tools
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.result import Part, Rows, Stored, WithFiles, dump

#: A result that is told by more than this is not kept in the database, nor one of which so much was said.
LARGE_BYTES, MOST_SAID_BYTES = 256 * 1024, 4 << 20

#: What is wrong with this machine, and with no job, here or elsewhere.
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)

log = structlog.get_logger()


@dataclass(frozen=True)
class Attempts:
    """Knows nothing of leases and of how an attempt is written down."""

    tools: Tools

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        """One outcome for each job of a lane; what goes wrong is in them."""
        try:
            outcomes = kinds.find(held[0].job.kind).run(self.tools, held)
            return [self._lightened(outcome) for outcome in outcomes]
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

    def settled(self, outcomes: Sequence[Outcome]) -> set[str]:
        """The pools that have something to do, now that these attempts are written down."""
        return {pool for item in outcomes for pool in kinds.find(item.held.job.kind).settled(self.tools, item)}

    def count(self, job: Claimed, result: str) -> None:
        """One more attempt, by what it came to."""
        metrics.ATTEMPTS.labels(kinds.find(job.kind).counted_as(job.model), result).inc()

    def _lightened(self, outcome: Outcome) -> Outcome:
        """A large result is an object of its own, named by its attempt; a label of a single input never is."""
        job = outcome.held.job
        if isinstance(outcome.result, WithFiles):
            light = self._lightened(dataclasses.replace(outcome, result=outcome.result.answer))
            kept = isinstance(light.result, Record | Stored) and WithFiles(light.result, outcome.result.files)
            return dataclasses.replace(light, result=kept or None)
        if outcome.result is None or isinstance(outcome.result, Label | Rows | Part | Stored):
            return outcome
        try:
            body = database.dumps(told.v1(outcome.result, told.explain_of(job))).encode()
            said = b"" if told.tells_all(outcome.result) else database.dumps(dump(outcome.result)).encode()
        except orjson.JSONEncodeError as error:
            refused = errors.ModelError(f"The result cannot be written as JSON: {error}")
            return dataclasses.replace(outcome, result=None, error=refused)
        if len(body) <= LARGE_BYTES and len(said) <= MOST_SAID_BYTES:
            return outcome
        stored = Stored(f"{kinds.find(job.kind).folder(job.id)}{job.attempt}.json", len(body))
        try:
            self.tools.store.put(stored.stored_key, body)
            if said:
                self.tools.store.put(stored.said_key, said)
        except errors.Unavailable as error:
            return dataclasses.replace(outcome, result=None, error=error)
        return dataclasses.replace(outcome, result=stored)


def _unforeseen(error: Exception) -> errors.CoatcheckError:
    """What the machine lacks it may have at the next attempt; all else would go wrong again."""
    if isinstance(error, MemoryError):
        return errors.OutOfMemory("The worker has not enough memory for this job")
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return errors.Unavailable(f"The worker's machine could not do it: {error.strerror or type(error).__name__}")
    return errors.JobFailed(f"The job cannot be run: {type(error).__name__}; the worker's log says more")
