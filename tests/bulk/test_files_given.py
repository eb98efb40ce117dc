"""Files that a model in Python gives: fetched as they were given, told of, and forgotten with their job."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import flask.testing
import jsonschema
import pytest
import urllib3

from core import ids
from jobs import rescue, retention
from jobs.attempt import LARGE_BYTES
from jobs.drain import Drainer
from jobs.lease import Held
from jobs.result import WithFiles
from tests import factories
from tests.bulk.conftest import Publish, Run, Send, download
from tests.bulk.test_life import show, submit
from tests.conftest import Platform, until
from tests.hands import took

Client = flask.testing.FlaskClient
Given = tuple[str, str, str, int]

DRAWS: dict[str, Any] = {
    "kind": "python-file", "labels": None, "options": {"takes": ["text/csv"]},
    "fields": [
        {"name": "by_path", "type": "boolean", "default": False, "required": False},
        {"name": "pause_s", "type": "number", "default": 0, "required": False},
        {"name": "size", "type": "integer", "default": 0, "required": False},
    ],
    "record": {"says": {"type": "string"}},
    "golden": [{"file": "golden.csv", "record": {"says": ""}, "files": ["a.txt", "b.txt"]}],
}  # fmt: skip
GOLDEN = b'["a.txt", "text/plain", "a", 1]\n["b.txt", "text/plain", "b", 1]\n'
PLOT: Given = ("plot 1.svg", "image/svg+xml", "<svg/>\n", 3)
SOUND: Given = ("Sound_2.bin", "application/octet-stream", "\0\x7f", 70_000)


@pytest.fixture
def name(publish: Publish) -> str:
    return publish("Draws", {"golden.csv": GOLDEN}, **DRAWS)


def asked(client: Client, upload: Send, name: str, *given: Given, **inputs: Any) -> str:
    data = "\n".join(map(json.dumps, given)).encode() or b"\n"
    return submit(client, upload(data, "text/csv"), model=name, inputs=inputs)


def row(job_id: str) -> uuid.UUID:
    return ids.parse_job_id(job_id)


def left(platform: Platform, job_id: str) -> int:
    """How many objects there are of a job."""
    listed = platform.store.client.list_objects_v2(
        Bucket=platform.settings.storage.bucket, Prefix=f"results/{row(job_id).hex}/"
    )
    return listed["KeyCount"]


@pytest.mark.parametrize("by_path", [False, True])
def test_they_come_back_as_they_were_given_under_their_names_and_types(
    client: Client, upload: Send, work: Run, name: str, by_path: bool
) -> None:
    job_id = asked(client, upload, name, PLOT, SOUND, ("none", "text/plain", "", 0), by_path=by_path)
    work()
    job = show(client, job_id)
    found = job["result"]["files"]
    assert [(file["name"], file["content_type"], file["bytes"]) for file in found] == [
        (PLOT[0], PLOT[1], 21), (SOUND[0], SOUND[1], 140_000), ("none", "text/plain", 0),
    ]  # fmt: skip
    assert [download(file["url"]) for file in found] == [b"<svg/>\n" * 3, b"\0\x7f" * 70_000, b""]
    headers = urllib3.request("GET", found[0]["url"]).headers
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Content-Disposition"] == 'attachment; filename="plot 1.svg"'
    assert job["result"].keys() == {"says", "files", "expires_at"}
    jsonschema.validate(job["result"], client.get(f"/api/v1/models/{name}/versions/1.0.0").json["output_schema"])
    alone = client.get(f"/api/v1/jobs/{job_id}/result")
    assert (alone.status_code, [file["name"] for file in alone.json["files"]]) == (
        200,
        [file["name"] for file in found],
    )


def test_where_none_are_given_the_result_has_no_word_of_them(
    client: Client, upload: Send, work: Run, name: str
) -> None:
    job_id = asked(client, upload, name)
    work()
    assert show(client, job_id)["result"] == {"says": ""}


def test_receivers_are_told_of_them_without_addresses(
    platform: Platform, client: Client, upload: Send, work: Run, name: str
) -> None:
    hook = {"url": "https://example.com/hook", "events": ["job.completed"]}
    assert client.post("/api/v1/webhooks", json=hook).status_code == 201
    job_id = asked(client, upload, name, PLOT)
    large = asked(client, upload, name, PLOT, size=LARGE_BYTES)
    work()
    told = [
        json.loads(platform.one("SELECT body FROM webhook_deliveries WHERE job_id = :id", id=row(each))[0])["data"]
        for each in (job_id, large)
    ]
    file = {"name": PLOT[0], "content_type": PLOT[1], "bytes": 21}
    assert [item["result"] for item in told] == [{"says": "", "files": [file]}, None]


def test_beside_a_result_that_is_too_large_for_the_database_they_are_there_as_well(
    client: Client, upload: Send, work: Run, name: str
) -> None:
    job_id = asked(client, upload, name, PLOT, size=LARGE_BYTES)
    work()
    found = show(client, job_id)["result"]
    assert found.keys() == {"url", "bytes", "files", "expires_at"}
    assert json.loads(download(found["url"])) == {"says": "x" * LARGE_BYTES}
    assert [download(file["url"]) for file in found["files"]] == [b"<svg/>\n" * 3]
    # A redirect to the one would hide the others.
    alone = client.get(f"/api/v1/jobs/{job_id}/result")
    assert (alone.status_code, alone.json.keys()) == (200, found.keys())


def test_those_of_a_worker_that_was_lost_are_in_nobodys_way_however_late_they_come(
    platform: Platform, client: Client, upload: Send, drainer: Drainer, name: str
) -> None:
    job_id = asked(client, upload, name, ("a.txt", "text/plain", "by CALL", 1))
    (lost,) = took(platform)
    (late,) = drainer.attempts.run([Held(lost)])
    assert isinstance(late.result, WithFiles)
    platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id", id=lost.id)
    assert rescue.lease_over(platform.engine, max_losses=3) == 1
    platform.execute("UPDATE jobs SET not_before = now() WHERE id = :id", id=lost.id)
    while drainer.drain("cpu", "wake"):
        pass
    job = show(client, job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)
    [mine] = job["result"]["files"]
    kept = download(mine["url"])
    assert kept != platform.store.get(late.result.files[0].key)
    # It goes on as if nothing had happened.
    (again,) = drainer.attempts.run([Held(lost)])
    drainer.finisher.finish([again.held], [again])
    assert download(show(client, job_id)["result"]["files"][0]["url"]) == kept


def test_who_cancels_gets_none_of_them_and_they_go_with_their_job(
    platform: Platform, client: Client, upload: Send, drainer: Drainer, name: str
) -> None:
    job_id = asked(client, upload, name, PLOT, SOUND, pause_s=60)
    running = threading.Thread(target=drainer.drain, args=("cpu", "wake"))
    running.start()
    until(lambda: left(platform, job_id) == 2)
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    running.join(timeout=30)
    job = show(client, job_id)
    assert (job["status"], "result" in job) == ("canceled", False)
    forget(platform, job_id)
    assert left(platform, job_id) == 0


def test_they_are_forgotten_with_their_job(
    platform: Platform, client: Client, upload: Send, work: Run, name: str
) -> None:
    job_id = asked(client, upload, name, PLOT, SOUND)
    work()
    [plot, _] = show(client, job_id)["result"]["files"]
    assert left(platform, job_id) == 2
    forget(platform, job_id)
    assert left(platform, job_id) == 0
    assert urllib3.request("GET", plot["url"]).status == 404
    assert client.get(f"/api/v1/jobs/{job_id}").status_code == 404


def forget(platform: Platform, job_id: str) -> None:
    """What the chore does when the time of its tier is over."""
    (tier,) = platform.one("SELECT tier FROM tenants WHERE id = :id", id=factories.tenant(platform, keep_s=1))
    platform.execute(
        "UPDATE tenants SET tier = :tier WHERE id = (SELECT tenant_id FROM jobs WHERE id = :id)",
        tier=tier,
        id=row(job_id),
    )
    until(lambda: retention.purge(platform.engine, platform.store) == 1)


@pytest.mark.parametrize("given", [("../x", "text/plain", "x", 1), ("x", "text/plain; charset=utf-8", "x", 1)])
def test_a_file_that_may_be_none_fails_its_job_in_a_sentence(
    client: Client, upload: Send, work: Run, name: str, given: Given
) -> None:
    job_id = asked(client, upload, name, PLOT, given)
    work()
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "MODEL_ERROR")
    assert job["error"]["message"].startswith(f"{name} gave a file ")
