"""The one way to Postgres."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
import sqlalchemy
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy import exc

from core import errors

T = TypeVar("T")

#: What a lost, restarting or overloaded Postgres looks like.
OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)


def create_engine(url: str, *, pool_size: int = 5, application: str = "coatcheck") -> sqlalchemy.Engine:
    """A pooled engine whose every wait has an end: 3 s to connect, 30 s a statement, 10 s idle in a transaction."""
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    return sqlalchemy.create_engine(
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
            "options": "-c timezone=UTC -c statement_timeout=30000 -c idle_in_transaction_session_timeout=10000"
            " -c lock_timeout=5000",
        },
    )


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def insist(write: Callable[[], T], *, for_s: float) -> T:
    """Repeat a write that is safe to repeat through an outage, as long as it makes sense; raises the outage after
    that."""
    ends_at = time.monotonic() + for_s
    while True:
        try:
            return write()
        except OUTAGES:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.2)


def unavailable() -> errors.Unavailable:
    """What an outage of Postgres is to everyone above."""
    return errors.Unavailable(
        "The database does not answer at the moment; try again, with an Idempotency-Key so that nothing is done twice"
    )


def loads(text: str) -> Any:
    return orjson.loads(text)
