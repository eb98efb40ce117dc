"""Files, uploads, and a worker in this process."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask.testing
import pytest
import urllib3

from inference import bundle
from jobs.drain import Drainer
from tests import classes
from tests.conftest import Platform, until

Publish = Callable[..., str]
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
        while drainer.drain("cpu", "wake") + drainer.drain("explain", "wake"):
            pass

    return run


@pytest.fixture
def publish(
    platform: Platform, client: flask.testing.FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Publish:
    """The name under which a class of tests/classes.py answers."""
    monkeypatch.syspath_prepend(tmp_path)

    def go(of: str, files: dict[str, bytes] | None = None, **says: Any) -> str:
        name = f"p{uuid.uuid4().hex}"
        assert platform.catalog.publish(bundle.load(classes.install(tmp_path, name, of, files, **says)))
        until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
        until(lambda: name in {item.model for item in platform.catalog.versions()})
        return name

    return go


def download(url: str) -> bytes:
    answer = urllib3.request("GET", url, timeout=60)
    assert answer.status == 200, answer.data
    return answer.data
