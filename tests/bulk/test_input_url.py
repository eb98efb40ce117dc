"""Files in clients' own buckets."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import socket
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

import boto3
import flask.testing
import pytest
import urllib3
from botocore.config import Config

from core import errors
from jobs.drain import Drainer
from storage import signed_url
from storage.fetch import Fetcher
from tests.bulk.conftest import Run, download
from tests.bulk.test_life import ROWS, lines, output, show
from tests.changed import changed
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient
Sign = Callable[..., str]

DATA = lines(ROWS[:5])


@pytest.fixture
def sign(platform: Platform) -> Sign:
    """Put a file into a client's bucket; returns its signed URL."""
    s3 = platform.store.client

    def put(data: bytes | None = DATA, name: str = "rows.jsonl", bucket: str = "inbox", good_for_s: int = 600) -> str:
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            s3.create_bucket(Bucket=bucket)
        if data is not None:
            s3.put_object(Bucket=bucket, Key=name, Body=data)
        return s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": name}, ExpiresIn=good_for_s)

    return put


@pytest.fixture
def target(platform: Platform) -> Callable[..., str]:
    """A signed URL that takes a file."""

    def sign_put(name: str, bucket: str = "inbox") -> str:
        address = {"Bucket": bucket, "Key": name}
        return platform.store.client.generate_presigned_url("put_object", Params=address, ExpiresIn=600)

    return sign_put


def submit(client: Client, url: str, **options: str) -> Any:
    return client.post("/api/v1/jobs", json={"input_url": url, "options": options})


def test_a_file_in_the_clients_bucket_is_answered(client: Client, sign: Sign, work: Run) -> None:
    answer = submit(client, sign())
    assert answer.status_code == 202, answer.text
    work()
    assert [row["id"] for row in output(show(client, answer.json["job_id"]))] == [row["id"] for row in ROWS[:5]]


def test_an_older_kind_of_signature_is_as_good(client: Client, sign: Sign, work: Run, platform: Platform) -> None:
    sign()
    address = {"Bucket": "inbox", "Key": "rows.jsonl"}
    old = boto3.client(
        "s3",
        endpoint_url=platform.settings.storage.endpoint_url,
        aws_access_key_id=platform.settings.storage.access_key,
        aws_secret_access_key=platform.settings.storage.secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3", s3={"addressing_style": "path"}),
    )
    answer = submit(client, old.generate_presigned_url("get_object", Params=address, ExpiresIn=600))
    assert answer.status_code == 202, answer.text
    work()
    assert show(client, answer.json["job_id"])["status"] == "completed"


def test_an_object_with_a_content_encoding_is_read_as_it_is_stored(
    client: Client, sign: Sign, work: Run, platform: Platform
) -> None:
    url = sign(None, "rows.jsonl.gz")
    platform.store.client.put_object(
        Bucket="inbox", Key="rows.jsonl.gz", Body=gzip.compress(DATA), ContentEncoding="gzip"
    )
    job_id = submit(client, url).json["job_id"]
    work()
    assert show(client, job_id)["rows"]["done"] == 5


def test_the_url_is_nowhere_in_clear(client: Client, sign: Sign, platform: Platform, capfd: Any) -> None:
    url = sign()
    submit(client, url)
    submit(client, url[:-4] + "0000")
    signature = url.rpartition("Signature=")[2][:32]
    kept = platform.one("SELECT json_agg(inputs) :: text FROM jobs WHERE kind = 'bulk'")[0]
    assert "input.jsonl" not in str(kept)
    assert signature not in str(kept)
    assert signature not in "".join(capfd.readouterr())


