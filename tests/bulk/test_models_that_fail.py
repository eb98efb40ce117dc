"""A model of somebody else's that fails on some inputs: each failure is one job's or one row's, and at once."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import flask.testing
import numpy as np
import pytest
import soundfile
import yaml

import models
from core import errors
from inference import bundle
from inference.manifest import Manifest
from jobs.drain import Drainer
from registry.shelf import bundle_key
from tests import factories, graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_audio import GOLDEN
from tests.bulk.test_life import lines, output, show
from tests.conftest import ROOT, Platform, until

Client = flask.testing.FlaskClient

GOOD, BAD = {"x": 2, "y": 1}, {"x": -9, "y": 1}
COLUMN = "x = Gather <axis = 1> (features, column)"


@dataclass(frozen=True)
class Case:
    """What answers GOOD with some confidence, and what is said of BAD."""

    says: str
    graph: str = graphs.GOOD
    confidence: float = graphs.CONFIDENCE
    raises: str = ""  #: by the code of the kind


CASES = {
    "another number of rows": Case(
        "gave 'probabilities' as float32 [0, 2], but must give floats [1, 2]",
        f"{COLUMN} kept = Greater(x, zero) some = Compress <axis = 0> (features, kept)"
        " probabilities = Softmax <axis = 1> (some)",
    ),
    "not finite": Case(
        "gave 'probabilities' with a number that is not finite",
        "roots = Sqrt(features) probabilities = Softmax <axis = 1> (roots)",
        confidence=0.6021,
    ),
    "refused by ONNX Runtime": Case(
        "failed: InvalidArgument",
        f"{COLUMN} place = Cast <to = 7> (x) none = Gather (zeros, place) added = Unsqueeze (none, across)"
        " moved = Add(features, added) probabilities = Softmax <axis = 1> (moved)",
    ),
    "a kind's mistake": Case("failed: ValueError", raises="ValueError('secret')"),
    "recursion": Case("failed: RecursionError", raises="RecursionError"),
    "the end of an iterator": Case("failed: StopIteration", raises="StopIteration"),
    "no memory": Case("has not enough memory for this input", raises="MemoryError"),
}
PLUG_IN = """
import numpy as np

class Kind:
    def __init__(self, bundle):
        self.names = [field.name for field in bundle.manifest.fields]

    def encode(self, rows):
        if any(row["x"] <= 0 for row in rows):
            raise {raises}
        return {{"features": np.array([[row[name] for name in self.names] for row in rows], np.float32)}}
"""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def model(case: Case, platform: Platform, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the case's model, published."""
    name = f"m{uuid.uuid4().hex}"
    if case.raises:
        graphs.plug_in(tmp_path, name, PLUG_IN.format(raises=case.raises))
        monkeypatch.syspath_prepend(tmp_path)
    golden = [{"inputs": GOOD, "prediction": "a", "confidence": case.confidence}]
    kind = name if case.raises else "tabular"
    made = graphs.bundle(tmp_path / "bundle", graphs.graph(case.graph), name=name, kind=kind, golden=golden)
    platform.catalog.publish(bundle.load(made))
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    until(lambda: name in {item.model for item in platform.catalog.versions()})
    return name


def test_inline_it_is_the_items_own_error(client: Client, model: str, case: Case) -> None:
    alone = client.post("/api/v1/predict", json={"model": model, "inputs": BAD})
    assert (alone.status_code, alone.json["error"]["code"]) == (422, "MODEL_ERROR")
    assert case.says in alone.json["error"]["message"]
    assert "secret" not in alone.text
    body: dict[str, Any] = {"model": model, "inputs": [GOOD, BAD, GOOD]}
    assert client.post("/api/v1/predict/batch", json=body).json["error"]["code"] == "MODEL_ERROR"
    body["options"] = {"return_errors": "individual"}
    answer = client.post("/api/v1/predict/batch", json=body)
    assert (answer.status_code, answer.json["failed"]) == (200, 1)
    assert [item.get("prediction") for item in answer.json["predictions"]] == ["a", None, "a"]
    assert case.says in answer.json["predictions"][1]["error"]["message"]


@pytest.mark.parametrize("path", ["/api/v1/predict/batch", "/api/v1/jobs"])
def test_through_a_job_it_is_the_items_own_error_as_it_is_inline(
    platform: Platform, client: Client, drainer: Drainer, model: str, path: str
) -> None:
    body: dict[str, Any] = {"model": model, "inputs": [BAD, GOOD, {"x": "?"}, BAD, GOOD]}
    body["options"] = {"return_errors": "individual"}
    inline = client.post("/api/v1/predict/batch", json=body).json["predictions"]
    assert [next(iter(item)) for item in inline] == ["error", "prediction", "error", "error", "prediction"]
    ticket = client.post(path, json=body, headers={"Prefer": "respond-async"})
    assert ticket.status_code == 202
    drainer.drain("cpu", "wake")
    job = show(client, ticket.json["job_id"])
    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert job["result"]["predictions"] == inline
    assert platform.one("SELECT sum(units) FROM usage WHERE kind <> 'inline'") == (2,)


