"""A state in the tables: written there, and read back. Nothing of it is ever committed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from access.keys import Caller
from core import broker, database
from core.seal import Seal
from core.settings import Settings
from jobs import kinds, submit
from jobs.bulk.plan import Plan, Span
from jobs.job import TERMINAL, Claimed, ReturnErrors
from jobs.payloads import Chunk
from tests.model.state import Hand, Row, State

PLAN = Plan("key", "etag", None, [Span(0, 10, line=1, rows=5), Span(10, 20, line=6, rows=5)])
CHUNKS = tuple(f"chunk {number}" for number, _ in enumerate(PLAN.spans, 1))
LEASE_S = 86400.0
HOOK = "https://receiver.example/hook"
WANTED = tuple(f"job.{status}" for status in TERMINAL)
BULK = "bulk job"


@dataclass(frozen=True)
class World:
    """Which jobs are handed in; a bulk job is cut into CHUNKS."""

    jobs: tuple[str, ...] = ("job 1", "job 2")
    max_attempts: int = 2
    fail_fast: bool = False
    cancels: bool = True  #: their tenant may cancel them


#: A Redis that is away.
NOWHERE = "redis://127.0.0.1:1/0"
# Times are far enough from now that no slow machine confuses them.
_WRITE = """
WITH given AS (
  SELECT * FROM json_to_recordset($1) AS given (
    id uuid, parent_id uuid, kind text, batches bool, name text, status text, attempt int, max_attempts int, lost int,
    worker text, wake text, lease text, due bool, expired bool, asked bool, progress int, place int, error bool,
    charged int, result int, told int, inputs json, options json, hook text, wanted text[])
), stored AS (
  INSERT INTO jobs (id, parent_id, tenant_id, kind, batches, pool, model, version, lane, status, fair_at, not_before,
    expires_at, attempt, max_attempts, lost_count, timeout_s, worker, wake_id, lease_expires_at, cancel_requested_at,
    progress, inputs, options, metadata, error, request_id, webhook_url, webhook_events, finished_at)
  SELECT id, parent_id, $2, kind, batches, 'cpu', 'sentiment', '1.0.0', 'cpu/' || kind || '/sentiment/1.0.0', status,
    now() - interval '1 day' + make_interval(secs => place),
    now() + CASE WHEN due THEN interval '-1 day' ELSE '1 day' END,
    now() + CASE WHEN expired THEN interval '-1 day' ELSE '1 day' END,
    attempt, max_attempts, lost, 60, worker, wake,
    CASE lease WHEN 'endless' THEN 'infinity' WHEN 'live' THEN now() + interval '1 day'
               WHEN 'over' THEN now() - interval '1 day' END,
    CASE WHEN asked THEN now() END, progress, inputs, options, '{}',
    CASE WHEN error THEN '{"code": "EARLIER"}'::json END, name, hook, wanted,
    CASE WHEN status NOT IN ('pending', 'processing') THEN now() END
  FROM given
), charged AS (
  INSERT INTO usage (job_id, tenant_id, model, units) SELECT id, $2, 'sentiment', 1 FROM given WHERE charged > 0
), results AS (
  INSERT INTO job_results (job_id, attempt, body) SELECT id, result, '{}' FROM given WHERE result IS NOT NULL
)
INSERT INTO webhook_deliveries (id, tenant_id, url, target, job_id, event, body)
SELECT id, $2, hook, 'target', id, 'job.' || status, '{}' FROM given WHERE told > 0
"""

# Of a state's events only the new ones are here: those of earlier moves are counted in `ends`.
_READ = """
SELECT json_agg(found ORDER BY name) FROM (
  SELECT CASE WHEN parent_id IS NULL THEN request_id ELSE 'chunk ' || (CAST(inputs ->> 'part' AS int) + 1) END AS name,
    status, attempt, max_attempts - attempt AS left, lost_count AS lost, worker, wake_id AS wake,
    CASE WHEN lease_expires_at = 'infinity' THEN 'endless' WHEN lease_expires_at < now() THEN 'over'
         WHEN lease_expires_at IS NOT NULL THEN 'live' END AS lease,
    not_before <= now() AS due, expires_at <= now() AS expired, cancel_requested_at IS NOT NULL AS asked, progress,
    row_number() OVER (ORDER BY fair_at, id) AS place, error IS NOT NULL AS error,
    (SELECT count(*) FROM usage WHERE job_id = jobs.id) AS charged,
    (SELECT attempt FROM job_results WHERE job_id = jobs.id) AS result,
    (SELECT count(*) FROM webhook_deliveries WHERE job_id = jobs.id) AS told,
    ARRAY(SELECT type FROM job_events WHERE job_id = jobs.id ORDER BY id) AS events
  FROM jobs
) AS found
"""

Events = dict[str, list[str]]


class Tables:
    """The database, as everybody sees it: one connection, in one transaction, which SQLAlchemy (AUTOCOMMIT) leaves to
    us."""

    def __init__(self, connection: sqlalchemy.Connection, caller: Caller, settings: Settings, world: World) -> None:
        self._connection = connection
        # It is told already, and cannot be told once more within what is a transaction to Postgres alone.
        connection.execution_options = lambda **_: connection  # type: ignore[method-assign]
        self._driver = connection.connection.dbapi_connection
        self.caller = caller
        self.world = world
        self.max_losses = settings.jobs.max_losses
        # Redis may be away at any moment; here it always is.
        self._seal, self._line = Seal(settings.sealing), broker.Line(NOWHERE)
        self._run(f"PREPARE model_write (json, uuid) AS {_WRITE}; PREPARE model_read AS {_READ}")

    def _run(self, statements: str) -> bytes | None:
        """Several in one round trip, which takes longer than what it is for; the first value that they give. Not by
        psycopg itself, which after each rollback prepares all of the product's statements anew."""
        self._driver.pgconn.send_query(statements.encode())
        while self._driver.pgconn.flush():
            pass
        value = None
        while result := self._driver.pgconn.get_result():
            assert not result.error_message, result.error_message.decode()
            value = value or (result.get_value(0, 0) if result.ntuples else None)
        return value

    @contextlib.contextmanager
    def holding(self, state: State) -> Iterator[None]:
        """With this state in the tables."""
        rows = database.dumps([self._columns(row) for row in state.rows])
        self._run(f"BEGIN; EXECUTE model_write('{rows}', '{self.caller.tenant_id}'); SAVEPOINT here")
        yield
        self._run("ROLLBACK")

    def read(self, before: State) -> tuple[tuple[Row, ...], Events]:
        """Rows, and the events that have been written since `before`; what was done is taken back then."""
        found = database.loads((self._run("EXECUTE model_read; ROLLBACK TO here") or b"[]").decode())
        events: Events = {values["name"]: values.pop("events") for values in found}
        ends = {row.name: row.ends for row in before.rows}
        for values in found:
            values["ends"] = ends.get(values["name"], 0) + sum(event in TERMINAL for event in events[values["name"]])
        return tuple(Row(**values) for values in found), events

    def forget(self) -> None:
        """What was done is taken back."""
        self._run("ROLLBACK TO here")

    @contextlib.contextmanager
    def begin(self) -> Iterator[sqlalchemy.Connection]:
        """As an Engine's, for the product: each of its transactions is one of our steps."""
        yield self._connection

    connect = begin

    def submitter(self) -> submit.Submitter:
        return submit.Submitter(self, self._line, broker.Hints(NOWHERE, self._line), self._seal)  # type: ignore[arg-type]

    def id_of(self, name: str) -> uuid.UUID:
        return uuid.UUID(int=self._names.index(name) + 1)

    def name_of(self, job_id: uuid.UUID) -> str:
        return self._names[job_id.int - 1]

    def new_job(self, name: str) -> submit.NewJob:
        columns = self._constant(name)
        return submit.NewJob(
            self.caller, "cpu", "sentiment", "1.0.0", columns["inputs"], columns["options"],
            {}, name, ttl_s=86400, timeout_s=60, max_attempts=self.world.max_attempts, kind=kinds.find(columns["kind"]),
            webhook_url=columns["hook"], webhook_events=columns["wanted"], id=columns["id"],
        )  # fmt: skip

    def claimed(self, hand: Hand) -> Claimed:
        """What a worker knows of the job in its hand."""
        columns = self._constant(hand.job)
        return Claimed(
            columns["id"], self.caller.tenant_id, columns["kind"], hand.attempt, hand.attempt + hand.left, "sentiment",
            "1.0.0", 60, columns["inputs"], columns["options"], hand.job,
        )  # fmt: skip

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.world.jobs, *CHUNKS)

    def _columns(self, row: Row) -> dict[str, Any]:
        return {**row._asdict(), "max_attempts": row.attempt + row.left, **self._constant(row.name)}

    def _constant(self, name: str) -> dict[str, Any]:
        """What a job is born with."""
        found = {"id": self.id_of(name), "parent_id": None, "kind": "predict", "batches": True, "inputs": {}}
        found |= {"hook": HOOK, "wanted": WANTED}
        found["options"] = {"return_errors": ReturnErrors.FAIL_FAST} if self.world.fail_fast else {}
        if name in CHUNKS:
            found["parent_id"] = parent = self.id_of(BULK)
            found |= {
                "hook": None,
                "wanted": None,
                "kind": "chunk",
                "batches": False,
                "inputs": Chunk(parent, "key", "etag", None, CHUNKS.index(name), 0, 10, line=1, rows=5).to_json(),
            }
        elif name == BULK:
            found |= {"kind": "bulk", "batches": False, "inputs": {"format": "jsonl"}}
        return found
