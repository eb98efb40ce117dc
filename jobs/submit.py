"""Accepting a job: the row is committed before anybody hears of it."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access.keys import Caller
from core import broker, database, errors, ids, metrics
from core.seal import Seal
from jobs import idempotency, kinds, together
from jobs.backlog import Backlog
from jobs.fairness import Fairness, Place
from jobs.job import Job, Priority
from jobs.together import Together
from webhooks import signing_keys

#: Of each column one array, which has a value for each job.
_TYPES = {
    "id": "uuid", "tenant_id": "uuid", "kind": "text", "batches": "bool", "pool": "text", "model": "text",
    "version": "text", "route": "text", "lane": "text", "priority": "text", "offset_s": "float", "ttl_s": "float",
    "max_attempts": "int", "timeout_s": "int", "key_id": "text", "unit_price": "numeric", "cost": "int",
    "inputs": "json", "options": "json", "metadata": "json", "request_id": "text", "webhook_url": "text",
    "webhook_events": "text",
}  # fmt: skip
_INSERT = text(f"""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version, route, lane, priority, fair_at, expires_at,
                  max_attempts, timeout_s, key_id, unit_price, cost, inputs, options, metadata, request_id, webhook_url,
                  webhook_events)
SELECT id, tenant_id, kind, batches, pool, model, version, route, lane, priority,
       now() + make_interval(secs => offset_s), now() + make_interval(secs => ttl_s), max_attempts, timeout_s,
       key_id, unit_price, cost, inputs, options, metadata, request_id, webhook_url, CAST(webhook_events AS text[])
FROM unnest({", ".join(f"CAST(:{name} AS {of}[])" for name, of in _TYPES.items())}) AS new ({", ".join(_TYPES)})
""")  # noqa: S608 - constants only

_AGAIN = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version, route, lane, priority, fair_at, expires_at,
                  max_attempts, timeout_s, key_id, unit_price, cost, inputs, options, metadata, request_id, webhook_url,
                  webhook_events, retry_of)
SELECT :id, tenant_id, kind, CAST(:batches AS boolean) AND right(lane, 6) <> '/alone', pool, model, version, route,
       lane, priority, now() + make_interval(secs => :offset_s), now() + (expires_at - created_at), :max_attempts,
       :timeout_s, :key_id, :unit_price, cost,
       coalesce(CAST(:inputs AS json), inputs), options, metadata, :request_id, webhook_url, webhook_events, jobs.id
FROM jobs WHERE jobs.id = :old AND tenant_id = :tenant_id AND finished_at IS NOT NULL RETURNING id
""")


#: So many jobs are stored in one transaction, none of which has inputs of more characters: those are stored alone.
MOST, MOST_CHARACTERS = 64, 1 << 16
#: A job of more inputs than that, or of more characters, runs by itself, in a lane of such: a claim takes as many jobs
#: as a batch may have rows, and holds all of them until the last is done.
MOST_SHARED, MOST_CHARACTERS_SHARED = 256, 1 << 20
#: How long it is said that nothing can be stored, when nobody tries again.
NO_ROOM_S = 20.0


@dataclass(frozen=True)
class NewJob:
    """What a tenant hands in, already validated; `inputs` is one input object or a list of them."""

    caller: Caller
    pool: str
    model: str
    version: str
    inputs: Any
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    request_id: str
    ttl_s: int
    timeout_s: int
    max_attempts: int
    units: int = 1  #: what it costs
    priority: Priority = Priority.NORMAL
    kind: kinds.Kind = kinds.PREDICT
    webhook_url: str | None = None  #: to be called for this job, besides the tenant's endpoints
    webhook_events: Sequence[str] | None = None
    route: str | None = None  #: why it is this version
    id: uuid.UUID = field(default_factory=ids.uuid7)

    @property
    def place(self) -> Place:
        return Place(self.caller.tenant_id, self.caller.tier, self.pool, self.kind, self.priority, cost=self.units)


