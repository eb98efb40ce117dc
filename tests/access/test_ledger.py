"""What is answered at once is in the ledger soon, and once, and whoever answers waits for none of it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import flask.testing
import pytest
import sqlalchemy
from sqlalchemy import event, exc

from access import ledger
from access.keys import Caller
from access.ledger import Ledger
from core import database
from local.child import Child
from tests import callers, factories
from tests.api.world import GOOD
from tests.callers import Key
from tests.conftest import Platform, until

PREDICT = "/api/v1/predict"
GRAINS: Any = {"inputs": [GOOD, {"text": ""}, GOOD], "options": {"return_errors": "individual"}}


def written(platform: Platform, tenant_id: uuid.UUID) -> list[tuple[object, ...]]:
    """A tenant's, added up by everything that the ledger tells apart."""
    found = platform.rows(
        "SELECT kind, model, version, key_id, sum(calls), sum(units), sum(price) FROM usage WHERE tenant_id = :id"
        " GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4",
        id=tenant_id,
    )
    return [tuple(row) for row in found]


def tenant_of(platform: Platform, key: Key) -> uuid.UUID:
    return uuid.UUID(str(platform.one("SELECT id FROM tenants WHERE name = :name", name=key.tenant)[0]))


@pytest.fixture
def priced(platform: Platform) -> Key:
    """Of a tenant that pays for a unit."""
    return callers.key(platform, tier=callers.tier(platform, unit_price=0.000_25), tenant=callers.name("tenant"))


def test_what_is_answered_at_once_is_charged_by_the_input_and_what_is_refused_or_repeated_is_not(
    platform: Platform, app: flask.Flask, priced: Key
) -> None:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {priced.token}"
    once = {"Idempotency-Key": "k"}
    answers = [
        client.post(PREDICT, json={"inputs": GOOD}),
        client.post(PREDICT, json={"inputs": GOOD}, headers=once),
        client.post(PREDICT, json={"inputs": GOOD}, headers=once),
        client.post(PREDICT, json={"inputs": {"text": ""}}),
        client.post(f"{PREDICT}/batch", json=GRAINS),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 422, 200]
    mine = ("inline", "sentiment", "1.0.0", priced.id, 3, 4, Decimal("0.001"))
    until(lambda: written(platform, tenant_of(platform, priced)) == [mine])


def test_an_answer_at_once_asks_the_database_nothing(app: flask.Flask, client: flask.testing.FlaskClient) -> None:
    def ask() -> int:
        return client.post(PREDICT, json={"inputs": GOOD}).status_code

    by: list[str] = []
    engine = app.extensions["coatcheck"].engine

    def note(*_: object) -> None:
        by.append(threading.current_thread().name)

    # What the process knows for some seconds, of the key and the model, it has to look up once.
    assert ask() == 200
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert [ask() for _ in range(50)] == [200] * 50
        until(lambda: "ledger" in by)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    # But for what it forgets meanwhile, where all of them take longer than it remembers.
    assert by.count("MainThread") < 10


@pytest.fixture
def fragile(platform: Platform) -> Iterator[sqlalchemy.Engine]:
    made = database.create_engine(platform.settings.database_url)
    yield made
    made.dispose()


class Quiet(Ledger):
    """One that is written when the test says so."""

    def _start(self) -> None: ...


def lose(connection: sqlalchemy.Connection) -> None:
    """The answer to a COMMIT."""
    connection.connection.dbapi_connection.commit()
    raise exc.OperationalError("COMMIT", {}, Exception("the connection is lost"))


def gone(connection: sqlalchemy.Connection) -> None:
    raise exc.OperationalError("COMMIT", {}, Exception("the connection is lost"))


@pytest.mark.parametrize("fault", [lose, gone])
def test_what_could_not_be_written_or_may_have_been_is_written_once_and_waits_in_little_room(
    platform: Platform, fragile: sqlalchemy.Engine, fault: Callable[[sqlalchemy.Connection], None]
) -> None:
    caller, _ = platform.new_tenant()
    mine = Quiet(fragile)
    mine.add(caller, "sentiment", "1.0.0", units=2)
    event.listen(fragile, "commit", fault)
    for _ in range(1000):
        mine.add(caller, "sentiment", "1.0.0", units=1)
        if _ % 100 == 0:
            with pytest.raises(exc.OperationalError):
                mine.flush()
    assert len(mine._new) + len(mine._sent) == 2
    event.remove(fragile, "commit", fault)
    mine.flush()
    mine.flush()
    assert written(platform, caller.tenant_id) == [
        (ledger.INLINE, "sentiment", "1.0.0", caller.key_id, 1001, 1002, Decimal(0))
    ]


