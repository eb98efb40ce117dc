"""What a process is made of: each part once, from the settings that it needs, and with an end to what it may have."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import flask
import pytest
import sqlalchemy
from sqlalchemy import text

from access.chores import of_access
from core import errors
from registry.judging.witness import Sight
from registry.routes import Unit
from storage.objects import Store
from tests import callers
from tests.changed import changed
from tests.conftest import ROOT, Platform, until
from wiring.base import Base, Lazy, Limits, part
from wiring.door import Door
from wiring.operator import Operator
from workers import node


class Slow(Lazy):
    """Whose part takes a moment to be made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[int] = []

    @part
    def one(self) -> object:
        """The only one."""
        self.made.append(threading.get_ident())
        time.sleep(0.02)
        return object()

    @part
    def other(self) -> object:
        return self.one


def test_a_part_is_made_at_its_first_use_and_once_however_many_ask_at_once() -> None:
    slow = Slow()
    assert slow.made == []
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: slow.one, range(8)))
    assert found == {slow.one} == {slow.other}
    assert len(slow.made) == 1
    assert Slow().one not in found
    assert isinstance(Slow.one, part)
    assert Slow.one.__doc__ == "The only one."


@pytest.fixture
def base(platform: Platform) -> Iterator[Base]:
    made = Base(platform.settings, application="coatcheck-test", limits=Limits(connections=1, statement_s=7.0))
    yield made
    made.close()


def asked(engine: sqlalchemy.Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())


def test_what_is_closed_leaves_no_connection_and_connects_anew_when_it_is_used_again(
    base: Base, platform: Platform
) -> None:
    def there() -> int:
        return len(platform.rows("SELECT FROM pg_stat_activity WHERE application_name LIKE 'coatcheck-test %'"))

    assert asked(base.engine, "statement_timeout") == "7s"
    assert there() == 1
    base.close()
    until(lambda: there() == 0)
    assert asked(base.engine, "application_name").startswith("coatcheck-test ")


def test_a_door_that_is_closed_has_written_what_it_knew_and_leaves_neither_a_thread_nor_a_connection(
    platform: Platform,
) -> None:
    before, key = set(threading.enumerate()), callers.key(platform)
    door = Door(changed(platform.settings, max_errors=5), application="coatcheck-door", limits=Limits(connections=1))
    caller = door.callers.verify(key.token, "192.0.2.1")
    door.gate.write_down(caller, "sentiment", "1.0.0", 3)
    door.conduct.failed(caller.subject, caller.tenant_id, 1000.0)
    door.witness.add(Sight("sentiment", "canary none", Unit("req_1", "c"), 0.0))
    door.close()
    mine = {"tenant": caller.tenant_id, "key": key.id, "subject": caller.subject}
    found = platform.one(
        """SELECT (SELECT sum(units) FROM usage WHERE tenant_id = :tenant),
          (SELECT last_used_at IS NOT NULL FROM api_keys WHERE id = :key),
          (SELECT level FROM blocks WHERE subject = :subject)""",
        **mine,
    )
    assert tuple(found) == (3, True, 1)
    assert "witness" not in {thread.name for thread in set(threading.enumerate()) - before}
    until(lambda: not {thread for thread in threading.enumerate() if thread.name == "ledger"} - before)
    until(lambda: not platform.rows("SELECT FROM pg_stat_activity WHERE application_name LIKE 'coatcheck-door %'"))


def test_one_tenant_has_only_its_part_of_the_places_where_requests_wait(platform: Platform) -> None:
    door = Door(changed(platform.settings, max_waiters=8), application="coatcheck-door", limits=Limits(connections=1))
    tenant, other = uuid4(), uuid4()
    for _ in range(2):
        door.waiters.take(tenant)
    with pytest.raises(errors.Busy, match="Your tenant has 2"):
        door.waiters.take(tenant)
    for _ in range(2):
        door.waiters.take(other)
    door.close()


def test_whatever_of_a_door_writes_by_itself_is_waited_for_if_it_is_there(platform: Platform) -> None:
    waited: list[str] = []
    for names in (["ledger", "conduct", "used"], ["conduct"], []):
        door = Door(platform.settings, application="coatcheck-door")
        for name in names:
            vars(door)[name] = SimpleNamespace(close=functools.partial(waited.append, name))
        waited.clear()
        door.close()
        assert waited == names


def size(engine: sqlalchemy.Engine) -> int:
    pool = engine.pool
    assert isinstance(pool, sqlalchemy.QueuePool)
    # As many again where many ask at once.
    assert pool._max_overflow == pool.size()
    return pool.size()