#: What is changed in a good URL, and the code that answers it.
CHANGES = {
    "tampered": ("X-Amz-Signature=", "X-Amz-Signature=0", "INPUT_FORBIDDEN"),
    "another object": ("rows.jsonl", "other.jsonl", "INPUT_FORBIDDEN"),
    "another bucket": ("/inbox/", "/coatcheck/", "INVALID_INPUT"),
    "up and over": ("/inbox/", "/inbox/../coatcheck/", "INVALID_INPUT"),
    "up and over, encoded": ("/inbox/", "/inbox/%2e%2e/coatcheck/", "INVALID_INPUT"),
    "a user": ("http://", "http://me:secret@", "INVALID_INPUT"),
    "ftp": ("http://", "ftp://", "INVALID_INPUT"),
    "file": ("http://", "file://", "INVALID_INPUT"),
    "upper case": ("http://", "HTTP://", "INVALID_INPUT"),
    "a short address": ("127.0.0.1", "127.1", "INVALID_INPUT"),
    "a decimal address": ("127.0.0.1", "2130706433", "INVALID_INPUT"),
    "an octal address": ("127.0.0.1", "0177.0.0.1", "INVALID_INPUT"),
    "IPv6 loopback": ("127.0.0.1", "[::1]", "INVALID_INPUT"),
    "a mapped address": ("127.0.0.1", "[::ffff:127.0.0.1]", "INVALID_INPUT"),
    "a name for it": ("127.0.0.1", "localhost", "INVALID_INPUT"),
    "a name with a dot": ("127.0.0.1", "localhost.", "INVALID_INPUT"),
    "an ideographic stop": ("127.0.0.1", "127\u30020.0.1", "INVALID_INPUT"),
    "the metadata service": ("127.0.0.1", "169.254.169.254", "INVALID_INPUT"),
    "another port": ("127.0.0.1:", "127.0.0.1:1", "INVALID_INPUT"),
    "a fragment": ("rows.jsonl?", "rows.jsonl#?", "INVALID_INPUT"),
    "no signature": ("X-Amz-Signature=", "X-Amz-Nothing=", "INVALID_INPUT"),
    "an expiry in words": ("X-Amz-Expires=600", "X-Amz-Expires=x", "INVALID_INPUT"),
    "a bracket left open": ("127.0.0.1", "[::1", "INVALID_INPUT"),
    "a line break": ("rows.jsonl?", "rows.jsonl\n?", "INVALID_INPUT"),
}


@pytest.mark.parametrize(("old", "new", "code"), CHANGES.values(), ids=CHANGES)
def test_a_url_that_may_not_be_read_is_refused_and_leaves_nothing(
    client: Client, sign: Sign, quiet: None, platform: Platform, old: str, new: str, code: str
) -> None:
    answer = submit(client, sign().replace(old, new))
    assert (answer.status_code, answer.json["error"]["code"]) == (422, code)
    assert platform.one("SELECT count(*) FROM jobs")[0] == 0


def test_a_url_that_ends_too_soon_is_refused_at_once(client: Client, sign: Sign) -> None:
    assert submit(client, sign(good_for_s=30)).json["error"]["code"] == "INPUT_EXPIRED"


def test_a_missing_object_is_refused_at_once(client: Client, sign: Sign) -> None:
    assert submit(client, sign(None, "none.jsonl")).json["error"]["code"] == "INPUT_NOT_FOUND"


def test_an_object_over_the_limit_is_refused_at_once(sign: Sign, platform: Platform) -> None:
    small = Fetcher(changed(platform.settings, max_upload_bytes=100))
    with pytest.raises(errors.InputTooLarge):
        small.probe(sign(), dt.datetime.now(dt.UTC))


def test_the_format_must_be_known(client: Client, sign: Sign, work: Run) -> None:
    answer = submit(client, sign(name="rows"))
    assert answer.json["error"]["details"]["field"] == "options.format"
    assert submit(client, sign(name="rows"), format="jsonl").status_code == 202


def test_an_object_swapped_after_submit_ends_the_job(client: Client, sign: Sign, work: Run) -> None:
    job_id = submit(client, sign()).json["job_id"]
    sign(DATA * 2)
    work()
    assert show(client, job_id)["error"]["code"] == "INPUT_CHANGED"


def test_a_url_that_expires_while_its_job_waits_ends_it(
    client: Client, sign: Sign, work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_url, "SPARE_S", 0)
    url = sign(good_for_s=15)
    job_id = submit(client, url).json["job_id"]
    ended_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=16.2)
    while dt.datetime.now(dt.UTC) < ended_at:
        threading.Event().wait(0.1)
    work()
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "INPUT_EXPIRED")


def test_the_output_is_sent_to_the_clients_bucket_as_well(
    client: Client, sign: Sign, target: Callable[..., str], work: Run, platform: Platform
) -> None:
    body = {"input_url": sign(), "output_url": target("out.jsonl")}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    work()
    job = show(client, job_id)
    assert job["result"]["sent"] is True
    sent = platform.store.client.get_object(Bucket="inbox", Key="out.jsonl")["Body"].read()
    assert sent == download(job["result"]["output_url"])