def test_what_is_added_while_it_writes_is_for_the_next_time(platform: Platform, fragile: sqlalchemy.Engine) -> None:
    caller, _ = platform.new_tenant()
    mine = Quiet(fragile)

    def answer_another(*_: object) -> None:
        mine.add(caller, "sentiment", "1.0.0", units=1)

    answer_another()
    event.listen(fragile, "commit", answer_another)
    for calls in range(1, 4):
        mine.flush()
        assert written(platform, caller.tenant_id)[0][4] == calls
        assert mine.unwritten(caller.tenant_id) == 1


def test_a_closed_one_that_could_write_nothing_uses_no_connection_any_more_and_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    lost: list[object] = []
    monkeypatch.setattr(ledger, "log", SimpleNamespace(error=lambda event, **told: lost.append((event, told))))
    dead = database.create_engine("postgresql://a:b@127.0.0.1:1/d")
    event.listen(dead, "handle_error", lambda _: tried.append(threading.current_thread().name))
    mine = Ledger(dead)
    mine.add(factories.caller(uuid.uuid4()), "sentiment", "1.0.0", units=3)
    mine.close()
    assert tried == ["MainThread"]
    until(lambda: mine._thread is not None and not mine._thread.is_alive())
    assert tried == ["MainThread"]
    assert lost == [("usage_lost", {"calls": 1, "units": 3})]


def test_what_is_answered_while_it_writes_when_the_process_ends_is_written_too(
    platform: Platform, fragile: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, mine = factories.caller(factories.tenant(platform)), Ledger(fragile)
    ends = threading.Event()
    main = threading.Thread(target=ends.wait, args=(300,))
    main.start()
    monkeypatch.setattr(ledger, "threading", SimpleNamespace(Thread=threading.Thread, main_thread=lambda: main))

    def answer_another(_: sqlalchemy.Connection) -> None:
        mine.add(caller, "sentiment", "1.0.0", units=1)
        ends.set()
        main.join()

    event.listen(fragile, "commit", answer_another, once=True)
    mine.add(caller, "sentiment", "1.0.0", units=1)
    until(lambda: mine._thread is not None and not mine._thread.is_alive())
    (found,) = written(platform, caller.tenant_id)
    assert found[4:6] == (2, 2)


def test_who_is_answered_while_there_is_no_thread_to_be_had_is_written_down_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, mine = factories.caller(factories.tenant(platform)), Ledger(platform.engine)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        mine.add(caller, "sentiment", "1.0.0", units=1)
    mine.add(caller, "sentiment", "1.0.0", units=1)
    until(lambda: written(platform, caller.tenant_id))
    mine.close()
    (found,) = written(platform, caller.tenant_id)
    assert found[4:6] == (2, 2)


def test_many_threads_add_up(platform: Platform) -> None:
    caller = factories.caller(factories.tenant(platform), unit_price=Decimal("0.5"))
    other = factories.caller(caller.tenant_id, unit_price=Decimal(2))
    mine = Quiet(platform.engine)

    def add(who: Caller) -> None:
        for _ in range(2000):
            mine.add(who, "sentiment", "1.0.0", units=3)
            if _ % 500 == 0:
                mine.flush()

    threads = [threading.Thread(target=add, args=(who,)) for who in (caller, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mine.flush()
    (found,) = written(platform, caller.tenant_id)
    assert found[4:] == (16_000, 48_000, Decimal(24_000) * Decimal("2.5"))


def test_a_clean_stop_of_the_api_loses_nothing_that_was_answered(
    platform: Platform, spawn: Callable[..., Child], tmp_path: Path
) -> None:
    key, place = callers.key(platform), tmp_path / "api"
    child = spawn("api", "cli.main", "serve", "--socket", str(place))
    until(lambda: answers(place))
    for _ in range(100):
        assert ask(place, key) == 200
    child.ask_to_stop()
    assert child.wait(300) == 0
    (found,) = written(platform, tenant_of(platform, key))
    assert found[4] == 100


def answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as wire:
        return wire.connect_ex(str(place)) == 0


def ask(place: Path, key: Key) -> int:
    """For a prediction, at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(place))
        asked = http.client.HTTPConnection("localhost")
        asked.sock = wire
        headers = {"Content-Type": "application/json", **key.headers}
        asked.request("POST", PREDICT, json.dumps({"inputs": GOOD}), headers)
        return asked.getresponse().status
