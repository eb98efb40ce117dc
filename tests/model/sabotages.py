"""Broken versions of the core, each by a few words of its SQL, and what is to be said of it. The product knows nothing
of this: the words are changed in the memory of the test, and in a database that is thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import pytest
import sqlalchemy
from sqlalchemy import text

from jobs import chores, claim, lease, queries, rescue, settle
from jobs.bulk import progress
from jobs.job import Status
from tests.model.tables import BULK, World

ONE = World(("job 1",))
FILE = World((BULK,))

FENCE, MINE = " AND attempt = :attempt", " AND jobs.attempt = mine.attempt"
HELD = " AND worker IS NOT NULL"


@dataclass(frozen=True)
class Words:
    """Of one statement of the product."""

    module: ModuleType
    name: str
    before: str
    after: str = ""
    key: Status | None = None  #: of a statement in a mapping

    @contextmanager
    def changed(self, admin: sqlalchemy.Engine) -> Iterator[None]:
        holder = vars(self.module) if self.key is None else vars(self.module)[self.name]
        key = self.name if self.key is None else self.key
        statement = str(holder[key])
        assert self.before in statement, f"{self.module.__name__}.{self.name} does not say: {self.before}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(holder, key, text(statement.replace(self.before, self.after)))
            yield


@dataclass(frozen=True)
class Body:
    """Words of one function of the database."""

    name: str
    before: str
    after: str = ""

    @contextmanager
    def changed(self, admin: sqlalchemy.Engine) -> Iterator[None]:
        with admin.begin() as connection:
            whole = connection.execute(text(f"SELECT pg_get_functiondef('{self.name}'::regproc)")).scalar_one()
        assert self.before in whole, f"{self.name} does not say: {self.before}"
        self._define(admin, whole.replace(self.before, self.after))
        try:
            yield
        finally:
            self._define(admin, whole)

    def _define(self, admin: sqlalchemy.Engine, whole: str) -> None:
        with admin.begin() as connection:
            connection.execute(text(whole))


@dataclass(frozen=True)
class Sabotage:
    """What is changed, what is said of it, and the world and the faults that it takes to find it."""

    change: Words | Body
    said: str
    world: World = ONE
    faults: int = 1


def _unfenced(name: str) -> Sabotage:
    return Sabotage(Words(settle, name, MINE if name in ("_COMPLETE", "_GIVE_BACK") else FENCE), _FOREIGN)


def _of_files(name: str, before: str, after: str, said: str, faults: int = 0) -> Sabotage:
    return Sabotage(Words(progress, name, before, after), said, FILE, faults)


_FOREIGN = "changed by whom it did not belong to"
_WAITS = "though its tenant canceled it"
_NEW_LIFE = "AND NOT starts_with(worker, :incarnation || '/')"
_OVER = "lease_expires_at < clock_timestamp()"
_TWICE = "FROM (SELECT * FROM now_rows UNION ALL SELECT * FROM now_rows) job"
_CANCELED = "cancel_requested_at IS NULL THEN 'processing'"
_TERMINAL = "OLD.status IN ('completed', 'failed', 'canceled', 'expired')"

SABOTAGES = {
    "complete without the fence": _unfenced("_COMPLETE"),
    "fail without the fence": _unfenced("_FAIL"),
    "retry without the fence": _unfenced("_RETRY"),
    "cancel without the fence": _unfenced("_CANCEL"),
    "give back without the fence": _unfenced("_GIVE_BACK"),
    "put off without the fence": _unfenced("_PUT_OFF"),
    "give back at a charge": Sabotage(
        Words(settle, "_GIVE_BACK", "least(max_attempts, 32766) + 1", "max_attempts"), "not pending without a charge"
    ),
    "retry what is canceled": Sabotage(
        Words(settle, "_RETRY", "WHEN cancel_requested_at IS NOT NULL", "WHEN false"), _WAITS
    ),
    "a heartbeat for another's attempt": Sabotage(Words(lease, "_HEARTBEAT", MINE), _FOREIGN),
    "a heartbeat for a parked job": Sabotage(Words(lease, "_HEARTBEAT", HELD), _FOREIGN, FILE),
    "rescue before the lease is over": Sabotage(Words(rescue, "_LEASE_OVER", _OVER, "true"), _FOREIGN),
    "no rescue when the lease is over": Sabotage(Words(rescue, "_LEASE_OVER", _OVER, "false"), "not changed by whom"),
    "rescue of what others hold": Sabotage(Words(rescue, "_CHILD_DIED", "wake_id = :wake_id", "true"), _FOREIGN),
    "rescue of what the new life holds": Sabotage(Words(rescue, "_NODE_BORN_AGAIN", _NEW_LIFE), _FOREIGN),
    "claim past the expiry": Sabotage(Words(claim, "_CLAIM", "AND expires_at > now()"), _FOREIGN),
    "claim before the wait is over": Sabotage(Words(claim, "_CLAIM", "not_before <= now()", "true"), _FOREIGN),
    "a parked job is only asked": Sabotage(Words(queries, "_CANCEL", "OR worker IS NULL"), _WAITS, FILE, 0),
    "cut twice": _of_files("_PARK", HELD, "", "there twice", faults=1),
    "cut by a zombie": _of_files("_PARK", FENCE, "", _FOREIGN, faults=1),
    "park what is canceled": _of_files("_PARK", _CANCELED, "true THEN 'processing'", _WAITS),
    "merge too early": _of_files("_ADVANCE", "open = 0", "open <= 1", "pending again while a chunk runs"),
    "merge twice": _of_files("_ADVANCE", " AND lease_expires_at = 'infinity'", "", _FOREIGN),
    "no merge beside failed rows": _of_files(
        "_ADVANCE", "status IN ('pending', 'processing')", "status <> 'completed'", "nothing will ever end it"
    ),
    "expire what has ended": Sabotage(
        Words(chores, "_EXPIRE_BY", "lower(status) = 'pending' AND", key=Status.PENDING), "is terminal"
    ),
    "no guard of what has ended": Sabotage(Body("jobs_guard", _TERMINAL, "false"), "had ended as"),
    "chunks outlive their parent": Sabotage(
        Body("jobs_cascade", "parent_id = NEW.id", "false"), "its parent has ended", FILE, 0
    ),
    "no event of a cancel": Sabotage(
        Body("jobs_record", "OR (job.cancel_requested_at IS NOT NULL", "OR (false"), "say []"
    ),
    "two events of an end": Sabotage(Body("jobs_record", "FROM now_rows job", _TWICE), "its events say"),
    "nobody is told of an end": Sabotage(
        Body("jobs_announce", "was.finished_at IS NULL", "false"), "its receiver is told 0 times"
    ),
}
#: Seen only where something else is broken as well.
BESIDES = {"no guard of what has ended": "expire what has ended"}
