"""What a process is made of: each part once, from the settings that it needs, and with an end to what it may have."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import flask
import pytest
import sqlalchemy
from sqlalchemy import text

from core import errors
from storage.objects import Store
from tests.conftest import ROOT, Platform, until
from wiring.base import Base, Lazy, Limits, part
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
    engines = {"worker": (platform.engine, 6), "heart": (platform.heart, 1), "api": (api, 16), "node": (parents, 1)}
    for name, (engine, most) in engines.items():
        assert size(engine) == most, name
        assert asked(engine, "application_name").startswith(f"coatcheck-{name} "), name
    assert size(Base(platform.settings, application="x").engine) == 2
    parents.dispose()
    node._parents.cache_clear()


def test_a_worker_waits_longer_for_the_store_than_the_api_does(platform: Platform, app: flask.Flask) -> None:
    def patience(store: Store) -> tuple[float, int]:
        config = store.client.meta.config
        return config.read_timeout, config.retries["total_max_attempts"]  # type: ignore[attr-defined]

    assert patience(platform.store) == (20, 4)
    assert patience(app.extensions["coatcheck"].store)[1] == 2


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


def test_every_chore_of_every_room_is_done_by_the_io_worker_once(platform: Platform) -> None:
    names = [chore.name for chore in platform.chores]
    assert len(set(names)) == len(names)
    assert {"rescue", "expire", "take back deliveries", "wake senders", "give up deliveries", "forget deliveries",
            "show jobs"} <= set(names)  # fmt: skip
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
