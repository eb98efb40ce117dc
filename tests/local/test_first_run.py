"""What `up` makes of its first job."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local import first_run

Ends = Callable[[dict[str, Any]], dict[str, str]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A platform whose jobs are found like this in the end."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(job: dict[str, Any]) -> dict[str, str]:
        class Platform(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.headers["Authorization"] == "Bearer k" else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"job_id": "job_1", **job}).encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Not into the tests' output."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return {"COATCHECK_URL": f"http://127.0.0.1:{servers[-1].server_port}", "COATCHECK_API_KEY": "k"}

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_job_that_waits_behind_what_was_there_before_is_no_failure(
    ends: Ends, capsys: pytest.CaptureFixture[str]
) -> None:
    first_run.show(ends({"status": "pending", "queue": {"starts_in_s": 0.0, "basis": "0 jobs ahead, 1 worker"}}))
    assert (
        "has not begun after 30 s: 0 jobs ahead, 1 worker, at work on what was there before" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "job",
    [
        {"status": "pending", "queue": {"starts_in_s": None, "basis": "no worker has been heard of yet"}},
        {"status": "failed", "error": {"code": "MODEL_ERROR"}},
    ],
    ids=["nobody", "failed"],
)
def test_a_job_that_nobody_will_run_and_one_that_failed_are_failures(ends: Ends, job: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match=f"the first job is {job['status']} after 30 s: .*(no worker|MODEL_ERROR)"):
        first_run.show(ends(job))
