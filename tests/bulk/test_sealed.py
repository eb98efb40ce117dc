"""Signed URLs in the database: of one job, and of no other."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import flask
import flask.testing
import pytest
from cryptography.fernet import Fernet

from core import ids
from core.seal import Seal
from jobs import queries, reseal
from tests import factories
from tests.bulk.conftest import Run
from tests.bulk.test_life import ROWS, lines, show
from tests.conftest import Platform

Client = flask.testing.FlaskClient
Sign = Callable[[str, str], str]
SWAP = """
UPDATE jobs SET inputs = json_build_object('url', CAST(:url AS text), 'etag', inputs -> 'etag', 'sha256', NULL,
  'format', 'jsonl', 'output_url', CAST(:output_url AS text)) WHERE id = :id
"""


@pytest.fixture
def sign(platform: Platform) -> Sign:
    """The signed URL of an object that is there."""
    s3 = platform.store.client
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket="inbox")

    def made(method: str, name: str) -> str:
        if method == "get_object":
            s3.put_object(Bucket="inbox", Key=name, Body=lines(ROWS[:3]))
        return str(s3.generate_presigned_url(method, Params={"Bucket": "inbox", "Key": name}, ExpiresIn=600))

    return made


@pytest.fixture
def bob(app: flask.Flask, platform: Platform) -> Client:
    """Another tenant."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    return client


def submit(client: Client, sign: Sign) -> str:
    name = f"{uuid.uuid4()}.jsonl"
    body = {"input_url": sign("get_object", name), "output_url": sign("put_object", f"{name}.out")}
    answer = client.post("/api/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json["job_id"])


def inputs(platform: Platform, job_id: str) -> dict[str, Any]:
    return dict(platform.one("SELECT inputs FROM jobs WHERE id = :id", id=ids.parse_job_id(job_id))[0])


def swap(platform: Platform, job_id: str, url: str, output_url: str) -> None:
    platform.execute(SWAP, id=ids.parse_job_id(job_id), url=url, output_url=output_url)


def test_a_url_that_was_copied_to_another_job_tenant_or_use_is_not_asked(
    client: Client, bob: Client, sign: Sign, work: Run, platform: Platform
) -> None:
    mine, second, theirs = submit(client, sign), submit(client, sign), submit(bob, sign)
    moved = submit(bob, sign)
    platform.execute(
        "UPDATE jobs SET tenant_id = (SELECT tenant_id FROM jobs WHERE id = :mine) WHERE id = :moved",
        mine=ids.parse_job_id(mine), moved=ids.parse_job_id(moved),
    )  # fmt: skip
    own = inputs(platform, mine)
    swap(platform, second, own["url"], own["output_url"])
    swap(platform, theirs, own["url"], inputs(platform, theirs)["output_url"])
    swapped = submit(client, sign)
    before = inputs(platform, swapped)
    swap(platform, swapped, before["output_url"], before["url"])
    work()
    assert show(client, mine)["status"] == "completed"
    for owner, job_id in ((client, second), (bob, theirs), (client, swapped), (client, moved)):
        job = show(owner, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "SECRET_LOST"), job_id


def test_an_output_goes_nowhere_where_its_url_is_another_jobs(
    client: Client, sign: Sign, work: Run, platform: Platform
) -> None:
    first, second = submit(client, sign), submit(client, sign)
    swap(platform, second, inputs(platform, second)["url"], inputs(platform, first)["output_url"])
    work()
    sent = show(client, first)["result"]
    assert (sent["sent"], "send_error" in sent) == (True, False)
    job = show(client, second)
    assert (job["result"]["sent"], job["result"]["send_error"]["code"]) == (False, "SECRET_LOST")


def test_a_job_that_is_handed_in_again_has_its_urls_for_itself(
    client: Client, sign: Sign, work: Run, platform: Platform
) -> None:
    job_id = submit(client, sign)
    work()
    for _ in range(2):
        before = inputs(platform, job_id)
        answer = client.post(f"/api/v1/jobs/{job_id}/retry")
        assert answer.status_code == 202, answer.text
        job_id = answer.json["job_id"]
        after = inputs(platform, job_id)
        assert {name for name in before if before[name] != after[name]} == {"url", "output_url"}
        work()
        job = show(client, job_id)
        assert (job["status"], job["result"]["sent"]) == ("completed", True)


@pytest.mark.parametrize("kind", ["predict", "file", "bulk"])
def test_of_a_job_in_which_nothing_is_sealed_the_inputs_are_copied_to_the_byte(platform: Platform, kind: str) -> None:
    caller, _ = platform.new_tenant()
    made = factories.job(platform, caller.tenant_id, kind=kind, status="failed")["id"]
    # As JSON has it, and whoever reads and writes it anew would not.
    odd = r'{"key":  "uploads/1", "fields": {"a": "\u0000", "b": 1.0e1, "b": 2}}'
    platform.execute("UPDATE jobs SET inputs = CAST(:odd AS json) WHERE id = :id", odd=odd, id=made)
    old, new = queries.get(platform.engine, caller.tenant_id, made), ids.uuid7()
    seal = Seal(platform.settings.sealing)
    copied = reseal.copied(platform.engine, seal, old, new, tenant_id=caller.tenant_id)
    platform.submitter.again(old, new, caller=caller, request_id="req", timeout_s=77, max_attempts=3, inputs=copied)
    assert platform.one("SELECT CAST(inputs AS text) FROM jobs WHERE id = :id", id=new) == (odd,)


def test_of_another_tenants_job_nothing_is_opened_and_nothing_copied(
    client: Client, sign: Sign, platform: Platform
) -> None:
    job_id = ids.parse_job_id(submit(client, sign))
    (owner,) = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=job_id)
    old, seal = queries.get(platform.engine, owner, job_id), Seal(platform.settings.sealing)
    assert reseal.copied(platform.engine, seal, old, ids.uuid7(), tenant_id=owner) is not None
    assert reseal.copied(platform.engine, seal, old, ids.uuid7(), tenant_id=uuid.uuid4()) is None


def test_a_job_from_before_there_were_contexts_runs_and_can_be_handed_in_again(
    client: Client, sign: Sign, work: Run, platform: Platform
) -> None:
    name = f"{uuid.uuid4()}.jsonl"
    body = {"input_url": sign("get_object", name), "output_url": sign("put_object", f"{name}.out")}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    secret = hashlib.sha256(platform.settings.sealing.secret_key.encode()).digest()
    old = Fernet(base64.urlsafe_b64encode(secret))
    swap(platform, job_id, *(old.encrypt(body[url].encode()).decode() for url in ("input_url", "output_url")))
    work()
    again = client.post(f"/api/v1/jobs/{job_id}/retry").json["job_id"]
    assert all(inputs(platform, again)[url].startswith("s1.") for url in ("url", "output_url"))
    work()
    for done in (job_id, again):
        assert show(client, done)["result"]["sent"] is True
