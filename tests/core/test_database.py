"""What an outage of Postgres costs whoever waits for it, and what they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace

import flask
import psycopg
import pytest
import sqlalchemy
from psycopg.adapt import Dumper
from sqlalchemy import exc, text

import api
from access import keys
from core import database
from tests.conftest import Platform, until
from tests.frozen import frozen

INPUT = {"inputs": {"text": "Lovely"}}


@pytest.fixture
def engine(platform: Platform) -> Iterator[sqlalchemy.Engine]:
    made = database.create_engine(platform.settings.database_url, statement_s=2)
    yield made
    made.dispose()


def test_a_frozen_postgres_costs_a_request_seconds_and_is_said(
    platform: Platform, client: flask.testing.FlaskClient
) -> None:
    assert client.post("/api/v1/jobs", json=INPUT).status_code == 202
    with frozen(platform.engines.running["postgres"].pid):
        for _ in range(2):
            started = time.monotonic()
            answer = client.post("/api/v1/jobs", json=INPUT)
            # 3 s for a connection at rest and 3 s for a new one; without a limit on this side it has no end.
            assert time.monotonic() - started < 20
            assert (answer.status_code, answer.json["error"]["code"]) == (503, "UNAVAILABLE")
            assert "does not answer" in answer.json["error"]["message"]
        assert client.get("/healthz").status_code == 200
    assert client.post("/api/v1/jobs", json=INPUT).status_code == 202


def test_one_that_freezes_in_the_middle_of_a_statement_is_waited_for_no_longer_than_a_statement_may_take(
    platform: Platform, engine: sqlalchemy.Engine
) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with frozen(platform.engines.running["postgres"].pid):
            started = time.monotonic()
            with pytest.raises(exc.OperationalError):
                connection.execute(text("SELECT 2"))
            assert time.monotonic() - started < 15
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 3")).scalar() == 3


@pytest.mark.parametrize(("statement_s", "limit"), [(None, "0"), (0.5, "500ms"), (2.0, "2s"), (30.0, "30s")], ids=str)
def test_every_session_has_limits_of_its_own_whatever_the_server_is_set_to(
    platform: Platform, statement_s: float | None, limit: str
) -> None:
    made = database.create_engine(platform.settings.database_url, statement_s=statement_s, application="looks")
    try:
        with made.connect() as connection:
            found = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in SESSION}
            # What waits on this side waits a little longer, so that the server's word is heard.
            waits_s = connection.connection.driver_connection.patience_s
    finally:
        made.dispose()
    assert found == {**SESSION, "application_name": "looks", "statement_timeout": limit}
    assert waits_s == (None if statement_s is None else statement_s + 2)


SESSION = {
    "TimeZone": "UTC",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
    "application_name": "coatcheck",
}


class Last(str):
    """What the client refuses to send, as the server hangs up."""


class LastDumper(Dumper):
    def dump(self, obj: Last) -> bytes:
        assert isinstance(self.connection, psycopg.Connection)
        self.connection.close()
        raise psycopg.DataError(obj)


@pytest.mark.parametrize("by", [database.alone, database.reading])
def test_each_statement_is_a_transaction_of_its_own_and_the_next_who_writes_has_one_as_ever(
    engine: sqlalchemy.Engine, by: Callable[[sqlalchemy.Engine], AbstractContextManager[sqlalchemy.Connection]]
) -> None:
    began = text("SELECT now()")
    with by(engine) as connection:
        assert connection.execute(began).scalar_one() < connection.execute(began).scalar_one()
    with engine.begin() as connection:
        assert connection.execute(began).scalar_one() == connection.execute(began).scalar_one()


def test_a_connection_that_is_gone_is_an_outage_whatever_was_said_last(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        connection.connection.driver_connection.adapters.register_dumper(Last, LastDumper)
        with pytest.raises(database.OUTAGES, match="its last words"):
            connection.execute(text("SELECT :said"), {"said": Last("its last words")})
        assert connection.invalidated
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_json_is_read_our_way_by_our_engines_and_by_nobody_else_of_the_process(engine: sqlalchemy.Engine) -> None:
    """Whole numbers of more than 64 bits are floats to us, as they are to JavaScript."""
    asked = "SELECT '100000000000000000000'::json"
    with engine.connect() as connection:
        ours = connection.execute(text(asked)).scalar()
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as others:
        theirs = others.execute(asked).fetchone()[0]
    assert [type(ours), type(theirs)] == [float, int]


def test_a_statement_that_the_server_ends_is_not_called_silence(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(exc.OperationalError) as caught:
            connection.execute(text("SELECT pg_sleep(60)"))
        assert "took too long" in database.unavailable(caught.value).message
        connection.rollback()
        assert connection.execute(text("SELECT 1")).scalar() == 1


@pytest.fixture
def read_only(platform: Platform) -> Iterator[None]:
    """What a managed Postgres does when its disk is full."""
    platform.execute("ALTER ROLE coatcheck_app SET default_transaction_read_only = on")
    yield
    platform.execute("ALTER ROLE coatcheck_app RESET default_transaction_read_only")


def test_a_database_that_takes_no_writes_is_named_and_nobody_is_ready(
    platform: Platform, client: flask.testing.FlaskClient, read_only: None
) -> None:
    app = api.create_app(platform.settings)
    fresh = app.test_client()
    fresh.environ_base = client.environ_base
    assert fresh.get("/ready").json["checks"]["accepts"]  # nobody has tried
    answer = fresh.post("/api/v1/jobs", json=INPUT)
    assert answer.status_code == 503
    assert "The database is read-only at the moment" in answer.json["error"]["message"]
    assert fresh.post("/api/v1/predict", json=INPUT).status_code == 200
    until(lambda: fresh.get("/ready").status_code == 503)
    assert fresh.get("/ready").json["checks"] | {"redis": True} == {
        "database": True, "accepts": False, "redis": True, "storage": True, "clock": True,
    }  # fmt: skip
    app.extensions["coatcheck"].close()


SAID = {
    "53100": "The database has no room left on its disk, and can store nothing",
    "25006": "The database is read-only at the moment, and can store nothing",
    "40001": "Others were changing the same at that moment",
    "40P01": "Others were changing the same at that moment",
    "53200": "The database has no memory left for this",
    "53300": "The database takes no more connections",
    "55P03": "What this needs of the database is held by something else",
    "57014": "The database took too long over this",
    "57P01": "The database does not answer at the moment",
}


def outage(code: str) -> exc.OperationalError:
    """As it is raised where Postgres says this."""
    return exc.OperationalError("", {}, psycopg.errors.lookup(code)())


@pytest.mark.parametrize("code", SAID)
def test_what_postgres_says_of_itself_is_told_in_words_and_whether_to_wait_for_it(code: str) -> None:
    said = database.unavailable(outage(code)).message
    assert said == f"{SAID[code]}; try again, with an Idempotency-Key so that nothing is done twice"
    assert database.is_full(outage(code)) is (code in ("53100", "25006"))
    assert database.is_of_others(outage(code)) is (code in ("40001", "40P01", "55P03"))


def test_that_all_connections_are_in_use_is_told_as_that_and_what_says_nothing_as_silence() -> None:
    words = [database.unavailable(error).message.partition(";")[0] for error in (exc.TimeoutError(), ValueError())]
    assert words == ["Every connection to the database is in use", "The database does not answer at the moment"]


@pytest.mark.parametrize(
    ("fails", "tries", "ends"),
    [
        (lambda number: outage("57P01"), 6, exc.OperationalError),
        (lambda number: outage("53100" if number < 20 else "57P01"), 24, exc.OperationalError),
        (lambda number: outage("57P01") if number < 3 else None, 3, None),
        (lambda number: ZeroDivisionError(), 1, ZeroDivisionError),
    ],
    ids=["away", "full, and then away", "away for a moment", "another fault"],
)
def test_a_write_is_repeated_through_an_outage_for_its_time_and_while_there_is_only_no_room(
    monkeypatch: pytest.MonkeyPatch,
    fails: Callable[[int], Exception | None],
    tries: int,
    ends: type[Exception] | None,
) -> None:
    tried, now = [], [0.0]

    def rest(seconds: float) -> None:
        now[0] += seconds

    def write() -> str:
        tried.append(now[0])
        if fault := fails(len(tried)):
            raise fault
        return "written"

    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=rest))
    if ends is None:
        assert database.insist(write, for_s=0.9) == "written"
    else:
        with pytest.raises(ends):
            database.insist(write, for_s=0.9)
    # Five times a second.
    assert tried == pytest.approx([number / 5 for number in range(tries)])


def test_an_array_holds_what_went_in_whatever_its_texts_are_made_of(engine: sqlalchemy.Engine) -> None:
    texts = [
        "plain", "", " ", "NULL", "null", "a,b", "{}", "{a}", '"', '""', "\\", '\\"', "\\\\", 'a\\"b', "'", "%s",
        ":name", "line\nbreak\ttab\r", "Ünï😀", '{"text": "it\\"s \\u0000, and \\\\"}', None,
    ]  # fmt: skip
    with engine.connect() as connection:
        read = text("SELECT CAST(:texts AS text[]) AS texts, CAST(:numbers AS int[]) AS numbers")
        found = connection.execute(
            read, {"texts": database.array(texts), "numbers": database.array([3, -1, 0, None])}
        ).one()
        assert found == (texts, [3, -1, 0, None])
        assert connection.execute(read, {"texts": database.array([]), "numbers": database.array([])}).one() == ([], [])


def test_a_column_that_a_migration_adds_is_no_fault_of_what_a_process_has_prepared(
    platform: Platform, engine: sqlalchemy.Engine
) -> None:
    caller, key = platform.new_tenant()

    def ask() -> None:
        assert keys.Keyring(engine).verify(key) == caller

    for _ in range(10):  # one connection, which prepares what it is asked for the sixth time
        ask()
    platform.execute("ALTER TABLE tiers ADD COLUMN of_later int")
    try:
        ask()
    finally:
        platform.execute("ALTER TABLE tiers DROP COLUMN of_later")
