"""The Open Inference Protocol V2 over HTTP, byte for byte as its clients write and read it."""

from __future__ import annotations

import gzip
import json
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flask
import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access import keys
from inference import bundle
from jobs.drain import Drainer
from registry.shelf import bundle_key
from tests import callers, graphs
from tests.conftest import Platform, until
from tests.hands import work

pytestmark = pytest.mark.usefixtures("quiet")
TEXT = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Lovely"]}
NONE: Mapping[str, str] = {}
ONCE = {"Idempotency-Key": "k"}
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def models(platform: Platform, app: flask.Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """By what is special about it, the name of a model that answers at once."""
    folder, unique = tmp_path_factory.mktemp("models"), uuid.uuid4().hex[:8]
    names = {kind: f"oip-{kind}-{unique}" for kind in ("halves", "floats", "again", "columns")}
    folders = [
        graphs.doubling(folder / "a", names["halves"], "float16", "float16", [3], "3"),
        graphs.doubling(folder / "b", names["floats"], "float32", "float", [None], "M"),
        graphs.doubling(folder / "d", names["again"], "float32", "float", [None], "M"),
        graphs.bundle(folder / "c", name=names["columns"]),
    ]
    for found in folders:
        platform.catalog.publish(bundle.load(found))
    known = app.extensions["coatcheck"].catalog
    until(lambda: names["columns"] in {item.model for item in known.versions()})
    yield names
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = ANY (:names)", names=[*names.values()])


def post(
    client: FlaskClient, model: str, body: object, tail: bytes = b"", headers: Mapping[str, str] = NONE
) -> TestResponse:
    head = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = {LENGTH: str(len(head))} if tail else {}
    return client.post(f"/v2/models/{model}/infer", data=head + tail, headers={**length, **headers})


def error(answer: TestResponse) -> str:
    """Its text, which is all that there is in it."""
    assert answer.content_type == "application/json"
    assert answer.json.keys() == {"error"}
    return str(answer.json["error"])


def outputs(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert (answer.content_type, LENGTH in answer.headers) == ("application/json", False)
    return {item["name"]: item["data"] for item in answer.json["outputs"]}


def split(answer: TestResponse) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON of an answer in bytes, and the bytes of each output."""
    assert (answer.status_code, answer.content_type) == (200, "application/octet-stream"), answer.text
    length = int(answer.headers[LENGTH])
    head, tail, found = json.loads(answer.data[:length]), answer.data[length:], {}
    for item in head["outputs"]:
        size = item["parameters"]["binary_data_size"]
        found[item["name"]], tail = tail[:size], tail[size:]
    assert tail == b""
    return head, found


def floats(values: Any, shape: list[int], name: str = "x", datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": values}


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(("path", "said"), [("live", {"live": True}), ("ready", {"ready": True})])
def test_health_needs_no_key(anonymous: FlaskClient, path: str, said: dict[str, bool]) -> None:
    answer = anonymous.get(f"/v2/health/{path}")
    assert (answer.status_code, answer.json, answer.content_type) == (200, said, "application/json")


def test_the_server_says_what_it_is_and_what_it_can(anonymous: FlaskClient) -> None:
    answer = anonymous.get("/v2").json
    assert (answer["name"], answer["extensions"]) == ("coatcheck", ["binary_tensor_data"])
    assert answer["version"]


def test_a_model_says_what_it_takes_and_gives(client: FlaskClient, models: dict[str, str]) -> None:
    told = client.get("/v2/models/sentiment/versions/1.0.0").json
    assert (told["name"], told["platform"]) == ("sentiment", "coatcheck_text")
    assert {"1.0.0", "2.1.0"} <= set(told["versions"])
    assert {"name": "text", "datatype": "BYTES", "shape": [-1]} in told["inputs"]
    assert {"name": "prediction", "datatype": "BYTES", "shape": [-1]} in told["outputs"]
    floats = client.get(f"/v2/models/{models['floats']}").json
    assert floats["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]
    assert floats["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, -1]}]
    assert client.get("/v2/models/nothing").status_code == 404


def test_a_model_is_ready_when_it_opens_or_somebody_runs_it(platform: Platform, client: FlaskClient) -> None:
    ready = client.get("/v2/models/sentiment/ready")
    assert (ready.status_code, ready.json) == (200, {"name": "sentiment", "ready": True})
    until(lambda: client.get("/v2/models/sentiment/versions/2.1.0/ready").status_code == 503)
    assert client.get("/v2/models/sentiment/versions/9/ready").status_code == 404


def test_a_model_whose_bundle_was_changed_is_not_ready(platform: Platform, client: FlaskClient, tmp_path: Path) -> None:
    name = callers.name("changed").lower()
    found = bundle.load(graphs.bundle(tmp_path / "changed", name=name))
    platform.catalog.publish(found)
    platform.store.put(bundle_key(found.digest), b"changed")
    until(lambda: client.get(f"/v2/models/{name}").status_code == 200)
    answer = client.get(f"/v2/models/{name}/ready")
    assert (answer.status_code, "cannot be opened here" in error(answer)) == (503, True)
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = :name", name=name)


def test_the_index_lists_every_version(client: FlaskClient) -> None:
    found = client.post("/v2/repository/index", json={}).json
    assert {"name": "sentiment", "version": "1.0.0", "state": "READY", "reason": ""} in found


def test_texts_are_answered_as_a_batch_in_their_order_with_the_version_and_why(client: FlaskClient) -> None:
    texts = {"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": [["Lovely"], ["Awful"]]}
    answer = post(client, "sentiment", {"id": "mine", "inputs": [texts], "parameters": {"of": "another server"}})
    assert outputs(answer)["prediction"] == ["positive", "negative"]
    told = {item["name"]: (item["datatype"], item["shape"]) for item in answer.json["outputs"]}
    assert told == {"prediction": ("BYTES", [2]), "confidence": ("FP64", [2]), "scores": ("FP64", [2, 2])}
    assert (answer.json["id"], answer.json["model_name"], answer.json["model_version"]) == (
        "mine",
        "sentiment",
        "1.0.0",
    )
    assert (answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]) == ("1.0.0", "stable")
    pinned = client.post("/v2/models/sentiment/versions/1/infer", json={"inputs": [TEXT]})
    assert (pinned.json["model_version"], pinned.headers["X-Model-Route"]) == ("1.0.0", "pinned")
    assert "id" not in pinned.json
    other = client.post(
        "/v2/models/sentiment/versions/1/infer", json={"inputs": [TEXT]}, headers={"X-Model-Version": "2"}
    )
    assert other.status_code == 422


def test_columns_of_numbers_are_rows(client: FlaskClient, models: dict[str, str]) -> None:
    columns = [floats([2.0, 1.0], [2, 1], "x"), floats([1, 2], [2], "y", "INT64")]
    answer = post(client, models["columns"], {"inputs": columns, "outputs": [{"name": "prediction"}]})
    assert outputs(answer) == {"prediction": ["a", "b"]}
    missing = post(client, models["columns"], {"inputs": columns[:1]})
    assert "inputs.0.y is required" in error(missing)
    uneven = post(client, models["columns"], {"inputs": [columns[0], floats([1.0], [1], "y")]})
    assert "x 2, y 1" in error(uneven)


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]], ids=["flat", "nested"])
def test_tensors_go_in_and_come_out(client: FlaskClient, models: dict[str, str], data: list[Any]) -> None:
    answer = post(client, models["floats"], {"inputs": [floats(data, [2, 2])]})
    assert outputs(answer) == {"y": [2.0, 4.0, 6.0, 8.0]}
    assert answer.json["outputs"][0]["shape"] == [2, 2]


def test_bytes_behind_the_json_go_in_and_come_out(client: FlaskClient, models: dict[str, str]) -> None:
    sent = np.array([[0.1, 2.0]], np.float32)
    head = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    body = {"inputs": [head], "parameters": {"binary_data_output": True}}
    told, found = split(post(client, models["floats"], body, sent.tobytes()))
    assert np.array_equal(np.frombuffer(found["y"], np.float32), sent[0] * 2)
    assert told["outputs"][0]["shape"] == [1, 2]
    body = {"inputs": [head], "outputs": [{"name": "y", "parameters": {"binary_data": False}}]}
    assert outputs(post(client, models["floats"], body, sent.tobytes())) == {"y": [0.2, 4.0]}


def test_bytes_are_texts_with_their_length_before_them(client: FlaskClient) -> None:
    tail = packed(b"Lovely", "Größter Mist, awful".encode())
    head = {"name": "text", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(tail)}}
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in ("confidence", "prediction")]
    body = {"inputs": [head], "outputs": wanted}
    _, found = split(post(client, "sentiment", body, tail))
    assert [*found] == ["confidence", "prediction"]
    assert found["prediction"] == packed(b"positive", b"negative")
    assert np.frombuffer(found["confidence"], np.float64).shape == (2,)


def test_halves_are_bytes_alone(client: FlaskClient, models: dict[str, str]) -> None:
    sent = np.array([[0.5, 1.5, -2]], np.float16)
    head = {"name": "x", "datatype": "FP16", "shape": [1, 3], "parameters": {"binary_data_size": 6}}
    body = {"inputs": [head], "parameters": {"binary_data_output": True}}
    told, found = split(post(client, models["halves"], body, sent.tobytes()))
    assert told["outputs"][0]["datatype"] == "FP16"
    assert np.frombuffer(found["y"], np.float16).tolist() == [1, 3, -4]
    as_json = post(client, models["halves"], {"inputs": [floats([1, 2, 3], [1, 3], datatype="FP16")]})
    assert (as_json.status_code, "has no form in JSON" in error(as_json)) == (422, True)
    back = post(client, models["halves"], {"inputs": [head]}, sent.tobytes())
    assert (back.status_code, "ask for it as binary data" in error(back)) == (422, True)


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_body_may_be_packed(client: FlaskClient, name: str, pack: Any) -> None:
    body = pack(json.dumps({"inputs": [TEXT]}).encode())
    assert outputs(post(client, "sentiment", body, headers={"Content-Encoding": name}))["prediction"] == ["positive"]
    for broken in (body[:-5], body + b"x", b"x"):
        answer = post(client, "sentiment", broken, headers={"Content-Encoding": name})
        assert (answer.status_code, name in error(answer)) == (400, True)
    bomb = post(client, "sentiment", pack(b" " * 2**23), headers={"Content-Encoding": name})
    assert (bomb.status_code, "larger than" in error(bomb)) == (413, True)
    assert post(client, "sentiment", body, headers={"Content-Encoding": "br"}).status_code == 415


def test_what_mlserver_says_of_an_input_is_read(client: FlaskClient) -> None:
    said = {**TEXT, "data": ["TG92ZWx5"], "parameters": {"content_type": "base64"}}
    assert outputs(post(client, "sentiment", {"inputs": [said]}))["prediction"] == ["positive"]
    as_text = {**TEXT, "parameters": {"content_type": "str"}}
    assert outputs(post(client, "sentiment", {"inputs": [as_text]}))["prediction"] == ["positive"]
    other = post(client, "sentiment", {"inputs": [{**TEXT, "parameters": {"content_type": "datetime"}}]})
    assert (other.status_code, "content_type" in error(other)) == (422, True)
    broken = post(client, "sentiment", {"inputs": [{**said, "data": ["Lovely!"]}]})
    assert "must be base64" in error(broken)


#: What is wrong with a tensor, and of what the error speaks.
WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "shape": ({"shape": [3, 1, 1], "data": [1, 2, 3]}, "must have the shape [-1, -1], rows first, but has [3, 1, 1]"),
    "no rows": ({"shape": [], "data": [1]}, "must have the shape"),
    "elements": ({"shape": [2, 2], "data": [1, 2, 3]}, "3 elements"),
    "datatype": ({"datatype": "INT32", "shape": [1, 1], "data": [1]}, "must be FP32, not INT32"),
    "unknown datatype": ({"datatype": "BF16", "shape": [1, 1], "data": [1]}, "not BF16"),
    "element": ({"shape": [1, 2], "data": [1, "2"]}, "inputs.x[1] must be a number"),
    "name": ({"name": "z", "shape": [1, 1], "data": [1]}, "inputs.z is none of the inputs: x"),
    "no data": ({"shape": [1, 1]}, "must be a list"),
    "no rows in it": ({"shape": [0, 1], "data": []}, "must not be empty"),
    "no rows of a size that nothing has": ({"shape": [0, 2**31, 2**31, 2**31], "data": []}, "that nothing can have"),
    "axes": ({"shape": [-1, 2], "data": [1, 2]}, "shape"),
    "classification": ({"shape": [1, 1], "data": [1], "parameters": {"classification": 1}}, "is not offered here"),
    "bytes": ({"shape": [1, 1], "parameters": {"binary_data_size": 4}}, "binary_data_size"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_tensor_is_said(client: FlaskClient, models: dict[str, str], what: str) -> None:
    given, says = WRONG[what]
    answer = post(client, models["floats"], {"inputs": [{"name": "x", "datatype": "FP32", **given}]})
    assert (answer.status_code, says in error(answer)) == (422, True), answer.text


def test_a_batch_has_an_end_however_small_its_rows_are(client: FlaskClient, models: dict[str, str]) -> None:
    answer = post(client, models["floats"], {"inputs": [floats([], [2**31, 0])]})
    assert (answer.status_code, "exceeds maximum of 1000 items" in error(answer)) == (413, True)


@pytest.mark.parametrize(
    ("length", "tail"), [("x", b""), ("-1", b""), ("99999", b""), ("9" * 5000, b""), ("2", b"")], ids=str
)
def test_a_length_that_is_not_that_of_the_json_is_refused(client: FlaskClient, length: str, tail: bytes) -> None:
    answer = client.post("/v2/models/sentiment/infer", json={"inputs": [TEXT]}, headers={LENGTH: length})
    assert answer.status_code in (400, 422)
    assert error(answer)
    left = post(client, "sentiment", {"inputs": [TEXT]}, b"over")
    assert (left.status_code, "4 bytes behind the JSON" in error(left)) == (400, True)


def test_errors_are_a_text_whoever_refuses(
    client: FlaskClient, anonymous: FlaskClient, platform: Platform, app: flask.Flask
) -> None:
    unknown, version = (post(client, name, {"inputs": [TEXT]}) for name in ("nothing", "sentiment/versions/9.9.9"))
    assert (unknown.status_code, "'nothing' is not published" in error(unknown)) == (404, True)
    assert (version.status_code, "no version '9.9.9'" in error(version)) == (404, True)
    refused = post(anonymous, "sentiment", {"inputs": [TEXT]})
    assert (refused.status_code, error(refused)) == (401, "A valid API key is required")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    shut = post(anonymous, "sentiment", {}, headers=callers.key(platform, scopes={"jobs"}).headers)
    assert (shut.status_code, "'predict'" in error(shut)) == (403, True)
    for method, path in (("GET", "/v2/models/sentiment/config"), ("POST", "/v2/repository/models/sentiment/load")):
        lacking = client.open(path, method=method)
        assert (lacking.status_code, error(lacking)) == (404, f"{method} {path} is not offered here")
    got = client.get("/v2/models/sentiment/infer")
    assert (got.status_code, error(got)) == (405, "GET /v2/models/sentiment/infer is not offered here")
    large = post(client, "sentiment", b" " * (app.config["MAX_CONTENT_LENGTH"] + 1))
    assert (large.status_code, "larger than" in error(large)) == (413, True)
    assert error(post(client, "sentiment", b"{")).startswith("The request body cannot be read: body is not valid JSON")
    wait = post(client, "sentiment", {"inputs": [TEXT]}, headers={"Prefer": "respond-async"})
    assert (wait.status_code, "POST /api/v1/jobs" in error(wait)) == (422, True)


def test_a_file_is_no_tensor(client: FlaskClient) -> None:
    assert client.get("/v2/models/speech").json["inputs"] == []
    answer = post(client, "speech", {"inputs": [TEXT]})
    assert (answer.status_code, "takes a file" in error(answer)) == (422, True)


def test_each_row_is_paid_for_and_under_a_key_once(platform: Platform, client: FlaskClient) -> None:
    two = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["Lovely", "Awful"]}
    first, again = (post(client, "sentiment", {"inputs": [two]}, headers=ONCE) for _ in range(2))
    assert first.json == again.json
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    until(lambda: platform.rows("SELECT FROM usage"))
    assert platform.one("SELECT sum(units), min(model) FROM usage") == (2, "sentiment")
    other = post(client, "sentiment", {"inputs": [TEXT]}, headers=ONCE)
    assert (other.status_code, "different request" in error(other)) == (422, True)


def test_a_key_stands_for_what_one_model_was_asked_in_one_version(client: FlaskClient, models: dict[str, str]) -> None:
    body = {"inputs": [floats([1.0, 2.0], [1, 2])]}
    path, same = models["floats"], f"{models['floats']}/versions/1.0.0"
    assert post(client, path, body, headers=ONCE).status_code == 200
    for other in (same, models["again"]):
        answer = post(client, other, body, headers=ONCE)
        assert (answer.status_code, "different request" in error(answer)) == (422, True), other
    assert post(client, same, body, headers={"Idempotency-Key": "pinned"}).status_code == 200


def test_a_long_model_is_asked_through_a_job_and_waited_for(platform: Platform, client: FlaskClient) -> None:
    heavy = "sentiment/versions/2.1.0"
    late = post(client, heavy, {"inputs": [TEXT]}, headers={"Prefer": "wait=0", **ONCE})
    assert (late.status_code, "has not ended in time, and goes on: GET /api/v1/jobs/job_" in error(late)) == (422, True)
    assert (late.headers["X-Model-Version"], late.headers["X-Model-Route"]) == ("2.1.0", "pinned")
    work(platform)
    answer = post(client, heavy, {"inputs": [TEXT]}, headers={"Prefer": "wait=0", **ONCE})
    assert outputs(answer)["prediction"] == ["positive"]
    assert answer.headers["X-Model-Route"] == "pinned"
    assert len(platform.rows("SELECT FROM jobs")) == 1


def test_a_large_answer_of_a_job_has_all_that_was_said_of_it(
    platform: Platform, client: FlaskClient, drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What v1 tells of it, which is kept for its clients, has no scores.
    monkeypatch.setattr("jobs.attempt.LARGE_BYTES", 10)
    two = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["Lovely", "Awful"]}]}
    heavy, headers = "sentiment/versions/2.1.0", {"Prefer": "wait=0", **ONCE}
    post(client, heavy, two, headers=headers)
    drainer.drain("cpu", "wake")
    answer = post(client, heavy, two, headers=headers)
    assert platform.one("SELECT body ->> 'form' FROM job_results") == ("stored",)
    assert outputs(answer)["prediction"] == ["positive", "negative"]
    scores = outputs(answer)["scores"]
    half = len(scores) // 2
    assert [max(scores[:half]), max(scores[half:])] == outputs(answer)["confidence"]


def test_the_answers_to_a_list_have_a_bound_in_all(
    client: FlaskClient, models: dict[str, str], drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each row by itself is answered.
    name, says = models["floats"], "more than 5 elements in all"
    monkeypatch.setattr("inference.output.MOST_ELEMENTS", 5)
    listed = [{"x": [1, 2]}] * 3
    answer = post(client, name, {"inputs": [floats([1.0, 2.0] * 3, [3, 2])]})
    assert (answer.status_code, says in error(answer)) == (413, True)
    assert post(client, name, {"inputs": [floats([1.0, 2.0] * 2, [2, 2])]}).status_code == 200
    for errors_ in ("fail_fast", "individual"):
        body = {"model": name, "inputs": listed, "options": {"return_errors": errors_}}
        refused = client.post("/api/v1/predict/batch", json=body)
        assert (refused.status_code, refused.json["error"]["code"]) == (413, "BATCH_TOO_LARGE")
        job = client.post("/api/v1/jobs", json=body).headers["Location"]
        drainer.drain("cpu", "wake")
        ended = client.get(job).json
        assert (ended["status"], ended["error"]["code"], says in str(ended)) == ("failed", "BATCH_TOO_LARGE", True)


def test_a_key_that_is_for_another_model_is_refused(platform: Platform, app: flask.Flask) -> None:
    key = callers.key(platform, scopes=keys.CLIENT)
    platform.execute("UPDATE api_keys SET models = '{another}' WHERE id = :id", id=key.id)
    answer = post(app.test_client(), "sentiment", {"inputs": [TEXT]}, headers=key.headers)
    assert (answer.status_code, "model" in error(answer)) == (403, True)
