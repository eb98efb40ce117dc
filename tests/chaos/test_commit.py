from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import requests
from sqlalchemy import text

from local import platform_processes
from tests.chaos import stage


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stage.Stage]:
    with stage.built(tmp_path_factory.mktemp("commit"), lease_s=5, workers=1) as found:
        yield found


def post(built: stage.Stage, key: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {built.key}", "Idempotency-Key": key}
    body: dict[str, Any] = {"model": "sentiment", "inputs": {"text": "Lovely"}, "metadata": {"key": key}}
    return requests.post(f"{built.url}/api/v1/jobs", json=body, headers=headers, timeout=10)


def jobs(built: stage.Stage, key: str) -> int:
    with built.admin.connect() as connection:
        count = text("SELECT count(*) FROM jobs WHERE metadata ->> 'key' = :key")
        return int(connection.execute(count, {"key": key}).scalar_one())


def kill_the_api_when_it_has_said(built: stage.Stage, key: str, *words: bytes) -> None:
    """It dies at the moment when Postgres has heard these words on one connection, and no answer has come back."""
    post(built, f"warm-{key}")
    built.postgres.deaf_after = words

    def ask() -> None:
        with pytest.raises(requests.RequestException):
            # The proxy says 503 of an API that is gone.
            post(built, key).raise_for_status()

    asking = Thread(target=ask)
    asking.start()
    assert built.postgres.heard.wait(10)
    built.children["api"].kill()
    asking.join()
    built.postgres.heal()
    built.until(lambda: built.children["api"].alive and platform_processes.answers(built.url + "/ready"), 120)


def test_killed_between_commit_and_answer_the_same_key_gives_the_same_job(built: stage.Stage) -> None:
    # Not the key, which is looked up before: the connection may go to others then, who commit too.
    kill_the_api_when_it_has_said(built, "after", b"INSERT INTO jobs", b"COMMIT")
    built.until(lambda: jobs(built, "after") == 1, 120)
    again = post(built, "after")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert jobs(built, "after") == 1
    done = requests.get(
        f"{built.url}{again.headers['Location']}?wait=20", headers={"X-API-Key": built.key}, timeout=30
    ).json()
    assert done["status"] == "completed"


def test_killed_before_commit_nothing_is_there_and_the_key_is_free(built: stage.Stage) -> None:
    kill_the_api_when_it_has_said(built, "before", b"INSERT INTO jobs")
    assert jobs(built, "before") == 0
    again = post(built, "before")
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (202, None)
    assert jobs(built, "before") == 1
