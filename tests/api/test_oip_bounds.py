"""What a request of the Open Inference Protocol may leave out, and how large it may be: at a bound, and beyond it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from serving.oip import infer, tensors
from tests.api.test_oip import LENGTH, TEXT, error, outputs, post

pytestmark = pytest.mark.usefixtures("quiet")
PATH = "/v2/models/sentiment/infer"


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


def text(**other: Any) -> dict[str, Any]:
    """A request of one input, which is as usual but for this."""
    return {"inputs": [{**TEXT, **other}]}


@pytest.mark.parametrize(
    "body",
    [
        {"id": None, "parameters": None, "outputs": None, **text(parameters=None)},
        {"outputs": [], **text()},
        {"outputs": [named("prediction", parameters=None), named("confidence")], **text()},
        {"model_name": "another", "more": {}, "outputs": [named("prediction", datatype="BYTES")], **text(more=1)},
        {"id": "i" * infer.MOST_ID, **text()},
    ],
    ids=["null", "no outputs", "null within", "words of other servers", "a long id"],
)
def test_what_may_be_left_out_may_be_null_or_empty_and_what_others_add_is_left_alone(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    answer = post(client, "sentiment", body)
    assert outputs(answer)["prediction"] == ["positive"]
    assert answer.get_json().get("id") == body.get("id")


#: Of each bound, what is still looked at and what is not, and the field that is named then.
BOUNDS: Mapping[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "id": ([], [{"id": "i" * (infer.MOST_ID + 1), **text()}, {"id": 7, **text()}], "id "),
    "name": ([text(name="n" * infer.MOST_NAME), text(name="n")],
             [text(name="n" * (infer.MOST_NAME + 1)), text(name=""), text(name=None)], "inputs.0.name "),
    "axes": ([text(shape=[1] * infer.MOST_AXES), text(shape=[])], [text(shape=[1] * (infer.MOST_AXES + 1))],
             "inputs.0.shape "),
    "size": ([text(shape=[tensors.LARGEST]), text(shape=[0])],
             [text(shape=[size]) for size in (tensors.LARGEST + 1, -1, True)], "inputs.0.shape.0 "),
    "inputs": ([{"inputs": [TEXT] * infer.MOST_NAMED}], [{"inputs": [TEXT] * (infer.MOST_NAMED + 1)}, {"inputs": []}],
               "inputs "),
    "outputs": ([{"outputs": [named("p")] * infer.MOST_NAMED, **text()}],
                [{"outputs": [named("p")] * (infer.MOST_NAMED + 1), **text()}], "outputs "),
    "datatype": ([text(datatype="")], [text(datatype=None)], "inputs.0.datatype "),
}  # fmt: skip


@pytest.mark.parametrize("bound", BOUNDS)
def test_at_a_bound_a_request_is_looked_at_and_beyond_it_the_field_is_named(client: FlaskClient, bound: str) -> None:
    good, bad, field = BOUNDS[bound]
    start = f"Input validation failed: {field}"
    for body in good:
        assert start not in error(post(client, "sentiment", body)), body
    for body in bad:
        answer = post(client, "sentiment", body)
        assert (answer.status_code, error(answer).startswith(start)) == (422, True), error(answer)


SIZE = "inputs.text.parameters.binary_data_size must be how many bytes of the"


@pytest.mark.parametrize(
    ("body", "tail", "says"),
    [
        (text(parameters={"binary_data_size": 10}), b"\6\0\0\0Lovely", "inputs.text.data must be left out"),
        *((text(data=None, parameters={"binary_data_size": size}), b"\6\0\0\0Lovely", f"{SIZE} 10 that are left")
          for size in (11, -1, True, "10", 10.0)),
        ({"parameters": {"binary_data_output": 1}, **text()}, b"", "parameters.binary_data_output must be true or"),
        ({"outputs": [named("prediction", parameters={"binary_data": "yes"})], **text()}, b"",
         "outputs.prediction.parameters.binary_data must be true or false"),
        ({"parameters": {"classification": 1}, **text()}, b"", "request.parameters.classification is not offered here"),
        ({"outputs": [named("scores", parameters={"classification": 1})], **text()}, b"",
         "outputs.scores.parameters.classification is not offered here"),
    ],
)  # fmt: skip
def test_what_a_parameter_asks_for_in_vain_is_said(
    client: FlaskClient, body: dict[str, Any], tail: bytes, says: str
) -> None:
    answer = post(client, "sentiment", body, tail)
    assert (answer.status_code, says in error(answer)) == (422, True), error(answer)


def test_a_body_may_be_as_large_as_the_limit_packed_or_not(app: flask.Flask, client: FlaskClient) -> None:
    most, body = app.config["MAX_CONTENT_LENGTH"], json.dumps(text()).encode()

    def sent(size: int, encoding: str, chunked: bool = False) -> TestResponse:
        data = body.ljust(size)
        headers = {"Content-Encoding": encoding, **({"Transfer-Encoding": "chunked"} if chunked else {})}
        # As our server has it: a body of chunks ends by itself.
        ends = {"wsgi.input_terminated": True} if chunked else None
        packed = gzip.compress(data, 1) if encoding.lower() == "gzip" else data
        return client.post(PATH, data=packed, headers=headers, environ_overrides=ends)

    for size, status in ((most, 200), (most + 1, 413)):
        assert [sent(size, encoding).status_code for encoding in ("identity", "gzip", "GZIP")] == [status] * 3
    # Of one without a length nobody knows whether it ends where it was cut.
    chunked = [sent(size, "identity", chunked=True) for size in (most - 1, most)]
    assert [answer.status_code for answer in chunked] == [200, 413]
    assert "larger than" in error(chunked[1])


def test_all_of_a_body_may_be_json_by_its_own_word(client: FlaskClient) -> None:
    body = json.dumps(text()).encode()
    answers = [post(client, "sentiment", body, headers={LENGTH: str(len(body) + more)}) for more in (0, 1)]
    assert [answer.status_code for answer in answers] == [200, 400]
    answer = answers[1]
    assert f"must be how many of the body's {len(body)} bytes are JSON" in error(answer)


def test_what_is_not_offered_at_the_address_of_the_server_itself_is_a_text_as_well(client: FlaskClient) -> None:
    assert error(client.post("/v2")) == "POST /v2 is not offered here"
    long = client.get("/v2/" + "x" * 300)
    assert error(long) == f"GET /v2/{'x' * 196} is not offered here"
    assert "error" in client.get("/v2x").get_json()
    assert client.get("/v2x").get_json()["error"]["code"] == "NOT_FOUND"
