"""Models that answer with numbers and vectors, through every door: their answers are the same in each."""

from __future__ import annotations

import csv
import io
import json
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask.testing
import jsonschema
import pytest

from inference import bundle
from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient
Publish = Callable[..., str]

MIXED = [
    {"name": "city", "type": "string", "enum": ["Bern", "Genf"]},
    {"name": "rooms", "type": "integer", "minimum": 0},
    {"name": "area", "type": "number"},
    {"name": "garden", "type": "boolean"},
]
#: So much a room and a square metre, more with a garden and in Genf.
PRICE = """
  genf = Constant <value = string[1] {"Genf"}> () in_genf = Equal (city, genf) far = Cast <to = 1> (in_genf)
  count = Cast <to = 1> (rooms) green = Cast <to = 1> (garden)
  first = Add (count, area) second = Add (far, green) price = Add (first, second)
"""
TAKES = "string[N, 1] city, int64[N, 1] rooms, float[N, 1] area, bool[N, 1] garden"
FLAT = {"city": "Genf", "rooms": 3, "area": 70.5, "garden": True}
SMALL = {"city": "Bern", "rooms": 1, "area": 20, "garden": False}
#: By what comes out: the graph, what model.yaml says, two inputs, and what v1 answers to them.
MODELS: dict[str, tuple[bytes, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]] = {
    "a number": (
        graphs.graph(PRICE, TAKES, "float[N, 1] price", opset=19),
        {
            "labels": None, "numbers": [{"name": "price", "unit": "CHF"}], "fields": MIXED,
            "golden": [{"inputs": FLAT, "prediction": 75.5}],
        },
        [FLAT, SMALL],
        [{"prediction": 75.5}, {"prediction": 21.0}],
    ),
    "numbers": (
        graphs.graph("both = Identity (features)", gives="float[N, 2] both"),
        {
            "labels": None, "numbers": [{"name": "low"}, {"name": "high"}],
            "golden": [{"inputs": {"x": 1, "y": 2}, "prediction": {"low": 1, "high": 2}}],
        },
        [{"x": 1, "y": 2}, {"x": 0.5, "y": -4}],
        [{"prediction": {"low": 1.0, "high": 2.0}}, {"prediction": {"low": 0.5, "high": -4.0}}],
    ),
    "an embedding": (
        graphs.graph("vector = Concat <axis = 1> (features, features)", gives="float[N, 4] vector"),
        {"labels": None, "embedding": 4, "golden": [{"inputs": {"x": 1, "y": 2}, "embedding": [1, 2]}]},
        [{"x": 1, "y": 2}, {"x": 0.5, "y": -4}],
        [{"embedding": [1.0, 2.0, 1.0, 2.0]}, {"embedding": [0.5, -4.0, 0.5, -4.0]}],
    ),
    "tags": (
        graphs.graph("likely = Identity (features)", gives="float[N, 2] likely"),
        {"labels": None, "tags": ["a", "b"], "golden": [{"inputs": {"x": 0.75, "y": 0.25}, "tags": {"a": 0.75}}]},
        [{"x": 0.5, "y": 1}, {"x": 0, "y": 0.25}],
        [{"tags": [{"label": "b", "confidence": 1.0}, {"label": "a", "confidence": 0.5}]}, {"tags": []}],
    ),
    "tensors": (
        graphs.graph(
            "y = Cast <to = 7> (x) z = Identity (x)", "float[N, 2, W] x", "int64[N, 2, W] y, float[N, 2, W] z"
        ),
        {
            "labels": None, "kind": "tensor",
            "fields": [{"name": "m", "type": "tensor", "dtype": "float32", "shape": [2, None], "input": "x"}],
            "tensors": [
                {"name": "whole", "dtype": "int64", "shape": [2, None], "output": "y"},
                {"name": "z", "dtype": "float32", "shape": [2, None]},
            ],
            "golden": [{"inputs": {"m": [[1, 2], [3.5, 4]]}, "tensors": {"whole": [1, 2, 3]}}],
        },
        [{"m": [[1.5, 2], [-3, 4]]}, {"m": [[0], [0.25]]}],
        [
            {"tensors": {
                "whole": {"dtype": "int64", "shape": [2, 2], "data": [1, 2, -3, 4]},
                "z": {"dtype": "float32", "shape": [2, 2], "data": [1.5, 2.0, -3.0, 4.0]},
            }},
            {"tensors": {
                "whole": {"dtype": "int64", "shape": [2, 1], "data": [0, 0]},
                "z": {"dtype": "float32", "shape": [2, 1], "data": [0.0, 0.25]},
            }},
        ],
    ),
    "boxes": (
        graphs.graph("found = Identity (b)", "float[N, K, 6] b", "float[N, K, 6] found"),
        {
            "labels": None, "kind": "tensor", "boxes": {"labels": ["cat", "dog"]},
            "fields": [{"name": "b", "type": "tensor", "dtype": "float32", "shape": [None, 6]}],
            "golden": [{
                "inputs": {"b": [[1, 2, 3, 4.5, 0.75, 1]]},
                "boxes": [{"label": "dog", "confidence": 0.75, "box": [1, 2, 3, 4.5]}],
            }],
        },
        [{"b": [[1, 2, 3, 4.5, 0.75, 1], [0, 0, 1, 1, 1, 0]]}, {"b": [[0, 0, 1, 1, 0.25, 0]]}],
        [
            {"boxes": [
                {"label": "cat", "confidence": 1.0, "box": [0.0, 0.0, 1.0, 1.0]},
                {"label": "dog", "confidence": 0.75, "box": [1.0, 2.0, 3.0, 4.5]},
            ]},
            {"boxes": []},
        ],
    ),
    "a text": (
        graphs.graph("text = Identity (word)", "string[N] word", "string[N] text"),
        {
            "labels": None, "text": True, "fields": [{"name": "word", "type": "string"}],
            "golden": [{"inputs": {"word": "a"}, "text": "a"}],
        },
        [{"word": "Grüezi, \"du\"\n"}, {"word": ""}],
        [{"text": "Grüezi, \"du\"\n"}, {"text": ""}],
    ),
}  # fmt: skip