@dataclass(frozen=True)
class _Ready:
    """A job as it is stored, but for where it stands."""

    new: NewJob
    row: Mapping[str, Any]

    @classmethod
    def of(cls, new: NewJob) -> _Ready:
        return cls(new, _row(new))


class Submitter:
    """Where jobs come in: stored, put in their place, and a worker woken."""

    def __init__(self, engine: sqlalchemy.Engine, line: broker.Line, hints: broker.Hints, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._hints = hints
        self._fairness = Fairness(engine, line)
        self._backlog = Backlog(engine)
        self._no_room_at: float | None = None
        self._together = Together(self._store, MOST)

    def submit(
        self, new: NewJob, key: idempotency.Key | None = None, reply: Mapping[str, Any] | None = None
    ) -> idempotency.Earlier | None:
        """Store the job and wake a worker; when this returns, the job will end, whatever dies in between.

        With a key, the job, the key and its reply are one transaction; a key that was used before returns what it
        stands for, and nothing new is stored. Raises BacklogFull, IdempotencyMismatch, IdempotencyInProgress, and
        Unavailable when the database cannot say that it committed: nothing was promised then.
        """
        with self._storing():
            self._admit(new.place)
            ready = _Ready.of(new)
            if key is None and new.webhook_url is None and len(ready.row["inputs"]) <= MOST_CHARACTERS:
                self._together.write(ready)
            elif found := self._store_with(ready, key, reply):
                return found
        self._committed(new.kind, new.model, new.pool)
        return None

    def submit_all(self, several: Sequence[NewJob]) -> list[Exception | None]:
        """Store jobs of which none has a key, a receiver of its own or large inputs, and wake workers for them; of
        each, what `submit` would have raised."""
        faults = [self._not_admitted(new.place) for new in several]
        admitted = [at for at, fault in enumerate(faults) if fault is None]
        stored = together.written(self._store, [_Ready.of(several[at]) for at in admitted]) if admitted else []
        for at, fault in zip(admitted, stored, strict=True):
            faults[at] = self._seen(fault)
        accepted = [new for new, fault in zip(several, faults, strict=True) if fault is None]
        for new in accepted:
            metrics.ACCEPTED.labels(new.kind.counted_as(new.model)).inc()
        for pool in {new.pool for new in accepted}:
            self._hints.send(pool)
        return faults

    def _store(self, several: Sequence[_Ready]) -> None:
        """All of them or none."""
        values = self._values(several)
        with database.alone(self._engine) as connection:
            connection.execute(_INSERT, values)

    def _store_with(
        self, ready: _Ready, key: idempotency.Key | None, reply: Mapping[str, Any] | None
    ) -> idempotency.Earlier | None:
        """With the key, and what it is told with when it ends; or what the key stands for."""
        new, values = ready.new, self._values([ready])
        with self._engine.begin() as connection:
            found = idempotency.claim(connection, key, job_id=new.id, reply=reply) if key else None
            if isinstance(found, idempotency.Earlier):
                return found
            if new.webhook_url is not None:
                signing_keys.ensure(connection, self._seal, (new.caller.tenant_id, None))
            connection.execute(_INSERT, values)
        return None

    def again(
        self,
        old: Job,
        new_id: uuid.UUID,
        *,
        caller: Caller,
        request_id: str,
        max_attempts: int,
        timeout_s: int,
        inputs: Mapping[str, Any] | None = None,
        key: idempotency.Key | None = None,
        reply: Mapping[str, Any] | None = None,
    ) -> idempotency.Earlier | None:
        """Hand in an ended job once more, as a new job linked to it, with these inputs if they are not the same.

        Raises as `submit`, InvalidInput where the tier does not offer its priority or `expires_in_s` any more, and
        JobStateConflict.
        """
        caller.tier.check(priority=old.priority, ttl_s=(old.expires_at - old.created_at).total_seconds())
        with self._storing():
            place = Place(caller.tenant_id, caller.tier, old.pool, kinds.find(old.kind), old.priority, cost=old.cost)
            self._admit(place)
            [offset_s] = self._fairness.offsets_s([place])
            values = {"id": new_id, "old": old.id, "offset_s": offset_s}
            values["batches"] = place.kind.batches
            values |= _charged(caller)
            values |= {"max_attempts": max_attempts, "timeout_s": timeout_s, "request_id": request_id}
            values["inputs"] = database.dumps(inputs) if inputs else None
            with self._engine.begin() as connection:
                found = idempotency.claim(connection, key, job_id=new_id, reply=reply) if key else None
                if isinstance(found, idempotency.Earlier):
                    return found
                if connection.execute(_AGAIN, values).first() is None:
                    raise old.conflict("retried")
        self._committed(place.kind, old.model, old.pool)
        return None

    @property
    def accepts(self) -> bool:
        """Whether the database has room for a job, as far as the last attempts tell: one that found none says so for
        a while, or until one succeeds."""
        return self._no_room_at is None or time.monotonic() - self._no_room_at > NO_ROOM_S

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        """Raises Unavailable for an outage."""
        try:
            yield
        except database.OUTAGES as error:
            raise self._unavailable(error) from error
        self._no_room_at = None

    def _unavailable(self, error: BaseException) -> errors.Unavailable:
        if database.is_full(error):
            self._no_room_at = time.monotonic()
        return database.unavailable(error)

    def _seen(self, fault: Exception | None) -> Exception | None:
        """What is said of one that was tried with others."""
        if fault is None:
            self._no_room_at = None
        return self._unavailable(fault) if isinstance(fault, database.OUTAGES) else fault

    def _not_admitted(self, place: Place) -> Exception | None:
        try:
            self._admit(place)
        except (errors.BacklogFull, *database.OUTAGES) as error:
            return self._seen(error)
        return None

    def _admit(self, place: Place) -> None:
        """Raises BacklogFull."""
        if self._backlog.admit(place.tenant_id, place.tier.max_pending):
            self._fairness.start_afresh(place.tenant_id, place.pool)

    def _values(self, several: Sequence[_Ready]) -> dict[str, str]:
        """Of each column an array, with where each job stands among them."""
        offsets_s = self._fairness.offsets_s([ready.new.place for ready in several])
        rows = [{**ready.row, "offset_s": offset_s} for ready, offset_s in zip(several, offsets_s, strict=True)]
        return {name: database.array(row[name] for row in rows) for name in _TYPES}

    def _committed(self, kind: kinds.Kind, model: str, pool: str) -> None:
        metrics.ACCEPTED.labels(kind.counted_as(model)).inc()
        self._hints.send(pool)


def _row(new: NewJob) -> dict[str, Any]:
    inputs, count = database.dumps(new.inputs), len(new.inputs) if isinstance(new.inputs, list) else 1
    shares = count <= MOST_SHARED and len(inputs) <= MOST_CHARACTERS_SHARED
    lane = f"{new.pool}/{new.kind.name}/{new.model}/{new.version}"
    return {
        "id": new.id,
        **_charged(new.caller),
        "kind": new.kind.name,
        "batches": new.kind.batches and shares,
        "pool": new.pool,
        "model": new.model,
        "version": new.version,
        "route": new.route,
        "lane": lane if shares else f"{lane}/alone",
        "priority": new.priority,
        "ttl_s": new.ttl_s,
        "timeout_s": new.timeout_s,
        "cost": new.units,
        "max_attempts": new.max_attempts,
        "inputs": inputs,
        "options": database.dumps(new.options),
        "metadata": database.dumps(new.metadata),
        "request_id": new.request_id,
        "webhook_url": new.webhook_url,
        "webhook_events": None if new.webhook_events is None else f"{{{','.join(new.webhook_events)}}}",
    }


def _charged(caller: Caller) -> dict[str, Any]:
    """Whose the job is, and at which price."""
    return {"tenant_id": caller.tenant_id, "key_id": caller.key_id, "unit_price": caller.tier.unit_price}
