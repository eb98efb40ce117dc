"""A worker whose own disk is full."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import flask.testing
import pytest

from core import errors
from jobs.drain import Drainer
from registry.shelf import Shelf
from tests.bulk.conftest import Send
from tests.bulk.test_life import ROWS, lines, show, submit
from tests.conftest import Platform
from tests.disks import full, mounted, needs_mount

pytestmark = needs_mount


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "16m") as made:
        yield made


def test_a_file_job_waits_until_its_worker_has_room_and_is_charged_nothing(
    client: flask.testing.FlaskClient,
    upload: Send,
    drainer: Drainer,
    platform: Platform,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    one_batch = dataclasses.replace(drainer, slice_s=0.0)
    job_id = submit(client, upload(lines(ROWS)))

    def refused_for_long(kind: str, words: str) -> None:
        with full(disk):
            for _ in range(40):  # all of its chunks, and more attempts than it has
                one_batch.drain("cpu", "wake")
                platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
            found = platform.one(
                "SELECT bool_and(status <> 'failed'), max(error ->> 'message'), max(lost_count) FROM jobs "
                "WHERE kind = :kind",
                kind=kind,
            )
            assert found == (True, words, 0)

    no_space = "The worker's machine could not do it: No space left on device"
    refused_for_long("bulk", "The worker's disk is full")  # it is cut
    one_batch.drain("cpu", "wake")
    refused_for_long("chunk", no_space)  # it is answered
    while platform.one("SELECT count(*) FROM jobs WHERE kind = 'chunk' AND status <> 'completed'")[0]:
        platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
        one_batch.drain("cpu", "wake")
    refused_for_long("bulk", no_space)  # it is put together
    while drainer.drain("cpu", "wake"):
        pass
    assert show(client, job_id)["status"] == "completed"


def test_a_model_that_its_cache_has_no_room_for_is_unavailable_and_no_bug(platform: Platform, disk: Path) -> None:
    shelf = Shelf(platform.store, disk / "models")
    with full(disk), pytest.raises(errors.ModelUnavailable, match="COATCHECK_MODEL_CACHE cannot take it: No space"):
        shelf.open(platform.catalog.resolve("sentiment", None))
    assert shelf.open(platform.catalog.resolve("sentiment", None))
