"""What `up` makes of its first job."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local import first_run

Ends = Callable[[dict[str, Any]], dict[str, str]]


@pytest.fixture
def asked() -> list[tuple[str, str | None, bytes]]:
    """What such a platform was asked: the path, the media type and the body."""
    return []


@pytest.fixture
def ends(asked: list[tuple[str, str | None, bytes]]) -> Iterator[Ends]:
    """A platform whose jobs are found like this in the end."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(job: dict[str, Any]) -> dict[str, str]:
        class Platform(http.server.BaseHTTPRequestHandler):
            def do_GET(self, body: bytes = b"") -> None:
                asked.append((self.path, self.headers["Content-Type"], body))
                self.send_response(job.get("code", 200) if self.headers["Authorization"] == "Bearer k" else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"job_id": "job_1", **job}).encode())

            def do_POST(self) -> None:
                self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_: object) -> None:
                """Not into the tests' output."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return {"COATCHECK_URL": f"http://127.0.0.1:{servers[-1].server_port}", "COATCHECK_API_KEY": "k"}

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("grpc", [True, False])
def test_one_prediction_and_one_job_are_shown_with_what_to_type_next(
    ends: Ends,
    asked: list[tuple[str, str | None, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    grpc: bool,
) -> None:
    # It would see the key.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = ends({"status": "completed", "result": {"prediction": "positive"}})
    first_run.show({**client, **({"COATCHECK_GRPC_PORT": "5"} if grpc else {})})
    one = b'{"model": "sentiment", "inputs": {"text": "I love this product, it works perfectly!"}}'
    of = "application/json"
    assert asked == [
        ("/api/v1/predict", of, one), ("/api/v1/jobs", of, one), ("/api/v1/jobs/job_1?wait=30", of, b""),
    ]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    found = '{"job_id": "job_1", "status": "completed", "result": {"prediction": "positive"}}'
    url = client["COATCHECK_URL"]
    assert lines == [
        "", f"POST /api/v1/predict  {found}",
        'POST /api/v1/jobs     job_1 → completed  {"prediction": "positive"}',
        "", f"API     {url}   (docs: {url}/docs)", *(["gRPC    127.0.0.1:5"] if grpc else []),
        "Flower  $FLOWER_URL, of .coatcheck/env.admin (for operators)", "", "Try it:", "", "  . .coatcheck/env",
        '  curl -s "$COATCHECK_URL/api/v1/predict" -H "Authorization: Bearer $COATCHECK_API_KEY" \\',
        f"    -H 'Content-Type: application/json' -d '{one.decode()}'", "",
    ]  # fmt: skip


def test_a_job_that_waits_behind_what_was_there_before_is_no_failure(
    ends: Ends, capsys: pytest.CaptureFixture[str]
) -> None:
    first_run.show(ends({"status": "pending", "queue": {"starts_in_s": 0.0, "basis": "0 jobs ahead, 1 worker"}}))
    assert (
        "has not begun after 30 s: 0 jobs ahead, 1 worker, at work on what was there before" in capsys.readouterr().out
    )


def refusal(code: int) -> dict[str, Any]:
    return {"code": code, "error": {"code": "QUOTA_EXCEEDED", "message": "Enough"}}


@pytest.mark.parametrize("code", [402, 404, 429, 503])
def test_who_refuses_the_example_is_there_all_the_same(
    ends: Ends, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    first_run.show(ends(refusal(code)))
    told = capsys.readouterr().out
    assert "\nThe example is refused: Enough (QUOTA_EXCEEDED)\n" in told
    assert "\nTry it:\n" in told


@pytest.mark.parametrize("answer", [refusal(500), {"code": 404}, {"code": 502, "error": "Bad gateway"}], ids=str)
def test_who_has_broken_down_or_is_somebody_else_is_a_failure(ends: Ends, answer: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError, match=str(answer["code"])):
        first_run.show(ends(answer))


def test_a_key_opens_unless_it_is_one_that_is_not_known(ends: Ends) -> None:
    for answer in ({}, refusal(403), refusal(429)):
        url = ends(answer)["COATCHECK_URL"]
        assert (first_run.opens(url, "k"), first_run.opens(url, "another")) == (True, False)
    with pytest.raises(OSError, match="refused"):
        first_run.opens("http://127.0.0.1:9", "k")


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