def test_no_spelling_of_a_path_leads_out_of_the_bucket(
    sign: Sign, target: Callable[..., str], platform: Platform
) -> None:
    sign()
    s3, fetcher = platform.store.client, Fetcher(platform.settings)
    for start in ("/", "//", "%2e%2e/", "..%2f", "%2F..%2F", "\\..\\", "..;/", "%00/", "x/%252e%252e/%252e%252e/"):
        with contextlib.suppress(errors.OutputRefused, errors.OutputUnavailable, errors.InvalidInput):
            fetcher.put(target(f"{start}coatcheck/escaped"), io.BytesIO(b"x"), 1)
    assert not [item for item in s3.list_objects_v2(Bucket="coatcheck")["Contents"] if "escaped" in item["Key"]]
    assert [item["Name"] for item in s3.list_buckets()["Buckets"]] == ["coatcheck", "inbox"]


def test_a_bucket_under_a_number_is_named_by_its_path_alone(target: Callable[..., str], platform: Platform) -> None:
    """A store that does not look at the host's name would take the path's first part for the bucket."""
    url = target("x", "coatcheck").replace("127.0.0.1", "inbox.127.0.0.1")
    with pytest.raises(errors.InvalidInput):
        Fetcher(platform.settings).put(url, io.BytesIO(b"x"), 1)


def test_a_listed_bucket_never_leads_to_an_engine_or_by_a_name_to_this_machine(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = urllib.parse.urlsplit(platform.settings.storage.endpoint_url)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        # Others of this process look names up meanwhile.
        lambda host, *more, **named: real("127.0.0.1" if host == "store.example" else host, *more, **named),
    )
    database = urllib.parse.urlsplit(platform.settings.database_url)
    for host, port in (
        ("store.example", store.port), ("store.example", 9000), ("127.0.0.1", database.port), ("localhost", store.port),
        ("169.254.169.254", 80),
    ):  # fmt: skip
        address = f"http://{host}:{port}/inbox"
        fetcher = Fetcher(changed(platform.settings, input_private_buckets=(address,)))
        with pytest.raises(errors.InputForbidden):
            fetcher.probe(f"{address}/x?AWSAccessKeyId=k&Signature=s&Expires=4000000000", dt.datetime.now(dt.UTC))


def test_an_output_that_nobody_takes_is_said_and_kept(
    client: Client, sign: Sign, target: Callable[..., str], work: Run
) -> None:
    url = target("out.jsonl").replace("out.jsonl", "another.jsonl")
    job_id = client.post("/api/v1/jobs", json={"input_url": sign(), "output_url": url}).json["job_id"]
    work()
    job = show(client, job_id)
    assert (job["status"], job["result"]["send_error"]["code"]) == ("completed", "OUTPUT_REFUSED")
    assert len(output(job)) == 5


def test_an_output_may_go_only_where_input_may_come_from(
    client: Client, sign: Sign, target: Callable[..., str]
) -> None:
    answer = client.post("/api/v1/jobs", json={"input_url": sign(), "output_url": target("x", "coatcheck")})
    assert answer.json["error"]["details"]["field"] == "output_url"
    answer = client.post("/api/v1/jobs", json={"inputs": {"text": "x"}, "output_url": target("x")})
    assert answer.json["error"]["details"]["field"] == "output_url"


def test_when_the_store_is_down_the_job_is_tried_again(
    client: Client, sign: Sign, drainer: Drainer, platform: Platform
) -> None:
    url = sign()
    job_id = submit(client, url).json["job_id"]
    platform.engines.stop("seaweedfs")
    try:
        drainer.drain("cpu", "wake")
        assert (show(client, job_id)["status"], show(client, job_id)["last_error"]["code"]) == (
            "pending",
            "INPUT_UNAVAILABLE",
        )
    finally:
        platform.engines.start("seaweedfs")
    # A store that has just started does not know at once what it has.
    until(lambda: urllib3.request("GET", url, retries=False, timeout=10).status == 200)

    def done() -> bool:
        platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
        drainer.drain("cpu", "wake")
        return bool(show(client, job_id)["status"] == "completed")

    until(done)
