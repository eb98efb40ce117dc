"""The place that a file is put in."""

from __future__ import annotations

import gzip
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import flask.testing
import pytest
import urllib3

from core import ids
from jobs import uploads
from jobs.bulk import plan, rows
from tests.bulk.conftest import Run, Send, post_file
from tests.conftest import Platform

Client = flask.testing.FlaskClient


def test_the_store_takes_just_the_file_that_was_announced(client: Client) -> None:
    made = client.post("/api/v1/uploads", json={"content_type": "application/x-ndjson", "size": 10}).json

    def sent(data: bytes, **changed: str) -> urllib3.BaseHTTPResponse:
        return post_file(made["url"], made["fields"] | changed, data, "application/x-ndjson")

    assert sent(b"x" * 11).status >= 400
    assert sent(b"x" * 9).status >= 400
    assert sent(b"x" * 10, **{"Content-Type": "text/html"}).status >= 400
    assert sent(b"x" * 10, key="bundles/mine.tar").status >= 400
    assert sent(b"x" * 10).status < 300


def test_an_upload_belongs_to_its_tenant_and_needs_its_file(
    client: Client, platform: Platform, app: flask.Flask, upload: Send
) -> None:
    foreign = app.test_client()
    foreign.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    answer = foreign.post("/api/v1/jobs", json={"upload_id": upload(b"{}")})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "UPLOAD_NOT_FOUND")
    empty = client.post("/api/v1/uploads", json={"content_type": "text/csv", "size": 10}).json["upload_id"]
    answer = client.post("/api/v1/jobs", json={"upload_id": empty})
    assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, "upload_id")
    # And is as open as it was.
    row = platform.one("SELECT used_at FROM uploads WHERE id = :id", id=ids.parse_upload_id(empty))
    assert row.used_at is None


def test_an_uploads_name_has_no_control_characters(client: Client) -> None:
    for name in ("x\0y.csv", "a\r\nb.csv", ""):
        answer = client.post("/api/v1/uploads", json={"content_type": "text/csv", "size": 1, "filename": name})
        assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, "filename")


def test_a_repeated_upload_request_gives_the_same_place_and_stores_no_signature(
    client: Client, platform: Platform
) -> None:
    body = {"content_type": "text/csv", "size": 5}
    made = [client.post("/api/v1/uploads", json=body, headers={"Idempotency-Key": "k"}).json for _ in range(2)]
    assert made[0]["upload_id"] == made[1]["upload_id"]
    assert post_file(made[1]["url"], made[1]["fields"], b"x\n1\n2"[:5], "text/csv").status < 300
    assert platform.one("SELECT count(*) FROM idempotency_keys WHERE reply :: text LIKE '%signature%'") == (0,)


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "ROWS.NDJSON.GZ"])
def test_the_name_of_a_gzip_says_how_its_rows_are_written(client: Client, upload: Send, name: str) -> None:
    upload_id = upload(b"x", "application/gzip", filename=name)
    assert client.post("/api/v1/jobs", json={"upload_id": upload_id}).status_code == 202


@pytest.fixture
def free(platform: Platform, app: flask.Flask) -> Client:
    """A caller of a tenant of its own, in the smallest tier: ten places, 5 GiB."""
    found = app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant('free')[1]}"
    return found


def ask(client: Client, size: int = 2) -> Any:
    return client.post("/api/v1/uploads", json={"content_type": "application/x-ndjson", "size": size})


def test_no_more_places_are_open_than_the_tier_has_however_many_are_asked_for_at_once(
    free: Client, platform: Platform, app: flask.Flask
) -> None:
    def one(_: int) -> int:
        client = app.test_client()
        client.environ_base.update(free.environ_base)
        return int(ask(client).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(24))) == [201] * 10 + [429] * 14
    refused = ask(free)
    error = refused.json["error"]
    assert (error["code"], error["details"]) == ("UPLOAD_QUOTA", {"limit": 10, "used": 10})
    assert refused.headers["Retry-After"]


def test_a_place_is_given_back_when_its_file_is_used_and_when_it_expires(free: Client, platform: Platform) -> None:
    made = [ask(free).json for _ in range(10)]
    assert ask(free).status_code == 429
    post_file(made[0]["url"], made[0]["fields"], b"{}", "application/x-ndjson")
    assert free.post("/api/v1/jobs", json={"upload_id": made[0]["upload_id"]}).status_code == 202
    assert [ask(free).status_code for _ in range(2)] == [201, 429]
    expired = uuid.UUID(made[1]["upload_id"].removeprefix("upl_"))
    platform.execute("UPDATE uploads SET expires_at = now() - interval '1 s' WHERE id = :id", id=expired)
    assert [ask(free).status_code for _ in range(2)] == [201, 429]


def test_no_more_bytes_are_announced_than_the_tier_has_until_some_are_forgotten(
    free: Client, platform: Platform
) -> None:
    made = [ask(free, 2**30).json for _ in range(5)]
    error = ask(free, 1).json["error"]
    assert (error["code"], error["details"]) == ("UPLOAD_QUOTA", {"limit": 5 * 2**30, "used": 5 * 2**30, "size": 1})
    old = uuid.UUID(made[0]["upload_id"].removeprefix("upl_"))
    platform.execute("UPDATE uploads SET expires_at = now() - interval '1 s' WHERE id = :id", id=old)
    assert ask(free, 1).status_code == 429
    past = "created_at = now() - interval '3 d', expires_at = now() - interval '2 d'"
    platform.execute(f"UPDATE uploads SET {past} WHERE id = :id", id=old)
    uploads.purge(platform.engine, platform.store)
    assert ask(free, 1).status_code == 201


def test_a_repeated_request_does_not_open_a_place_that_has_expired(client: Client, platform: Platform) -> None:
    def again() -> Any:
        return client.post(
            "/api/v1/uploads", json={"content_type": "text/csv", "size": 5}, headers={"Idempotency-Key": "late"}
        ).json

    again()
    platform.execute("""
        UPDATE idempotency_keys SET reply = jsonb_set(reply :: jsonb, '{expires_at}', '"2026-01-01T00:00:00Z"')
        WHERE key = 'late'""")
    place = again()
    assert post_file(place["url"], place["fields"], b"x\n1\n2"[:5], "text/csv").status == 403


def test_a_bomb_is_unpacked_no_further_than_its_first_bad_row(
    client: Client, upload: Send, work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = plan._write

    def counted(file: IO[bytes], piece: bytes) -> None:
        written.append(len(piece))
        write(file, piece)

    monkeypatch.setattr(plan, "_write", counted)
    data = gzip.compress(b'{"text": "Good"}\n' + b"x" * (64 << 20))
    made = client.post("/api/v1/jobs", json={"upload_id": upload(data, "application/gzip", filename="a.jsonl.gz")})
    work()
    error = client.get(made.headers["Location"]).json["error"]
    assert (error["code"], error["details"]["line"]) == ("INPUT_TOO_LARGE", 2)
    assert sum(written) < rows.MAX_ROW + (3 << 20)
