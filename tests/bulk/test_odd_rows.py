"""What is odd about one row is said of that row: all of it, where it is, and what to do about it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask.testing
import pytest

from core import errors
from inference import bundle
from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient
Answers = Callable[..., list[dict[str, Any]]]
Publish = Callable[..., str]

HUGE = "must be from -3.4028235e+38 to 3.4028235e+38, the range of a float32"


@pytest.fixture
def answers(client: Client, upload: Send, work: Run) -> Answers:
    """The output of a file."""

    def run(data: bytes, content_type: str = "application/x-ndjson", **asked: Any) -> list[dict[str, Any]]:
        job_id = submit(client, upload(data, content_type), **asked)
        work()
        return output(show(client, job_id))

    return run


@pytest.fixture
def publish(platform: Platform, client: Client, tmp_path: Path) -> Publish:
    """The name of a small model with these fields, published."""

    def run(*fields: dict[str, Any], **inputs: Any) -> str:
        name = f"m{uuid.uuid4().hex}"
        golden = [{"inputs": inputs, "prediction": "a", "confidence": graphs.CONFIDENCE}]
        made = graphs.bundle(tmp_path / name, name=name, fields=list(fields), golden=golden)
        platform.catalog.publish(bundle.load(made))
        until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
        until(lambda: name in {item.model for item in platform.catalog.versions()})
        return name

    return run


def issue(row: dict[str, Any]) -> str:
    return str(row["error"]["details"]["issue"])


def test_every_fault_of_a_row_is_told_as_predict_tells_it(client: Client, answers: Answers) -> None:
    bad = {"text": "", "language": 5, "confidence_threshold": 7}
    said = client.post("/api/v1/predict", json={"inputs": bad}).json["error"]
    (row,) = answers(lines([bad]))
    assert len(said["errors"]) == 3
    assert row["error"] == {name: said[name] for name in ("code", "message", "details", "errors")}


def test_a_row_of_very_many_faults_tells_as_many_as_predict_does(answers: Answers) -> None:
    (row,) = answers(lines([{"text": "Fine", **{f"{place}" * 300: 1 for place in range(22)}}]))
    assert len(row["error"]["errors"]) == errors.MAX_FAULTS
    assert row["error"]["more"] == 2
    assert len(json.dumps(row)) < 10_000


def test_a_row_with_one_fault_tells_it_once(answers: Answers) -> None:
    (row,) = answers(lines([{"text": ""}]))
    assert set(row["error"]) == {"code", "message", "details"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_named_with_its_place(
    client: Client, answers: Answers, number: str
) -> None:
    text = f'{{"text": "Größe", "confidence_threshold": {number}}}'
    column = text.index(number.strip("-")) + 1
    name = number.strip("-")
    says = f"is not valid JSON: {name} at column {column} is no JSON number; a field without a value is left out"
    (row,) = answers(text.encode())
    assert (row["error"]["details"]["field"], issue(row)) == ("row", says)
    body = f'{{"inputs":\n {text}}}'.encode()
    answer = client.post("/api/v1/predict", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "MALFORMED_REQUEST")
    assert issue(answer.json) == says.replace(f"column {column}", f"line 2, column {column + 1}")


def test_a_text_that_is_latin_1_is_told_with_the_byte_and_its_place(client: Client, answers: Answers) -> None:
    text = '{"text": "Größe"}'
    column = text.index("ö") + 1
    says = f"is not UTF-8, as JSON must be: byte 0xF6 at column {column}"
    good, bad = answers(b'{"text": "Fine"}\n' + text.encode("latin-1"))
    assert ("prediction" in good, bad["line"], issue(bad)) == (True, 2, says)
    body = f'{{"inputs": {text}}}'.encode("latin-1")
    answer = client.post("/api/v1/predict", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert issue(answer.json) == says.replace(str(column), str(column + len('{"inputs": ')))


@pytest.mark.parametrize("written", ["1e39", "-1e39", "1" + "0" * 39])
@pytest.mark.parametrize("form", ["predict", "jsonl", "csv"])
def test_a_number_beyond_float32_is_refused_however_it_comes(
    client: Client, answers: Answers, publish: Publish, form: str, written: str
) -> None:
    model = publish(*graphs.FIELDS, x=2, y=1)
    text = f'{{"x": {written}, "y": 1}}'
    if form == "predict":
        body = f'{{"model": "{model}", "inputs": {text}}}'
        error = client.post("/api/v1/predict", data=body, content_type="application/json").json["error"]
    elif form == "jsonl":
        error = answers(text.encode(), model=model)[0]["error"]
    else:
        error = answers(f"x,y\n{written},1\n".encode(), "text/csv", model=model)[0]["error"]
    assert error["code"] == "INVALID_INPUT"
    # A whole number of JSON has a limit of its own.
    if form == "csv" or "e" in written:
        assert error["details"] == {"field": "x", "issue": HUGE}
    else:
        where, says = "row" if form == "jsonl" else "body", "holds a whole number that does not fit 64 bits"
        assert (error["details"]["field"], error["details"]["issue"]) == (where, says)


def test_a_whole_number_of_a_table_has_at_most_64_bits_as_in_json(answers: Answers, publish: Publish) -> None:
    model = publish(*({**field, "type": "integer"} for field in graphs.FIELDS), x=2, y=1)
    rows = answers(f"x,y\n{2**64},1\n2,1\n".encode(), "text/csv", model=model)
    assert rows[0]["error"]["details"] == {"field": "x", "issue": "must be a whole number of at most 64 bits"}
    assert "prediction" in rows[1]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_where_the_model_has_a_field_named_id_it_is_the_fields(answers: Answers, publish: Publish, form: str) -> None:
    fields = {"name": "id", "type": "number"}, {"name": "y", "type": "number"}
    model = publish(*fields, id=2, y=1)
    if form == "jsonl":
        rows = answers(lines([{"id": 2, "y": 1}, {"id": "r1", "y": 1}]), model=model)
    else:
        rows = answers(b"id,y\n2,1\nr1,1\n", "text/csv", model=model)
    assert rows[0] == {"line": 1 + (form == "csv"), "prediction": "a", "confidence": graphs.CONFIDENCE}
    assert "id" not in rows[1]
    assert rows[1]["error"]["details"] == {"field": "id", "issue": "must be a number"}


def test_a_table_of_one_column_may_have_semicolons_and_tabs_in_its_cells(answers: Answers) -> None:
    rows = answers(b'text\nawful; just awful\ngreat\tfun\n"lovely, really"\n', "text/csv")
    assert [row.get("prediction") for row in rows] == ["negative", "positive", "positive"]


def test_a_comma_in_the_cell_of_a_table_of_one_column_is_refused_with_what_to_do(
    answers: Answers, publish: Publish
) -> None:
    (row,) = answers(b"text\nlovely, really\n", "text/csv")
    assert issue(row).endswith("but the first line of the file has 1: a cell with a comma stands in quotes")
    model = publish({"name": "x", "type": "number"}, {**graphs.FIELDS[1], "required": False, "default": 1}, x=2)
    rows = answers(b'x\n1,5\n"1,5"\n1.5\n', "text/csv", model=model)
    assert ["error" in row for row in rows] == [True, True, False]
    assert issue(rows[1]) == "must be a number"