def test_a_job_fails_at_once_with_its_cause_and_none_of_its_neighbours_waits(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID], model: str, case: Case
) -> None:
    inputs = [GOOD, GOOD, BAD, [GOOD, BAD], [GOOD, GOOD]]
    jobs = [new_job(model=model, inputs=item) for item in inputs]
    drainer.drain("cpu", "wake")
    said = {
        row.id: row
        for row in platform.rows("SELECT id, status, attempt, lost_count, error ->> 'message' AS message FROM jobs")
    }
    # What the machine lacked it may have later: another attempt, which is no loss.
    end = "pending" if case.raises == "MemoryError" else "failed"
    assert [said[job].status for job in jobs] == ["completed", "completed", end, end, "completed"]
    assert {(row.attempt, row.lost_count) for row in said.values()} == {(1, 0)}
    assert all(case.says in str(said[job].message) for job in jobs[2:4])


def test_in_a_file_it_is_an_error_of_its_row(client: Client, upload: Send, work: Run, model: str, case: Case) -> None:
    upload_id = upload(lines([GOOD, BAD, GOOD]))
    job_id = client.post("/api/v1/jobs", json={"upload_id": upload_id, "model": model}).json["job_id"]
    work()
    job = show(client, job_id)
    assert (job["status"], job["result"]["failed"]) == ("completed", 1)
    rows = output(job)
    assert [row.get("prediction") for row in rows] == ["a", None, "a"]
    assert case.says in rows[1]["error"]["message"]


def test_a_version_that_was_published_by_older_rules_is_served_by_them(
    platform: Platform, client: Client, drainer: Drainer, new_job: Callable[..., UUID], tmp_path: Path
) -> None:
    """Its threshold may be left out, which nobody may publish now."""
    name = f"m{uuid.uuid4().hex}"
    folder = Path(shutil.copytree(ROOT / "bundles" / "sentiment-1", tmp_path / "old"))
    says = yaml.safe_load((folder / "model.yaml").read_text())
    says["fields"][2] = {"name": "confidence_threshold", "type": "number", "required": False}
    for golden in says["golden"]:
        golden["inputs"]["confidence_threshold"] = 0.0
    (folder / "model.yaml").write_text(yaml.safe_dump({**says, "name": name}))
    with pytest.raises(errors.BundleInvalid, match="threshold_field must name a number that is required"):
        bundle.load(folder)
    old = bundle.Bundle(folder, Manifest.from_dict({**says, "name": name}), bundle.digest(folder))
    with tempfile.TemporaryFile() as file:
        bundle.write(old, file)
        file.seek(0)
        platform.store.put_file(bundle_key(old.digest), file)
    factories.add(platform, models.Model, name=name)
    kept = {"digest": old.digest, "manifest": old.manifest.to_dict(), "max_batch": old.manifest.max_batch}
    factories.add(platform, models.ModelVersion, model=name, version=old.manifest.version, **kept)
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    until(lambda: name in {item.model for item in platform.catalog.versions()})
    good, bad = {"text": "great", "confidence_threshold": 0.1}, {"text": "great"}
    body = {"model": name, "inputs": [good, bad], "options": {"return_errors": "individual"}}
    answers = client.post("/api/v1/predict/batch", json=body).json["predictions"]
    assert answers[0]["prediction"] == "positive"
    assert answers[1]["error"]["message"] == f"{name} needs confidence_threshold, which was left out"
    assert client.post("/api/v1/predict", json={"model": name, "inputs": bad}).status_code == 422
    rows = [{**row, "language": "en", "confidence_threshold": row.get("confidence_threshold")} for row in (good, bad)]
    for row in rows:
        new_job(model=name, inputs=row)
    drainer.drain("cpu", "wake")
    ends = platform.rows("SELECT status, attempt, error ->> 'code' FROM jobs ORDER BY id")
    assert [tuple(end) for end in ends] == [("completed", 1, None), ("failed", 1, "MODEL_ERROR")]


#: Louder frames than this are lost.
DEAF = """
  loud = ReduceMax <axes = [1], keepdims = 0> (input) quiet = Less(loud, limit) nothing = Mul(loud, zero)
  speech_probs = Compress <axis = 0> (nothing, quiet) hn = Identity(h) cn = Identity(c)
"""
STATES = "float[1, 1, 128] h, float[1, 1, 128] c", "float[1, 1, 128] hn, float[1, 1, 128] cn"


def test_a_model_that_takes_files_fails_for_its_own_job_at_once(
    platform: Platform, client: Client, upload: Send, work: Run, tmp_path: Path
) -> None:
    name = f"m{uuid.uuid4().hex}"
    takes = f"float[N, 576] input, {STATES[0]}, float limit = {{0.01}}"
    deaf = graphs.graph(DEAF, takes=takes, gives=f"float[K] speech_probs, {STATES[1]}")
    fields = yaml.safe_load((GOLDEN.parent / "model.yaml").read_text())["fields"]
    golden = [{"file": "silence.wav", "segments": []}]
    says = {"kind": "audio", "labels": None, "inline": False, "fields": fields, "golden": golden}
    made = graphs.bundle(tmp_path / "bundle", deaf, name=name, **says)
    soundfile.write(made / "silence.wav", np.zeros(16_000, np.int16), 16_000)
    platform.catalog.publish(bundle.load(made))
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    until(lambda: name in {item.model for item in platform.catalog.versions()})
    body = {"model": name, "upload_id": upload(GOLDEN.read_bytes(), "audio/flac")}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    work()
    job = show(client, job_id)
    assert (job["status"], job["attempt"], job["lost_count"]) == ("failed", 1, 0)
    assert job["error"]["code"] == "MODEL_ERROR"
    assert "gave 'speech_probs' as float32 [" in job["error"]["message"]
