"""Who publishes models over HTTP."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access import keys
from inference import bundle
from tests import callers, graphs
from tests.bulk.conftest import post_file
from tests.conftest import Platform

TAR = "application/x-tar"


@dataclass(frozen=True)
class Publisher:
    """Somebody with a key that may publish, and who works."""

    client: FlaskClient
    platform: Platform
    work: Callable[[], None]  #: all that is due, until nothing is
    folder: Path

    def tar(self, made: bytes | None = None, **says: Any) -> bytes:
        folder = graphs.bundle(self.folder / uuid.uuid4().hex, made, **says)
        return graphs.pack(bundle.load(folder))

    def upload(self, data: bytes) -> str:
        made = self.client.post("/api/v1/uploads", json={"content_type": TAR, "size": len(data)})
        assert made.status_code == 201, made.text
        assert post_file(made.json["url"], made.json["fields"], data, TAR).status < 300
        return str(made.json["upload_id"])

    def ask(self, data: bytes, name: str, version: str = "1.0.0", **more: Any) -> TestResponse:
        body = {"model": name, "version": version, "upload_id": self.upload(data), **more}
        return self.client.post("/api/v1/models", json=body)

    def job(self, answer: TestResponse) -> dict[str, Any]:
        """As it is once nothing is due."""
        assert answer.status_code == 202, answer.text
        self.work()
        return dict(self.client.get(answer.headers["Location"]).json)

    def publish(self, data: bytes, name: str, **more: Any) -> dict[str, Any]:
        return self.job(self.ask(data, name, **more))

    def stored(self) -> set[str]:
        """The bundles in the store."""
        pages = self.platform.store.client.list_objects_v2(Bucket="coatcheck", Prefix="bundles/")
        return {item["Key"] for item in pages.get("Contents", ())}


@contextlib.contextmanager
def made(platform: Platform, app: flask.Flask, folder: Path, work: Callable[[], None]) -> Iterator[Publisher]:
    """One of a tenant of its own; what was published is gone afterwards."""
    key = callers.key(platform, scopes=keys.CLIENT | {keys.MODELS})
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    before = {str(row[0]) for row in platform.rows("SELECT name FROM models")}
    yield Publisher(client, platform, work, folder)
    platform.execute("DELETE FROM models WHERE NOT name = ANY (:known)", known=sorted(before))
