"""The place that a file is put in."""

from __future__ import annotations

import flask.testing
import pytest
import urllib3

from tests.bulk.conftest import Send, post_file
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
