"""A disk that is full for a while: nothing ends, everybody is told, and it goes on by itself."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from access import keys
from core import broker, database, errors
from core.seal import Seal
from jobs import submit
from local import engines, seaweedfs, state
from local.child import Child, Program
from local.supervisor import Supervisor
from storage.objects import OUTAGES, Store
from tests.conftest import ROOT, Platform, until
from tests.disks import full, mounted, needs_mount

pytestmark = needs_mount


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "400m") as made:
        yield made


def test_the_supervisor_starts_what_died_as_soon_as_there_is_room_and_does_not_end_itself(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Supervisor(disk, {})
    # What it says goes to the same disk.
    with (disk / "up.log").open("a") as log:
        monkeypatch.setattr(sys, "stderr", log)
        made._launch(Program("one", (sys.executable, "-c", "import time; time.sleep(600)"), dict(os.environ)))
        first = made.children[0]
        watching = threading.Thread(target=made.watch)
        watching.start()
        try:
            with full(disk):
                os.kill(first.pid, 9)
                # It has tried, and could not write down what it had started.
                until(lambda: made._due.get(first.pid, 0.0) > first.started_at + 5)
                assert watching.is_alive()
            until(lambda: [item for item in made.children if item.alive])
        finally:
            made.ask_to_stop()
            watching.join(30)
            made.stop()
            monkeypatch.undo()


def test_the_object_store_takes_all_files_again_when_there_is_room_and_keeps_what_it_took(
    disk: Path, platform: Platform
) -> None:
    made = Supervisor(disk, {})
    urls = made.state.urls({})
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    engine = next(item for item in engines.embedded(made.state, urls, environ) if item.program.name == "seaweedfs")
    engine.prepare()
    # Volumes that fit on a small disk.
    command = (*engine.program.command, "-master.volumeSizeLimitMB=16")
    made._launch(dataclasses.replace(engine.program, command=command))
    watching = threading.Thread(target=made.watch)
    watching.start()
    there: dict[str, Any] = {"endpoint_url": urls["S3_ENDPOINT_URL"], "secret_key": urls["S3_SECRET_KEY"]}
    store = Store(
        dataclasses.replace(platform.settings.storage, access_key="coatcheck", **there), read_s=10, attempts=1
    )
    try:
        until(engine.ready)
        until(lambda: takes(store, "made"))
        # What a folder holds is in one of the filer's databases, and each has to be full once.
        names = [f"folder-{number}/file" for number in range(64)]
        with full(disk):
            kept = {name for name in names if takes(store, name)}
            assert kept != set(names)
        until(lambda: all(takes(store, f"{name}-again") for name in names))
        assert all(store.get(name) == name.encode() for name in kept)
    finally:
        made.ask_to_stop()
        watching.join(30)
        made.stop()


def takes(store: Store, name: str) -> bool:
    """Whether a file is stored; the bucket too, where it is not there."""
    try:
        store.ensure_bucket()
        store.put(name, name.encode())
    except (errors.Unavailable, *OUTAGES):
        return False
    return True


@pytest.fixture
def own(disk: Path, platform: Platform) -> Iterator[sqlalchemy.Engine]:
    """The app's engine to a Postgres on that disk, with all tables."""
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    made = state.load(disk / ".coatcheck")
    urls = made.urls({})
    server = next(item for item in engines.embedded(made, urls, environ) if item.program.name == "postgres")
    server.prepare()
    running = Child(server.program, made.logs / "postgres.log", disk)
    try:
        until(server.ready)
        engines.ensure_roles(made)
        migrate = [sys.executable, "-m", "cli.main", "migrate"]
        subprocess.run(migrate, cwd=ROOT, env={**os.environ, **urls}, check=True, capture_output=True)
        engine = database.create_engine(urls["DATABASE_URL"])
        yield engine
        engine.dispose()
    finally:
        running.stop()


def test_a_database_without_room_says_so_keeps_what_it_has_and_takes_jobs_again_at_once(
    disk: Path, own: sqlalchemy.Engine, platform: Platform
) -> None:
    key = keys.create(own, tenant="t", name="n", scopes=keys.CLIENT, tier="pro")
    caller = keys.Keyring(own).verify(key)
    submitter = submit.Submitter(
        own, broker.Line(platform.settings.queue.redis_url), platform.hints, Seal(platform.settings.sealing)
    )
    accepted: list[uuid.UUID] = []

    def hand_in() -> None:
        new = submit.NewJob(
            caller=caller, timeout_s=300, pool="nobody", model="m", version="1.0.0",
            inputs={"text": os.urandom(30_000).hex()}, options={}, metadata={}, request_id="r", ttl_s=3600,
            max_attempts=4,
        )  # fmt: skip
        submitter.submit(new)
        accepted.append(new.id)

    def hand_in_many() -> None:
        for _ in range(2000):
            hand_in()

    hand_in()
    with full(disk):
        with pytest.raises(errors.Unavailable, match="has no room left on its disk"):
            hand_in_many()
        assert not submitter.accepts
    hand_in()
    assert submitter.accepts
    with own.connect() as connection:
        there = set(connection.execute(sqlalchemy.text("SELECT id FROM jobs")).scalars())
    assert there == set(accepted)


def test_a_disk_that_has_gone_ends_nobody_who_looks_at_it(tmp_path: Path) -> None:
    assert not seaweedfs.Disk(tmp_path / "gone").has_room_again()
