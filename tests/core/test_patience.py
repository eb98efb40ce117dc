"""How each engine is asked: with an end to every wait, of which nothing tells before an engine stands still."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import redis
import sqlalchemy

from core import broker, database

NO_REDIS = "redis://127.0.0.1:1/0"
#: Of a process; the tests' own has more.
WAIT_S = broker.WAIT_S


@pytest.mark.parametrize(("statement_s", "limit_ms"), [(30.0, 30_000), (0.5, 500), (None, 0)])
def test_every_wait_for_postgres_has_an_end(
    monkeypatch: pytest.MonkeyPatch, statement_s: float | None, limit_ms: int
) -> None:
    real, asked = sqlalchemy.create_engine, []

    def create(url: str, **named: Any) -> sqlalchemy.Engine:
        asked.append((url, named))
        return real(url, **named)

    monkeypatch.setattr(sqlalchemy, "create_engine", create)
    database.create_engine(
        "postgresql://a@h/d?x=postgresql://", pool_size=3, application="mine", statement_s=statement_s
    )
    options = (
        f"-c timezone=UTC -c statement_timeout={limit_ms} -c idle_in_transaction_session_timeout=10000"
        " -c lock_timeout=5000"
    )
    pool = {
        "pool_size": 3, "max_overflow": 3, "pool_timeout": 5, "pool_pre_ping": True, "pool_recycle": 1800,
        "json_serializer": database.dumps, "json_deserializer": orjson.loads,
    }  # fmt: skip
    connect = {
        "connect_timeout": 3, "tcp_user_timeout": 10_000, "application_name": "mine", "options": options,
    }  # fmt: skip
    assert asked == [("postgresql+psycopg://a@h/d?x=postgresql://", {**pool, "connect_args": connect})]


def test_what_is_not_said_of_a_pool_is_five_connections_of_coatcheck_with_half_a_minute() -> None:
    engine = database.create_engine("postgresql://a@127.0.0.1:1/d")
    arguments = engine.dialect.create_connect_args(engine.url)[1]
    assert (engine.pool.size(), arguments["port"]) == (5, 1)  # type: ignore[attr-defined]


def test_no_call_of_redis_waits_longer_than_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "WAIT_S", WAIT_S)
    line = broker.Line(NO_REDIS)
    assert isinstance(line.redis, redis.Redis)
    named = line.redis.connection_pool.connection_kwargs
    asked = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": None, "health_check_interval": 15}
    assert {name: named[name] for name in asked} == asked
    sends = broker.producer(NO_REDIS).conf
    said = {
        "task_serializer": "json", "result_backend": None, "broker_connection_retry": False,
        "broker_connection_max_retries": 0,
        "broker_transport_options": {
            "socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry_on_timeout": False, "max_retries": 0,
            "global_keyprefix": "coatcheck:",
        },
    }  # fmt: skip
    assert {name: sends[name] for name in said} == said