@pytest.fixture
def publish(platform: Platform, tmp_path: Path) -> Publish:
    """The name under which a bundle is published, and known to whoever answers."""

    def go(made: bytes, **says: Any) -> str:
        name = f"own-{uuid.uuid4().hex}"
        assert platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / name, made, name=name, **says)))
        until(lambda: name in {item.model for item in platform.catalog.versions()})
        return name

    return go


@pytest.mark.parametrize("what", MODELS)
def test_an_answer_is_the_same_at_once_by_a_job_in_a_list_and_in_a_file(
    client: Client, upload: Send, work: Run, publish: Publish, what: str
) -> None:
    made, says, inputs, wanted = MODELS[what]
    name = publish(made, **says)
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    for row, answer in zip(inputs, wanted, strict=True):
        said = client.post("/api/v1/predict", json={"model": name, "inputs": row})
        assert said.status_code == 200, said.text
        assert answer.items() <= said.json.items()
    batch = client.post("/api/v1/predict/batch", json={"model": name, "inputs": inputs}).json
    assert (batch["predictions"], batch["failed"]) == (wanted, 0)
    keyed = [
        client.post("/api/v1/predict", json={"model": name, "inputs": inputs[0]}, headers={"Idempotency-Key": name})
        for _ in range(2)
    ]
    assert keyed[0].json == keyed[1].json
    assert keyed[1].headers["Idempotent-Replayed"] == "true"
    one = client.post("/api/v1/jobs", json={"model": name, "inputs": inputs[0]}).json["job_id"]
    several = client.post("/api/v1/jobs", json={"model": name, "inputs": inputs}).json["job_id"]
    file = submit(client, upload(lines(inputs)), model=name)
    work()
    assert show(client, one)["result"] == wanted[0]
    assert show(client, several)["result"] == {"predictions": wanted}
    assert [{key: row[key] for key in wanted[0]} for row in output(show(client, file))] == wanted


