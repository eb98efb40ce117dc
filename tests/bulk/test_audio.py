"""A job whose input is one audio file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import flask.testing
import numpy as np
import pytest
import soundfile

from inference import bundle
from inference.interrupt import Interrupt
from inference.model import open_model
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import show
from tests.conftest import ROOT, Platform, until

Client = flask.testing.FlaskClient
GOLDEN = ROOT / "bundles" / "speech" / "golden.flac"


def submit(client: Client, upload_id: str, **asked: Any) -> Any:
    return client.post("/api/v1/jobs", json={"model": "speech", "upload_id": upload_id, **asked})


def hour(seconds: float) -> bytes:
    """The golden sentences, again and again, as a 16-bit WAV."""
    sound, rate = soundfile.read(GOLDEN)
    stream = io.BytesIO()
    soundfile.write(stream, np.tile(sound, int(seconds * rate / len(sound)) + 1), rate, format="WAV")
    return stream.getvalue()


def test_the_result_is_what_the_model_hears_in_the_file(client: Client, upload: Send, work: Run) -> None:
    answer = submit(client, upload(GOLDEN.read_bytes(), "audio/flac"), inputs={"threshold": 0.6})
    assert answer.status_code == 202, answer.text
    work()
    job = show(client, answer.json["job_id"])
    opened: Any = open_model(bundle.load(GOLDEN.parent))
    given = {"threshold": 0.6, "min_speech_ms": 250, "min_silence_ms": 100, "speech_pad_ms": 30}
    heard = opened.answer(Path(GOLDEN), given, progress=lambda _: None, interrupt=Interrupt())
    assert (job["status"], job["result"]) == ("completed", heard)


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"output_url": "https://bucket.example/out.jsonl"}, "output_url"),
     ({"options": {"format": "csv"}}, "options.format"),
     ({"options": {"return_errors": "fail_fast"}}, "options.return_errors")],
)  # fmt: skip
def test_what_only_rows_have_is_refused_beside_a_whole_file(
    client: Client, upload: Send, asked: dict[str, Any], field: str
) -> None:
    answer = submit(client, upload(GOLDEN.read_bytes(), "audio/flac"), **asked)
    assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, field)
    assert "takes the whole file" in answer.json["error"]["details"]["issue"]


def pieces(client: Client, job_id: str) -> list[list[Any]]:
    """What was told before the end, event by event."""
    events = client.get(f"/api/v1/jobs/{job_id}/events").text.split("\n\n")
    told = [event.partition("data: ")[2] for event in events if "event: output\n" in event]
    return [json.loads(data)["pieces"] for data in told]


@pytest.mark.parametrize("seconds", [1, 900])
def test_each_segment_is_told_as_soon_as_it_is_found_and_as_it_is_in_the_result(
    client: Client, upload: Send, work: Run, seconds: float
) -> None:
    job_id = submit(client, upload(hour(seconds), "audio/wav")).json["job_id"]
    work()
    told = pieces(client, job_id)
    assert [piece for event in told for piece in event] == show(client, job_id)["result"]["segments"]
    assert len(told) > (1 if seconds > 100 else 0)


def test_a_long_file_shows_its_progress_and_can_be_canceled_in_the_middle(
    client: Client, upload: Send, drainer: Any, platform: Platform
) -> None:
    job_id = submit(client, upload(hour(3600), "audio/wav")).json["job_id"]
    running = drainer.settler.__class__(1).submit(drainer.drain, "cpu", "wake")
    until(lambda: 0 < show(client, job_id)["progress"] < 99)
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    running.result(30)
    job = show(client, job_id)
    assert (job["status"], job["progress"] < 99) == ("canceled", True)


def test_a_large_result_is_an_object_of_its_own(
    client: Client, upload: Send, work: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.attempt.LARGE_BYTES", 100)
    job_id = submit(client, upload(GOLDEN.read_bytes(), "audio/flac")).json["job_id"]
    work()
    assert show(client, job_id)["result"]["bytes"] > 100
    answer = client.get(f"/api/v1/jobs/{job_id}/result")
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "data", [b"RIFF" + b"x" * 100, b"hello", GOLDEN.read_bytes()[:5000]], ids=["no WAV", "text", "cut"]
)
def test_what_is_no_audio_ends_as_unreadable(client: Client, upload: Send, work: Run, data: bytes) -> None:
    job_id = submit(client, upload(data, "audio/wav")).json["job_id"]
    work()
    assert show(client, job_id)["error"]["code"] == "INPUT_UNREADABLE"


def test_a_model_takes_a_file_or_rows_and_says_which(client: Client, upload: Send) -> None:
    audio, rows = upload(GOLDEN.read_bytes(), "audio/flac"), upload(b'{"text": "x"}')

    def field(body: dict[str, Any], path: str = "/api/v1/jobs") -> Any:
        answer = client.post(path, json=body)
        assert answer.status_code == 422, answer.text
        return answer.json["error"]["details"]["field"]

    assert field({"model": "speech", "inputs": {}}) == "model"
    assert field({"model": "speech", "inputs": {}}, "/api/v1/predict") == "model"
    assert field({"model": "speech", "inputs": [{}]}, "/api/v1/predict/batch") == "model"
    assert field({"model": "speech", "upload_id": audio, "inputs": {"threshold": 2}}) == "threshold"
    assert field({"model": "speech", "upload_id": audio, "options": {"format": "csv"}}) == "options.format"
    assert field({"model": "sentiment", "upload_id": rows, "inputs": {"text": "x"}}) == "inputs"
    assert field({"model": "sentiment", "upload_id": audio}) == "upload_id"
    assert field({"model": "speech", "upload_id": rows}) == "upload_id"
    # What is wrong is the file, and not what goes with rows.
    of_rows = {"format": "jsonl", "return_errors": "individual"}
    assert field({"model": "speech", "upload_id": rows, "options": of_rows}) == "upload_id"
    assert field({"model": "speech", "upload_id": audio, "options": {"return_errors": "fail_fast"}}) == (
        "options.return_errors"
    )
    assert field({"model": "sentiment", "upload_id": rows, "options": {"format": "csv"}}) == "options.format"
