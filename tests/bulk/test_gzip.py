"""A small file that is unpacked to gigabytes: what it takes, and how it ends."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask.testing
import pytest

from tests.bulk.conftest import Send
from tests.bulk.test_life import show
from tests.conftest import until
from tests.inference.paper import resident_mib

Client = flask.testing.FlaskClient

ROW = b'{"text": "Hand in your coat"}\n'


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Rows of 6 GiB in 15 MB: many members, each of 64 MiB."""
    return gzip.compress(ROW * (2**26 // len(ROW)), 6) * 96


@pytest.mark.parametrize("how", ["timeout_s", "cancel"])
def test_a_bomb_ends_within_seconds_and_takes_no_memory(
    client: Client, upload: Send, drainer: Any, bomb: bytes, how: str
) -> None:
    asked = {"timeout_s": 1} if how == "timeout_s" else {}
    upload_id = upload(bomb, "application/gzip", filename="rows.jsonl.gz")
    answer = client.post("/api/v1/jobs", json={"model": "sentiment", "upload_id": upload_id, **asked})
    job_id = answer.json["job_id"]
    before, seen, over = resident_mib(), [], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(resident_mib())

    with ThreadPoolExecutor(2) as threads:
        threads.submit(watch)
        running = threads.submit(drainer.drain, "cpu", "wake")
        try:
            until(lambda: show(client, job_id)["status"] != "pending")
            if how == "cancel":
                client.post(f"/api/v1/jobs/{job_id}/cancel")
            running.result(30)
        finally:
            over.set()
    job = show(client, job_id)
    expected = ("failed", "TIMED_OUT") if how == "timeout_s" else ("canceled", None)
    assert (job["status"], job.get("error", {}).get("code")) == expected
    assert max(seen) - before < 100