def test_each_process_has_no_more_connections_than_it_needs_under_a_name_that_says_whose_they_are(
    platform: Platform, app: flask.Flask
) -> None:
    api = app.extensions["coatcheck"].engine
    node._parents.cache_clear()
    parents = node._parents().engine
    engines = {"worker": (platform.engine, 6), "heart": (platform.heart, 1), "shadows": (platform.aside, 1),
               "api": (api, 16), "node": (parents, 1)}  # fmt: skip
    for name, (engine, most) in engines.items():
        assert size(engine) == most, name
        assert asked(engine, "application_name").startswith(f"coatcheck-{name} "), name
    for engine, limit in ((platform.engine, "30s"), (platform.heart, "30s"), (api, "10s")):
        assert asked(engine, "statement_timeout") == limit
    assert size(Base(platform.settings, application="x").engine) == 2
    parents.dispose()
    node._parents.cache_clear()


def test_a_worker_waits_longer_for_the_store_than_the_api_does(platform: Platform, app: flask.Flask) -> None:
    def patience(store: Store) -> tuple[float, int]:
        config = store.client.meta.config
        return config.read_timeout, config.retries["total_max_attempts"]  # type: ignore[attr-defined]

    here = app.extensions["coatcheck"]
    assert patience(platform.store) == (20, 4)
    assert patience(here.store) == (5, 2)
    # Who only wants to know whether it is there waits for neither.
    assert patience(here.readiness._make.__self__.store) == (2, 1)


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("engine", ("DATABASE_URL",)),
        ("store", ("S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY")),
        ("catalog", ("DATABASE_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY")),
    ],
)
def test_a_part_of_a_command_needs_its_own_settings_and_no_others(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str, needed: tuple[str, ...]
) -> None:
    for other in platform.engines.env:
        if other.startswith(("COATCHECK_", "DATABASE_", "REDIS_", "S3_")) and other not in needed:
            monkeypatch.delenv(other, raising=False)
    assert getattr(Operator(), name) is not None
    for lacks in needed:
        with monkeypatch.context() as patch:
            patch.delenv(lacks)
            with pytest.raises(errors.SettingsInvalid, match=lacks):
                getattr(Operator(), name)


#: How often each chore is done, in seconds.
EVERY_S = {
    "rescue": 2, "expire": 2, "advance": 2, "wake": 2, "forget jobs": 2, "forget uploads": 60, "forget keys": 2,
    "forget models": 60, "forget bundles": 600, "forget canaries": 2, "forget shadows": 2, "forget workers": 60,
    "take back deliveries": 2, "wake senders": 2, "give up deliveries": 2, "forget deliveries": 2,
    "forget troubles": 600,
    "add up usage": 2, "forget usage": 2, "tell of quotas": 10, "forget blocks": 60, "show jobs": 2,
}  # fmt: skip


def test_every_chore_of_every_room_is_done_by_the_io_worker_once(platform: Platform) -> None:
    names = [chore.name for chore in platform.chores]
    assert len(set(names)) == len(names)
    assert {chore.name: chore.every_s for chore in platform.chores} == EVERY_S
    with_surges = of_access(platform.engine, max_errors=1, keep_days=1)
    assert [(chore.name, chore.every_s) for chore in with_surges[-1:]] == [("find surges", 60)]
    assert names[-1] == "show jobs"


HEAVY = ("onnxruntime", "tokenizers", "PIL", "soundfile", "pypdfium2", "jwt")
READY = """
from core import settings
from jobs.presence import Presence
from wiring.worker import Worker
Worker(settings.load(), Presence("n/i/2"), asked_to_stop=lambda: False).get_ready()
"""


def loaded(begins: str, *names: str) -> str:
    """Which of these modules a process has when it has begun so."""
    code = f"{begins}\nimport sys; print(*(name for name in {names} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.mark.usefixtures("platform")
def test_what_runs_models_is_loaded_before_the_first_job_and_what_is_large_by_nobody_who_has_no_use_for_it() -> None:
    assert loaded(READY, *HEAVY) == "onnxruntime"
    for begins in ("import workers.resources", "import cli.main", "import api"):
        assert loaded(begins, *HEAVY) == "", begins


def test_a_worker_loads_nothing_of_what_serves_callers() -> None:
    assert loaded("import wiring.worker", "serving.serving", "access.callers", "wiring.door") == ""
