"""The one way to Postgres."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import orjson
import psycopg
import sqlalchemy
from sqlalchemy import event, exc

from core import errors

T = TypeVar("T")

#: What may stand in an array: what Python writes as Postgres reads it.
Element = str | int | float | Decimal | uuid.UUID | None

#: What a lost, restarting or overloaded Postgres looks like, and one that may not write.
OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)

#: What Postgres says of itself, by its SQLSTATE, in the words of who waits for it.
_FULL = {
    "53100": "The database has no room left on its disk, and can store nothing",
    "25006": "The database is read-only at the moment, and can store nothing",
}
_SAID = _FULL | {
    "40001": "Others were changing the same at that moment",
    "40P01": "Others were changing the same at that moment",
    "53200": "The database has no memory left for this",
    "53300": "The database takes no more connections",
    "55P03": "What this needs of the database is held by something else",
    "57014": "The database took too long over this",
}
_IN_THE_WAY = ("40001", "40P01", "55P03")
#: A lock is waited for no longer than that: who waits for one holds up whoever comes behind.
LOCK_S = 5.0
#: A connection that was at rest is asked before it is used, and given up when it says nothing for so long.
PING_S = 3.0
#: How much longer than the server's own limit of a statement an answer is waited for: it stands still then.
SPARE_S = 2.0


class _Connection(psycopg.Connection[Any]):
    """One whose every wait has an end on this side too: a server that stands still keeps no limits of its own."""

    patience_s: float | None = PING_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's; raises OperationalError, and closes, after `patience_s`."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # not the server's word: nobody knows what it would still say
                self.pgconn.finish()
            raise


def create_engine(
    url: str, *, pool_size: int = 5, application: str = "coatcheck", statement_s: float | None = 30.0
) -> sqlalchemy.Engine:
    """A pooled engine whose every wait has an end: 3 s to connect, `statement_s` a statement (None: any time), 10 s
    idle in a transaction, LOCK_S for a lock."""
    engine = sqlalchemy.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=1800,
        json_serializer=dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 3,
            "tcp_user_timeout": 10_000,
            "application_name": application,
            "options": f"-c timezone=UTC -c statement_timeout={(statement_s or 0) * 1000:.0f}"
            f" -c idle_in_transaction_session_timeout=10000 -c lock_timeout={LOCK_S * 1000:.0f}",
        },
    )
    _limit_waits(engine, None if statement_s is None else statement_s + SPARE_S)
    event.listen(engine, "handle_error", _as_outage)
    return engine


def take_turn(connection: psycopg.Connection, say: Callable[[str], object]) -> None:
    """Wait for whoever else changes tables or roles, of whom `say` is told, for as long as that takes; then the turn is
    ours until the connection ends."""
    mine = connection.execute("SELECT pg_try_advisory_lock(727274)").fetchone()
    if mine != (True,):
        say("Somebody else changes the tables or roles of this database: waiting for them")
        connection.execute("SET lock_timeout = 0")
        connection.execute("SELECT pg_advisory_lock(727274)")
        connection.execute(f"SET lock_timeout = '{LOCK_S * 1000:.0f}ms'".encode())


def _limit_waits(engine: sqlalchemy.Engine, patience_s: float | None) -> None:
    """Of every connection: at rest PING_S, in use `patience_s`."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> _Connection:
        return _Connection.connect(*arguments, **named)

    @event.listens_for(engine, "checkout")
    def use(connection: _Connection, *_: Any) -> None:
        connection.patience_s = patience_s

    @event.listens_for(engine, "checkin")
    def rest(connection: _Connection | None, *_: Any) -> None:
        if connection is not None:
            connection.patience_s = PING_S


def _as_outage(context: sqlalchemy.ExceptionContext) -> None:
    """A connection that is gone is an outage, whatever Postgres said last: not all of it is an OperationalError."""
    error = context.original_exception
    if context.is_disconnect and not isinstance(context.sqlalchemy_exception, OUTAGES):
        raise exc.OperationalError(context.statement, context.parameters, error, connection_invalidated=True) from error


@contextlib.contextmanager
def alone(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection each of whose statements is a transaction of its own: a round trip, where it has three else."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


@contextlib.contextmanager
def reading(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection to read by, where each statement sees what is committed when it begins; an outage is
    Unavailable."""
    try:
        with alone(engine) as connection:
            yield connection
    except OUTAGES as error:
        raise unavailable(error) from error


@contextlib.contextmanager
def writing(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A transaction, committed at its end; an outage is Unavailable: nobody knows then whether it was."""
    try:
        with engine.begin() as connection:
            yield connection
    except OUTAGES as error:
        raise unavailable(error) from error


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def array(values: Iterable[Element]) -> str:
    """An array as Postgres reads it, quicker than element by element (psycopg's way, in Python)."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Element) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "NULL" if value is None else str(value)


def insist(write: Callable[[], T], *, for_s: float) -> T:
    """Repeat a write that is safe to repeat through an outage, as long as it makes sense; raises the outage after
    that. While the database only has no room, it makes sense: whoever holds the work keeps it."""
    ends_at = time.monotonic() + for_s
    while True:
        try:
            return write()
        except OUTAGES as error:
            if is_full(error):
                ends_at = time.monotonic() + for_s
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.2)


def is_of_others(error: BaseException) -> bool:
    """Whether it is only that somebody was in the way, who may be gone by now; nothing was changed."""
    return _sqlstate(error) in _IN_THE_WAY


def is_full(error: BaseException) -> bool:
    """Whether the database answers, and only cannot store anything."""
    return _sqlstate(error) in _FULL


def unavailable(error: BaseException) -> errors.Unavailable:
    """What an outage of Postgres is to everyone above."""
    if isinstance(error, exc.TimeoutError):
        words = "Every connection to the database is in use"
    else:
        words = _SAID.get(_sqlstate(error), "The database does not answer at the moment")
    return errors.Unavailable(f"{words}; try again, with an Idempotency-Key so that nothing is done twice")


def _sqlstate(error: BaseException) -> str:
    """Empty where the server did not say anything."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def loads(text: str) -> Any:
    return orjson.loads(text)
