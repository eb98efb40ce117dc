"""The object store answers badly in the middle of everything."""

from __future__ import annotations

import dataclasses
import http.server
import random
import threading
from collections.abc import Iterator

import flask.testing
import pytest
import urllib3

from jobs.drain import Drainer
from storage.objects import Store
from tests.bulk.conftest import Send
from tests.bulk.test_life import ROWS, lines, output, show, submit
from tests.conftest import Platform
from tests.hands import with_tools


class Between(http.server.BaseHTTPRequestHandler):
    """Hands on to the real store, except for three of ten requests."""

    protocol_version = "HTTP/1.1"
    fault: str
    to: str
    chance: random.Random

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bad = self.chance.random() < 0.3
        if bad and self.fault == "503":
            self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        found = urllib3.request(
            self.command, self.to + self.path, body=body, headers=headers, retries=False, decode_content=False
        )
        self._answer(found.status, dict(found.headers), found.data, cut=bad and self.fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _hand_on  # noqa: N815 - as the base class names them

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        """Cut: the connection ends in the middle of the answer."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "date", "server", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", headers["Content-Length"] if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["503", "cut"])
def flaky(request: pytest.FixtureRequest, platform: Platform, drainer: Drainer) -> Iterator[Drainer]:
    """A worker whose way to the store is bad."""
    names = {"fault": request.param, "to": platform.settings.storage.endpoint_url, "chance": random.Random(1)}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bad", (Between,), names))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    store = Store(dataclasses.replace(platform.settings.storage, endpoint_url=endpoint))
    sources = dataclasses.replace(drainer.attempts.tools.sources, store=store)
    yield dataclasses.replace(drainer, attempts=with_tools(drainer.attempts, store=store, sources=sources))
    server.shutdown()
    server.server_close()


def test_a_job_ends_right_through_a_store_that_answers_badly(
    client: flask.testing.FlaskClient, upload: Send, platform: Platform, flaky: Drainer
) -> None:
    job_id = submit(client, upload(lines(ROWS)))
    for _ in range(200):
        flaky.drain("cpu", "wake")
        platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
        if show(client, job_id)["status"] not in ("pending", "processing"):
            break
    job = show(client, job_id)
    assert (job["status"], job["rows"]["failed"]) == ("completed", 0)
    assert [row["id"] for row in output(job)] == [row["id"] for row in ROWS]
