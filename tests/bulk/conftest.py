"""Files, uploads, and a worker in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask.testing
import pytest
import urllib3

from jobs.drain import Drainer

Send = Callable[..., str]
Run = Callable[[], None]


def post_file(url: str, form: dict[str, str], data: bytes, content_type: str) -> urllib3.BaseHTTPResponse:
    """What a browser or `curl -F` does."""
    return urllib3.request("POST", url, fields=[*form.items(), ("file", ("file", data, content_type))], timeout=60)


@pytest.fixture
def upload(client: flask.testing.FlaskClient) -> Send:
    """Hand in a file in the two steps; returns the upload's id."""

    def send(data: bytes, content_type: str = "application/x-ndjson", **asked: Any) -> str:
        body = {"content_type": content_type, "size": len(data), **asked}
        made = client.post("/api/v1/uploads", json=body)
        assert made.status_code == 201, made.text
        answer = post_file(made.json["url"], made.json["fields"], data, content_type)
        assert answer.status in (200, 201, 204), answer.data
        return str(made.json["upload_id"])

    return send


@pytest.fixture
def work(drainer: Drainer) -> Run:
    """Run everything that is due: cut, answer, merge."""

    def run() -> None:
        while drainer.drain("cpu", "wake"):
            pass

    return run


def download(url: str) -> bytes:
    answer = urllib3.request("GET", url, timeout=60)
    assert answer.status == 200, answer.data
    return answer.data
