"""Why a model answers as it does, wherever its answers are asked for."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import flask.testing
import onnx.helper
import orjson
import pytest
from werkzeug.test import TestResponse

from core import errors
from inference import bundle
from serving.inputs import MOST_ASKED
from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show
from tests.conftest import ROOT, Platform, until

Client = flask.testing.FlaskClient
PREDICT = "/api/v1/predict"
#: Of 2 x - 3 y + 1, where (0, 0) and (2, 2) are usual.
ROW = {"x": 3, "y": 1}
WHY = {
    "method": "SHAP",
    "feature_importance": [{"feature": "x", "place": 0, "score": 4.0}, {"feature": "y", "place": 1, "score": 0.0}],
    "algorithm": "linear",
    "output": "sum",
    "scale": "number",
    "base_value": 0.0,
    "value": 4.0,
    "additivity_error": 0.0,
    "evaluations": 0,
}
SVG = "{http://www.w3.org/2000/svg}"
USUAL = [{"x": 0, "y": 0}, {"x": 2, "y": 2}]


def line() -> bytes:
    node = onnx.helper.make_node(
        "LinearRegressor", ["features"], ["sum"], domain="ai.onnx.ml", coefficients=[2.0, -3.0], intercepts=[1.0]
    )
    takes = onnx.helper.make_tensor_value_info("features", 1, [None, 2])
    gives = onnx.helper.make_tensor_value_info("sum", 1, [None, 1])
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    made = onnx.helper.make_graph([node], "g", [takes], [gives])
    return bytes(onnx.helper.make_model(made, opset_imports=versions, ir_version=10).SerializeToString())


@pytest.fixture
def publish(platform: Platform, client: Client, tmp_path: Path) -> Callable[..., str]:
    def go(made: bytes | None, **says: Any) -> str:
        name = f"w{uuid.uuid4().hex}"
        folder = graphs.bundle(tmp_path / name, made, name=name, **says)
        (folder / "usual.jsonl").write_bytes(b"\n".join(map(orjson.dumps, USUAL)))
        assert platform.catalog.publish(bundle.load(folder))
        until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
        until(lambda: name in {item.model for item in platform.catalog.versions()})
        return name

    return go


@pytest.fixture
def exact(publish: Callable[..., str]) -> str:
    return publish(
        line(), labels=None, numbers=[{"name": "sum"}], golden=[{"inputs": ROW, "prediction": 4}],
        explanation=["shap"], explain={"method": "exact", "background": "usual.jsonl", "units": 3},
    )  # fmt: skip


@pytest.fixture
def asked(publish: Callable[..., str]) -> str:
    """A model that has to be asked."""
    explain = {"method": "sampled", "background": "usual.jsonl", "units": 50}
    return publish(None, explanation=["simple", "shap"], explain=explain)


def test_the_model_that_ships_says_which_measurements_moved_it(client: Client, platform: Platform) -> None:
    inputs = platform.catalog.resolve("tumor", "1.1.0").manifest.golden[1].inputs
    body = {"model": "tumor", "model_version": "1.1.0", "inputs": inputs, "options": {"explain": True}}
    said = client.post(PREDICT, json=body).json
    why = said["explanation"]
    assert (said["prediction"], why["output"], why["algorithm"], why["scale"]) == (
        "malignant", "malignant", "trees", "log-odds"
    )  # fmt: skip
    scores = [feature["score"] for feature in why["feature_importance"]]
    assert scores == sorted(scores, key=abs, reverse=True)
    assert {feature["feature"] for feature in why["feature_importance"]} == {*inputs}
    assert why["base_value"] + sum(scores) == pytest.approx(why["value"])
    assert 1 / (1 + math.exp(-why["value"])) == pytest.approx(said["confidence"], abs=1e-5)
    assert why["additivity_error"] < 1e-5


@pytest.mark.parametrize("how", [True, "shap"])
def test_an_exact_explanation_comes_with_the_prediction(client: Client, exact: str, how: object) -> None:
    body = {"model": exact, "inputs": ROW}
    said = client.post(PREDICT, json={**body, "options": {"explain": how}})
    assert (said.status_code, said.json["prediction"], said.json["explanation"]) == (200, 4, WHY)
    assert "explanation" not in client.post(PREDICT, json=body).json
    by_address = client.post(f"{PREDICT}?explain=shap", json=body, headers={"Accept": "application/json"})
    assert by_address.json["explanation"] == WHY


def test_the_route_for_it_gives_the_best_level_or_the_one_that_is_named(client: Client, exact: str, asked: str) -> None:
    said = client.post("/api/v1/explain", json={"model": exact, "inputs": ROW})
    assert (said.status_code, said.json["prediction"], said.json["explanation"]) == (200, 4, WHY)
    body = {"model": asked, "inputs": ROW}
    assert client.post("/api/v1/explain", json=body, headers={"Prefer": "wait=0"}).status_code == 202
    simple = client.post("/api/v1/explain", json={**body, "options": {"explain": "simple"}})
    assert simple.json["explanation"]["method"] == "scores"
    refused = client.post("/api/v1/explain", json={**body, "options": {"explain": False}})
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, "options.explain")


@pytest.mark.parametrize("api", ["/api/v1", "/api/v2", "/api"])
def test_who_accepts_a_picture_gets_one_that_says_what_it_shows(
    client: Client, exact: str, asked: str, api: str
) -> None:
    drawn = client.post(f"{api}/explain", json={"model": exact, "inputs": ROW}, headers={"Accept": "image/svg+xml"})
    assert (drawn.status_code, drawn.mimetype, "Accept" in drawn.vary) == (200, "image/svg+xml", True)
    assert drawn.headers["X-Model-Version"] == "1.0.0"
    root = ElementTree.fromstring(drawn.text)
    assert root.find(f"{SVG}title").text == "Why sum: 0 usually, 4 here (number)"
    assert root.find(f"{SVG}desc").text == "x +4; y +0"
    # What cannot be drawn, or not yet, is told.
    for body, status in (({"model": asked, "options": {"explain": "simple"}}, 200), ({"model": asked}, 202)):
        accept = {"Accept": "image/svg+xml, application/json", "Prefer": "wait=0"}
        told = client.post(f"{api}/explain", json={**body, "inputs": ROW}, headers=accept)
        assert (told.status_code, told.is_json) == (status, True)


def test_the_reasons_of_a_text_are_drawn_in_it_and_those_of_fields_as_bars(
    client: Client, work: Run, publish: Callable[..., str], asked: str
) -> None:
    worded = publish(
        (ROOT / "bundles/sentiment-1/model.onnx").read_bytes(), kind="text", labels=["negative", "positive"],
        fields=[{"name": "text", "type": "string"}], explanation=["simple", "shap"], explain={"method": "sampled"},
        golden=[{"inputs": {"text": "I love this product, it works perfectly!"}, "prediction": "positive",
                 "confidence": 0.9886}],
    )  # fmt: skip
    for model, inputs, as_a_text in ((worded, {"text": "Good food"}, True), (asked, ROW, False)):
        headers = {"Accept": "image/svg+xml", "Prefer": "wait=0", "Idempotency-Key": model}

        def ask(model: str = model, inputs: object = inputs, headers: dict[str, str] = headers) -> TestResponse:
            return client.post("/api/v1/explain", json={"model": model, "inputs": inputs}, headers=headers)

        assert ask().status_code == 202
        work()
        drawn = ask()
        assert (drawn.status_code, drawn.mimetype, drawn.headers.getlist("Vary")) == (200, "image/svg+xml", ["Accept"])
        # Words stand on grounds of their own width.
        assert ("lengthAdjust" in drawn.text) is as_a_text


def test_each_of_a_batch_is_explained(client: Client, exact: str) -> None:
    body = {"model": exact, "inputs": [ROW, ROW], "options": {"explain": "shap"}}
    said = client.post(f"{PREDICT}/batch", json=body)
    assert [item["explanation"] for item in said.json["predictions"]] == [WHY, WHY]


def test_a_repeated_key_has_the_same_explanation(client: Client, exact: str) -> None:
    body, key = {"model": exact, "inputs": ROW, "options": {"explain": True}}, {"Idempotency-Key": "why"}
    first, second = (client.post(PREDICT, json=body, headers=key) for _ in range(2))
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json["explanation"] == second.json["explanation"] == WHY


def test_a_job_and_each_row_of_a_file_are_explained(client: Client, upload: Send, work: Run, exact: str) -> None:
    options = {"explain": "shap"}
    ids = [
        client.post("/api/v1/jobs", json={"model": exact, "options": options, **inputs}).json["job_id"]
        for inputs in ({"inputs": ROW}, {"inputs": [ROW, ROW]}, {"upload_id": upload(lines([ROW] * 3))})
    ]
    work()
    one, several, file = (show(client, job_id) for job_id in ids)
    assert one["result"]["explanation"] == WHY
    assert [item["explanation"] for item in several["result"]["predictions"]] == [WHY, WHY]
    assert [row["explanation"] for row in output(file)] == [WHY] * 3


def test_an_explanation_costs_what_its_model_says(client: Client, platform: Platform, work: Run, exact: str) -> None:
    client.post("/api/v1/jobs", json={"model": exact, "inputs": [ROW, ROW], "options": {"explain": True}})
    work()
    assert platform.rows("SELECT cost FROM jobs") == [(8,)]
    assert [row[0] for row in platform.rows("SELECT units FROM usage WHERE model = :model", model=exact)] == [8]


def test_a_model_that_has_to_be_asked_is_asked_by_a_job_of_its_own_kind(
    client: Client, platform: Platform, work: Run, asked: str
) -> None:
    body = {"model": asked, "inputs": {"x": 2, "y": 1}, "options": {"explain": True}}
    ticket = client.post(PREDICT, json=body, headers={"Prefer": "wait=0"})
    assert ticket.status_code == 202
    assert platform.rows("SELECT kind, batches FROM jobs") == [("explain", False)]
    work()
    why = show(client, ticket.json["job_id"])["result"]["explanation"]
    assert (why["method"], why["algorithm"], why["output"], why["scale"]) == ("SHAP", "enumeration", "a", "probability")
    assert why["value"] == pytest.approx(graphs.CONFIDENCE, abs=1e-5)
    assert why["base_value"] == pytest.approx(0.5)
    assert why["evaluations"] == 8
    # What it can say at once is said at once.
    simple = client.post(PREDICT, json={**body, "options": {"explain": "simple"}})
    assert (simple.status_code, simple.json["explanation"]["method"]) == (200, "scores")


def test_how_exactly_is_said_of_reasons_alone_and_is_its_job_s(
    client: Client, platform: Platform, asked: str, exact: str
) -> None:
    options = {"explain": "shap", "explain_tolerance": 0.25}
    for address, inputs in (("/predict", ROW), ("/predict/batch", [ROW]), ("/explain", ROW), ("/jobs", ROW)):
        platform.truncate("jobs CASCADE")
        body = {"model": asked, "inputs": inputs, "options": options}
        assert client.post(f"/api/v1{address}", json=body, headers={"Prefer": "wait=0"}).status_code == 202, address
        assert platform.rows("SELECT options->>'explain_tolerance' FROM jobs") == [("0.25",)]
        level = {"explain": "simple"} if address == "/explain" else {}
        for broken in ({"explain_tolerance": 0.25, **level}, {**options, "explain_tolerance": -1}):
            refused = client.post(f"/api/v1{address}", json={**body, "options": broken})
            field = refused.json["error"]["details"]["field"]
            assert (refused.status_code, field) == (422, "options.explain_tolerance"), address
    said = client.post("/api/v1/predict", json={"model": exact, "inputs": ROW, "options": options})
    assert said.json["explanation"] == WHY


@pytest.mark.parametrize(
    ("address", "inputs"), [("predict", ROW), ("predict/batch", [ROW]), ("explain", ROW), ("jobs", ROW)]
)
def test_whether_it_must_be_so_exact_is_its_job_s_too_and_is_said_of_a_tolerance_alone(
    client: Client, platform: Platform, asked: str, exact: str, address: str, inputs: object
) -> None:
    options = {"explain": "shap", "explain_tolerance": 0.25, "explain_strict": True}
    platform.truncate("jobs CASCADE")
    for version in ("v1", "v2"):
        body = {"model": asked, "inputs": inputs, "options": options}
        said = client.post(f"/api/{version}/{address}", json=body, headers={"Prefer": "wait=0"})
        assert said.status_code == 202
    assert platform.rows("SELECT options->>'explain_strict' FROM jobs") == [("true",)] * 2
    loose = {"explain": "shap", "explain_strict": True}
    refused = client.post(f"/api/v1/{address}", json={"model": asked, "inputs": inputs, "options": loose})
    field = refused.json["error"]["details"]["field"]
    assert (refused.status_code, field) == (422, "options.explain_strict")
    # What is exact is within everything.
    said = client.post(f"/api/v1/{address}", json={"model": exact, "inputs": inputs, "options": options})
    assert said.status_code == (202 if address == "jobs" else 200)


def test_so_many_inputs_and_no_more_are_explained_by_questions(client: Client, upload: Send, asked: str) -> None:
    inputs = [{"x": 2, "y": 1}] * (MOST_ASKED + 1)
    body = {"model": asked, "options": {"explain": "shap"}}
    for address in (f"{PREDICT}/batch", "/api/v1/jobs"):
        over = client.post(address, json={**body, "inputs": inputs})
        assert (over.status_code, over.json["error"]["code"]) == (413, errors.BatchTooLarge.code)
        assert (
            client.post(address, json={**body, "inputs": inputs[1:]}, headers={"Prefer": "wait=0"}).status_code == 202
        )
    file = client.post("/api/v1/jobs", json={**body, "upload_id": upload(lines(inputs))})
    assert (file.status_code, file.json["error"]["details"]["field"]) == (422, "options.explain")
