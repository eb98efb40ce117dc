"""Models that a class of an installed package answers, through the real platform: what others get, they get."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask.testing
import joblib
import jsonschema
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from core import errors
from jobs.drain import Drainer
from local.child import Child
from tests import classes
from tests.bulk.conftest import Publish, Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient

BOTH = [{"x": 2, "y": 1}, {"x": 1, "y": 2}]
NUMBER = {"labels": None, "numbers": [{"name": "sum"}]}
DOES: dict[str, Any] = {
    **NUMBER, "fields": [{"name": "does", "type": "string"}],
    "golden": [{"inputs": {"does": "nothing"}, "prediction": 1}],
}  # fmt: skip
WORDS: dict[str, Any] = {
    "labels": None, "fields": [{"name": "text", "type": "string"}],
    "record": {"words": {"type": "integer"}, "most": {"type": "string"}, "each": {"type": "object"}},
    "golden": [{"inputs": {"text": "one two one"}, "record": {"words": 3, "most": "one"}}],
}  # fmt: skip


def forest() -> tuple[dict[str, bytes], dict[str, Any], list[dict[str, Any]]]:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(200, 2))
    trained = RandomForestClassifier(8, random_state=0).fit(inputs, inputs[:, 0] < inputs[:, 1])
    kept = io.BytesIO()
    joblib.dump(trained, kept)
    scores = trained.predict_proba([[row["x"], row["y"]] for row in BOTH])
    answers = [{"prediction": "ab"[int(row.argmax())], "confidence": round(float(row.max()), 6)} for row in scores]
    golden = [{"inputs": row, **answer} for row, answer in zip(BOTH, answers, strict=True)]
    return {"forest.joblib": kept.getvalue()}, {"golden": golden}, answers


def net() -> tuple[dict[str, bytes], dict[str, Any], list[dict[str, Any]]]:
    torch = pytest.importorskip("torch")
    made, kept = torch.nn.Linear(2, 2), io.BytesIO()
    with torch.no_grad():
        made.weight.copy_(torch.eye(2))
        made.bias.zero_()
    torch.save(made.state_dict(), kept)
    answers = [{"prediction": label, "confidence": 0.731059} for label in "ab"]
    return {"net.pt": kept.getvalue()}, {}, answers


def line() -> tuple[dict[str, bytes], dict[str, Any], list[dict[str, Any]]]:
    golden = [{"inputs": BOTH[0], "prediction": 2.5}]
    return {"weights.json": b"[1, 0.5]"}, {**NUMBER, "golden": golden}, [{"prediction": 2.5}, {"prediction": 2.0}]


@pytest.mark.parametrize(
    ("of", "make"), [("Forest", forest), ("Line", line), ("Net", net)], ids=["Forest", "Line", "Net"]
)
def test_an_answer_is_the_same_by_a_job_in_a_list_and_in_files(
    client: Client, upload: Send, work: Run, publish: Publish, of: str, make: Callable[[], Any]
) -> None:
    files, says, wanted = make()
    name = publish(of, files, **says)
    async_ = {"Prefer": "respond-async"}
    asked = client.post("/api/v1/predict", json={"model": name, "inputs": BOTH[0]}, headers=async_)
    assert asked.status_code == 202
    several = client.post("/api/v1/predict/batch", json={"model": name, "inputs": BOTH}, headers=async_)
    file = submit(client, upload(lines(BOTH)), model=name)
    table = submit(client, upload(b"y,x\n1,2\n2,1\n", "text/csv"), model=name)
    work()
    assert show(client, asked.json["job_id"])["result"] == wanted[0]
    assert show(client, several.json["job_id"])["result"] == {"predictions": wanted}
    for job_id in (file, table):
        assert [{key: row[key] for key in wanted[0]} for row in output(show(client, job_id))] == wanted


def test_values_of_its_own_are_told_as_its_schema_says_and_a_refusal_is_its_rows_alone(
    client: Client, upload: Send, work: Run, publish: Publish
) -> None:
    name = publish("Words", **WORDS)
    version = client.get(f"/api/v1/models/{name}/versions/1.0.0").json
    texts = [{"text": "one two one"}, {"text": " "}, {"text": 7}, {"text": "the secret"}, {"text": "last"}]
    body = {"model": name, "inputs": texts, "options": {"return_errors": "individual"}}
    ticket = client.post("/api/v1/jobs", json=body)
    alone = client.post("/api/v1/jobs", json={"model": name, "inputs": texts[1]})
    file = submit(client, upload(lines(texts)), model=name)
    asked, once = {"model": name, "inputs": texts[1]}, {"Idempotency-Key": name}
    assert client.post("/api/v1/predict", json=asked, headers={**once, "Prefer": "wait=0"}).status_code == 202
    work()
    now = client.post("/api/v1/predict", json=asked, headers=once)
    assert (now.status_code, now.json["error"]["code"]) == (422, "INPUT_REFUSED")
    answers = show(client, ticket.json["job_id"])["result"]["predictions"]
    assert answers[0] == {"record": {"words": 3, "most": "one", "each": {"one": 1, "two": 1}}}
    jsonschema.validate(answers[0], version["output_schema"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"record": {"words": "3", "most": "one", "each": {}}}, version["output_schema"])
    rows = output(show(client, file))
    for found in (answers, rows):
        codes = [item.get("error", {}).get("code") for item in found]
        assert codes == [None, "INPUT_REFUSED", "INVALID_INPUT", "MODEL_ERROR", None]
        assert found[1]["error"]["message"] == "the text has no words"
        assert found[3]["error"]["message"] == f"{name} failed: ValueError"
        assert found[4]["record"]["words"] == 1
    failed = show(client, alone.json["job_id"])
    assert (failed["status"], failed["attempt"], failed["error"]["code"]) == ("failed", 1, "INPUT_REFUSED")


def test_a_refusal_with_what_is_no_character_ends_its_job_with_a_question_mark(
    client: Client, work: Run, publish: Publish
) -> None:
    ticket = client.post("/api/v1/jobs", json={"model": publish("Does", **DOES), "inputs": {"does": "refuse"}}).json
    work()
    failed = show(client, ticket["job_id"])
    assert (failed["status"], failed["attempt"]) == ("failed", 1)
    assert (failed["error"]["code"], failed["error"]["message"]) == ("INPUT_REFUSED", "nobody knows ?")


def test_a_job_that_is_canceled_is_left_between_two_batches(client: Client, drainer: Drainer, publish: Publish) -> None:
    name = publish("Does", **DOES, max_batch=1)
    body = {"model": name, "inputs": [{"does": "wait 0.1"}] * 300}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    running = threading.Thread(target=drainer.drain, args=("cpu", "wake"))
    running.start()
    until(lambda: show(client, job_id)["progress"] > 0)
    assert client.post(f"/api/v1/jobs/{job_id}/cancel").status_code in (200, 202)
    running.join()
    assert show(client, job_id)["status"] == "canceled"
    assert 1 < classes.Does.calls.count("wait 0.1") < 250


def test_a_call_that_takes_longer_than_its_job_may_is_timed_out_when_it_ends(
    client: Client, work: Run, publish: Publish
) -> None:
    name = publish("Does", **DOES)
    body = {"model": name, "inputs": {"does": "wait 10"}, "timeout_s": 1}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    work()
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "TIMED_OUT")


FILE: dict[str, Any] = {
    "kind": "python-file", "labels": None, "options": {"takes": ["text/csv"]},
    "fields": [{"name": "pause_s", "type": "number", "required": False, "default": 0, "maximum": 1}],
    "record": {"lines": {"type": "integer"}}, "golden": [{"file": "golden.csv", "record": {"lines": 2}}],
}  # fmt: skip


def test_a_file_is_answered_whole_and_its_pieces_are_told_before_the_end(
    platform: Platform, client: Client, upload: Send, work: Run, publish: Publish
) -> None:
    name = publish("Lines", {"golden.csv": b"a\nb\n"}, **FILE)
    version = client.get(f"/api/v1/models/{name}/versions/1.0.0").json
    assert (version["kind"], version["file_types"]) == ("python-file", ["text/csv"])
    job_id = submit(client, upload(b"one\nthree\n", "text/csv"), model=name, inputs={"pause_s": 0.4})
    wrong = client.post("/api/v1/jobs", json={"model": name, "upload_id": upload(b"{}\n")})
    assert (wrong.status_code, wrong.json["error"]["details"]["field"]) == (422, "upload_id")
    odd = {"model": name, "upload_id": upload(b"a\n", "text/csv"), "inputs": {"pause_s": 7}}
    assert client.post("/api/v1/jobs", json=odd).json["error"]["details"]["issue"] == "must be at most 1"
    work()
    job = show(client, job_id)
    assert (job["status"], job["result"]) == ("completed", {"lines": 2})
    jsonschema.validate(job["result"], version["output_schema"])
    told = [row[0] for row in platform.rows("SELECT output FROM job_events WHERE type = 'output' ORDER BY id")]
    pieces = [piece for event in told for piece in (json.loads(event) if isinstance(event, str) else event)["pieces"]]
    assert pieces == [{"line": 1, "letters": 3}, {"line": 2, "letters": 5}]


def test_a_file_that_is_canceled_is_left_at_its_next_piece(
    client: Client, upload: Send, drainer: Drainer, publish: Publish
) -> None:
    name = publish("Lines", {"golden.csv": b"a\nb\n"}, **FILE)
    job_id = submit(client, upload(b"line\n" * 600, "text/csv"), model=name, inputs={"pause_s": 0.1})
    running = threading.Thread(target=drainer.drain, args=("cpu", "wake"))
    running.start()
    until(lambda: show(client, job_id)["progress"] > 0)
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    running.join(timeout=30)
    assert show(client, job_id)["status"] == "canceled"


def test_a_class_that_ends_its_process_costs_that_job_alone(
    client: Client, publish: Publish, spawn: Callable[..., Child], tmp_path: Path, quiet: None
) -> None:
    name = publish("Does", **DOES)
    dies = client.post("/api/v1/jobs", json={"model": name, "inputs": {"does": "exit 3"}}).json["job_id"]
    lives = client.post("/api/v1/jobs", json={"model": name, "inputs": {"does": "nothing"}}).json["job_id"]
    queue = ("celery", "-A", "workers.app", "worker")
    spawn("worker", *queue, "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1", PYTHONPATH=str(tmp_path))
    spawn("io", *queue, "-Q", "control", "-P", "threads", "-n", "io@%h", "--concurrency", "2")
    spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
    until(lambda: show(client, dies)["status"] == "failed" and show(client, lives)["status"] == "completed")
    assert show(client, dies)["error"]["code"] == "WORKER_LOST"
    assert show(client, lives)["result"] == {"prediction": 1.0}


def test_where_its_package_is_gone_its_jobs_fail_and_the_model_is_listed(
    client: Client, work: Run, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = publish("Does", **DOES)
    monkeypatch.undo()
    assert client.get(f"/api/v1/models/{name}").status_code == 200
    job_id = client.post("/api/v1/jobs", json={"model": name, "inputs": {"does": "nothing"}}).json["job_id"]
    work()
    error = show(client, job_id)["error"]
    assert (error["code"], error["message"]) == (
        errors.BundleInvalid.code, f"{name} 1.0.0 cannot be opened here; the log says why",
    )  # fmt: skip
