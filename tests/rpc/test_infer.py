"""Predictions by gRPC: tensors go in and come out, typed or as bytes, as the protocol's own messages say them."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from core.audit import Actor
from inference import bundle
from registry import routing
from rpc import inference_pb2 as messages
from rpc import reading
from rpc.inference_pb2 import InferParameter, InferTensorContents
from serving.oip.tensors import DATATYPES, FP16
from tests import graphs
from tests.callers import Key
from tests.conftest import Platform, until
from tests.rpc.conftest import Client, Said, Served, tensor, texts

pytestmark = pytest.mark.usefixtures("quiet")
OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
Wanted = messages.ModelInferRequest.InferRequestedOutputTensor
#: By their datatypes, where typed elements are.
TYPED = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT32": "int_contents", "INT64": "int64_contents",
         "UINT64": "uint64_contents"}  # fmt: skip


@pytest.fixture
def columns(platform: Platform, rpc: Served, tmp_path: Path) -> Iterator[str]:
    """A model of two inputs, x and y, which says `a` where x is the larger one."""
    name = f"m{uuid.uuid4().hex}"
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "columns", name=name)))
    until(lambda: name in {item.model for item in rpc.door.catalog.versions()})
    yield name
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = :name", name=name)


def typed(found: Said) -> dict[str, list[Any]]:
    """The elements of each output, of an answer that has them typed."""
    assert (found.code, found.details) == (OK, "")
    assert not found.message.raw_output_contents
    made = {}
    for output in found.message.outputs:
        [(_, elements)] = output.contents.ListFields()
        made[output.name] = list(elements)
    return made


def raw(found: Said) -> dict[str, bytes]:
    """The bytes of each output, of an answer that has them so."""
    assert (found.code, found.details) == (OK, "")
    assert not any(output.HasField("contents") for output in found.message.outputs)
    names = [output.name for output in found.message.outputs]
    return dict(zip(names, found.message.raw_output_contents, strict=True))


def packed(*given: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in given)


def test_texts_are_answered_as_a_batch_in_their_order_with_the_version_and_why(client: Client) -> None:
    found = client.infer(inputs=[texts("Lovely", "Awful")], id="mine", parameters={"of": InferParameter(int64_param=7)})
    assert typed(found)["prediction"] == [b"positive", b"negative"]
    told = {item.name: (item.datatype, list(item.shape)) for item in found.message.outputs}
    assert told == {"prediction": ("BYTES", [2]), "confidence": ("FP64", [2]), "scores": ("FP64", [2, 2])}
    answer = found.message
    assert (answer.id, answer.model_name, answer.model_version) == ("mine", "sentiment", "1.0.0")
    assert (found.trailing["x-model-version"], found.trailing["x-model-route"]) == ("1.0.0", "stable")


def test_a_version_is_pinned_by_the_message_or_beside_it_and_not_by_both_differently(client: Client) -> None:
    for found in (client.infer(model_version="1"), client.infer(said={"x-model-version": "1.0.0"})):
        assert (found.message.model_version, found.trailing["x-model-route"]) == ("1.0.0", "pinned")
    both = client.infer(model_version="1", said={"x-model-version": "2"})
    assert (both.code, "X-Model-Version says 2" in both.details) == (INVALID, True)


def test_an_answer_that_is_kept_says_so(
    platform: Platform, serve: Callable[..., Served], key: Key, tmp_path: Path
) -> None:
    name = f"m{uuid.uuid4().hex}"
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "kept", name=name, cache=True)))
    inputs = [tensor(field, "FP64", [1], InferTensorContents(fp64_contents=[2.0])) for field in ("x", "y")]
    client = serve(cache_mb=1).client(key)
    answers = [client.infer(name, inputs=inputs) for _ in range(2)]
    assert [answer.trailing.get("x-cache") for answer in answers] == ["miss", "hit"]
    assert typed(answers[0]) == typed(answers[1])
    assert "x-cache" not in client.infer().trailing
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = :name", name=name)


def test_every_type_but_half_floats_has_its_place_in_the_protocol() -> None:
    assert {*reading.CONTENTS} == {*DATATYPES.values()} - {FP16}
    places = {field.name for field in InferTensorContents.DESCRIPTOR.fields}
    assert {*reading.CONTENTS.values()} == places


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_tensors_go_in_and_come_out(client: Client, models: dict[str, str], datatype: str) -> None:
    contents = InferTensorContents()
    getattr(contents, TYPED[datatype]).extend([1, 2, 3, 4, 5, 6])
    found = client.infer(models[datatype], inputs=[tensor("x", datatype, [2, 3], contents)])
    assert typed(found) == {"y": [2, 4, 6, 8, 10, 12]}
    [output] = found.message.outputs
    assert (output.datatype, list(output.shape), output.contents.ListFields()[0][0].name) == (
        datatype, [2, 3], TYPED[datatype],
    )  # fmt: skip


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", "<f2"), ("FP32", "<f4"), ("UINT64", "<u8")])
def test_what_comes_as_bytes_is_answered_as_bytes(
    client: Client, models: dict[str, str], datatype: str, dtype: str
) -> None:
    sent = np.array([[1, 2, 3]], dtype)
    found = client.infer(models[datatype], inputs=[tensor("x", datatype, [1, 3])], raw_input_contents=[sent.tobytes()])
    assert np.frombuffer(raw(found)["y"], dtype).tolist() == [2, 4, 6]


def test_each_input_has_bytes_of_its_own(client: Client, columns: str) -> None:
    inputs = [tensor(name, "FP64", [2]) for name in ("x", "y")]
    found = client.infer(
        columns, inputs=inputs, raw_input_contents=[struct.pack("<2d", 2, 1), struct.pack("<2d", 1, 2)]
    )
    assert raw(found)["prediction"] == packed(b"a", b"b")


def test_bytes_are_texts_with_their_length_before_them(client: Client) -> None:
    sent = packed(b"Lovely", "Größter Mist, awful".encode())
    found = client.infer(inputs=[tensor("text", "BYTES", [2])], raw_input_contents=[sent])
    assert raw(found)["prediction"] == packed(b"positive", b"negative")
    assert np.frombuffer(raw(found)["confidence"], "<f8").shape == (2,)


def test_typed_inputs_are_answered_as_bytes_where_that_is_asked_for(client: Client) -> None:
    asked = {"binary_data_output": InferParameter(bool_param=True)}
    assert raw(client.infer(parameters=asked))["prediction"] == packed(b"positive")
    odd = client.infer(parameters={"binary_data_output": InferParameter(string_param="yes")})
    assert (odd.code, "binary_data_output must be true or false" in odd.details) == (INVALID, True)


def test_halves_have_no_typed_form(client: Client, models: dict[str, str]) -> None:
    inwards = client.infer(models["FP16"], inputs=[tensor("x", "FP16", [1, 3])])
    assert (inwards.code, "send it in raw_input_contents" in inwards.details) == (INVALID, True)
    asked = {"binary_data_output": InferParameter(bool_param=False)}
    outwards = client.infer(
        models["FP16"], inputs=[tensor("x", "FP16", [1, 3])], raw_input_contents=[b"\0" * 6], parameters=asked
    )
    assert (outwards.code, "ask for it as binary data" in outwards.details) == (INVALID, True)


def test_outputs_come_as_they_are_asked_for(client: Client) -> None:
    found = client.infer(outputs=[Wanted(name="confidence"), Wanted(name="prediction")])
    assert [*typed(found)] == ["confidence", "prediction"]
    other = client.infer(outputs=[Wanted(name="nothing")])
    assert (other.code, "outputs.nothing is none of the outputs" in other.details) == (INVALID, True)
    assert (other.trailing["x-model-version"], other.trailing["x-model-route"]) == ("1.0.0", "stable")
    twice = client.infer(outputs=[Wanted(name="confidence"), Wanted(name="confidence")])
    assert (twice.code, "outputs.confidence is asked for more than once" in twice.details) == (INVALID, True)
    ranked = client.infer(outputs=[Wanted(name="scores", parameters={"classification": InferParameter(int64_param=2)})])
    assert (ranked.code, "classification is not offered here" in ranked.details) == (INVALID, True)


def test_a_content_type_says_how_bytes_are_to_be_read(client: Client) -> None:
    contents = InferTensorContents(bytes_contents=[b"TG92ZWx5"])
    base64 = InferParameter(string_param="base64")
    assert typed(client.infer(inputs=[tensor("text", "BYTES", [1], contents, content_type=base64)]))["prediction"] == [
        b"positive"
    ]


def floats(*elements: float) -> InferTensorContents:
    return InferTensorContents(fp32_contents=elements)


#: What is wrong with a tensor of floats, and what is said of it.
WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "shape": ({"shape": [3], "contents": floats(1, 2, 3)}, "must have the shape [-1, 3], rows first, but has [3]"),
    "elements": ({"shape": [1, 3], "contents": floats(1, 2)}, "2 elements"),
    "axes below zero": ({"shape": [-1, -3], "contents": floats(1, 2, 3)}, "inputs.x.shape must have sizes from 0"),
    "axes": ({"shape": [1] * 33, "contents": floats(1)}, "inputs.x.shape must have at most 32, not 33"),
    "another field": (
        {"shape": [1, 3], "contents": InferTensorContents(fp64_contents=[1, 2, 3])},
        "has fp64_contents, where those of FP32 are fp32_contents",
    ),
    "datatype": ({"datatype": "FP64", "shape": [1, 3], "contents": InferTensorContents(fp64_contents=[1, 2, 3])},
                 "must be FP32, not FP64"),
    "unknown datatype": ({"datatype": "BF16", "shape": [1, 3]}, "not BF16"),
    "not finite": ({"shape": [1, 3], "contents": floats(1, float("nan"), 2)}, "inputs.x[1] must be a number"),
    "name": ({"name": "z", "shape": [1, 3], "contents": floats(1, 2, 3)}, "inputs.z is none of the inputs: x"),
    "long name": ({"name": "z" * 201, "shape": [1, 3], "contents": floats(1, 2, 3)}, "must have at most 200, not 201"),
    "shared memory": (
        {"shape": [1, 3], "parameters": {"shared_memory_region": InferParameter(string_param="r")}},
        "shared_memory_region is not offered here",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_tensor_is_said(client: Client, models: dict[str, str], what: str) -> None:
    given, says = WRONG[what]
    sent = messages.ModelInferRequest.InferInputTensor(**{"name": "x", "datatype": "FP32", **given})
    found = client.infer(models["FP32"], inputs=[sent])
    assert (found.code, says in found.details) == (INVALID, True), found.details
    assert found.trailing["x-error-code"] == "INVALID_INPUT"


def test_bytes_are_those_of_all_inputs_or_of_none(client: Client, models: dict[str, str]) -> None:
    alone = tensor("x", "FP32", [1, 3], floats(1, 2, 3))
    twice = client.infer(models["FP32"], inputs=[alone], raw_input_contents=[b"\0" * 12])
    assert "inputs.x.contents must be left out" in twice.details
    uneven = client.infer(models["FP32"], inputs=[tensor("x", "FP32", [1, 3])], raw_input_contents=[b"", b""])
    assert "raw_input_contents has 2 elements for 1 inputs" in uneven.details


def test_a_file_is_no_tensor(client: Client) -> None:
    found = client.infer("speech")
    assert (found.code, "takes a file" in found.details) == (INVALID, True)


def test_what_is_no_message_is_refused_as_what_cannot_be_read(client: Client) -> None:
    found = client.ask("ModelInfer", b"\xff\xff\xff")
    assert (found.code, found.trailing["x-error-code"]) == (INVALID, "MALFORMED_REQUEST")


def test_each_row_is_paid_for_and_under_a_key_once(platform: Platform, client: Client, key: Key) -> None:
    said = {"idempotency-key": "k"}
    first, again = (client.infer(inputs=[texts("Lovely", "Awful")], said=said) for _ in range(2))
    assert first.message == again.message
    assert ("idempotent-replayed" in first.trailing, again.trailing["idempotent-replayed"]) == (False, "true")
    mine = "FROM usage WHERE tenant_id = (SELECT id FROM tenants WHERE name = :name)"
    until(lambda: platform.rows(f"SELECT {mine}", name=key.tenant))
    assert platform.one(f"SELECT sum(units), min(model) {mine}", name=key.tenant) == (2, "sentiment")
    other = client.infer(said=said)
    assert (other.code, other.trailing["x-error-code"]) == (INVALID, "IDEMPOTENCY_KEY_REUSED")


def test_a_key_stands_for_what_was_asked_of_one_version(client: Client) -> None:
    said = {"idempotency-key": "v"}
    assert client.infer(said={**said, "x-model-version": "1.0.0"}).code is OK
    for other in ({}, {"x-model-version": "1"}):
        found = client.infer(said={**said, **other})
        assert (found.code, found.trailing["x-error-code"]) == (INVALID, "IDEMPOTENCY_KEY_REUSED")


def test_a_route_key_says_on_whose_behalf_it_is_asked(
    client: Client, columns: str, platform: Platform, rpc: Served, tmp_path: Path
) -> None:
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "next", name=columns, version="2.0.0")))
    variants = [{"name": name, "version": version, "weight": 1} for name, version in (("a", "1.0.0"), ("b", "2.0.0"))]
    with platform.engine.begin() as connection:
        given = {"by": "caller", "experiments": [{"name": "tone", "percent": 100, "variants": variants}]}
        routing.change(connection, columns, given, Actor("cli:test"))
    until(lambda: rpc.door.catalog.routes(columns).experiments)
    inputs = [tensor(name, "FP64", [1], InferTensorContents(fp64_contents=[1.0])) for name in ("x", "y")]
    seen = {}
    for user in range(24):
        said = {"x-route-key": f"user {user}"}
        (seen[user],) = {client.infer(columns, inputs=inputs, said=said).message.model_version for _ in range(2)}
    assert set(seen.values()) == {"1.0.0", "2.0.0"}