@pytest.mark.parametrize("what", ["tensors", "boxes"])
def test_a_csv_holds_tensors_as_json_in_its_cells(
    client: Client, upload: Send, work: Run, publish: Publish, what: str
) -> None:
    made, says, inputs, wanted = MODELS[what]
    name, file = publish(made, **says), io.StringIO()
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    [column] = inputs[0]
    cells = [[column], *([json.dumps(row[column], indent=1)] for row in inputs), ["[[1"], ["[[100000000000000000000]]"]]
    csv.writer(file).writerows(cells)
    job_id = submit(client, upload(file.getvalue().encode(), "text/csv"), model=name)
    work()
    *rows, bad, long = output(show(client, job_id))
    assert [{key: row[key] for key in wanted[0]} for row in rows] == wanted
    assert bad["error"]["details"]["field"] == column
    assert (long["error"]["details"]["field"], "64 bits" in str(long)) == ("row", True)


@pytest.mark.parametrize("what", MODELS)
def test_a_version_says_what_it_takes_and_answers_and_has_an_example_that_works(
    client: Client, publish: Publish, what: str
) -> None:
    made, says, _, _ = MODELS[what]
    name = publish(made, **says)
    version = until(lambda: client.get(f"/api/v1/models/{name}/versions/1.0.0").json)
    jsonschema.validate(version["example"], version["input_schema"])
    said = client.post("/api/v1/predict", json={"model": name, "inputs": version["example"]})
    assert said.status_code == 200, said.text
    jsonschema.validate(said.json, version["output_schema"])
    required = version["output_schema"]["required"]
    for key in required:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: None}, version["output_schema"])


def test_a_unit_is_told_where_the_number_is_described(client: Client, publish: Publish) -> None:
    made, says, _, _ = MODELS["a number"]
    name = publish(made, **says)
    version = until(lambda: client.get(f"/api/v1/models/{name}/versions/1.0.0").json)
    assert version["output_schema"]["properties"] == {"prediction": {"type": "number", "unit": "CHF"}}
    assert version["labels"] == []
    refused = client.post("/api/v1/predict", json={"model": name, "inputs": {**FLAT, "city": "Basel"}})
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, "city")


def test_a_model_can_be_tried_by_what_it_says_of_itself(client: Client, publish: Publish) -> None:
    odd = {**FLAT, "city": 'it\'s $HOME \\ "ü"\n'}
    fields = [{"name": "city", "type": "string"}, *MIXED[1:]]
    made, says, _, _ = MODELS["a number"]
    name = publish(made, **{**says, "fields": fields, "golden": [{"inputs": odd, "prediction": 74.5}]})
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    model = client.get(f"/api/v1/models/{name}").json
    version = client.get(model["links"]["stable_version"]).json
    assert (model["input_schema"], model["output_schema"]) == (version["input_schema"], version["output_schema"])
    assert model["example"] == {"model": name, "inputs": odd}
    *head, address, data, body = shlex.split(model["curl"])
    assert (address, data, json.loads(body)) == ("$COATCHECK_URL/api/v1/predict", "-d", model["example"])
    assert head == [
        "curl", "-H", "Authorization: Bearer $COATCHECK_API_KEY", "-H", "Content-Type: application/json",
    ]  # fmt: skip
    said = client.post("/api/v1/predict", data=body, content_type="application/json")
    assert (said.status_code, said.json["prediction"]) == (200, 74.5)


def test_a_model_for_files_says_what_goes_with_an_upload(client: Client) -> None:
    model = client.get("/api/v1/models/speech").json
    assert "curl" not in model
    assert model["example"] == {"model": "speech", "upload_id": "upl_…", "inputs": {}}
    assert model["output_schema"] == {"type": "object"}
