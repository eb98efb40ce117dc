"""A request that a model answers, as it is shown with the model."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from api import links
from api.v1 import present_models
from inference.manifest import Manifest
from registry.versions import Version
from tests import graphs


def versions(**says: Any) -> Sequence[Version]:
    manifest = Manifest.from_dict(graphs.manifest(**says))
    return [Version("m", number, f"d{number}", manifest, stable=number == "2.0.0") for number in ("1.0.0", "2.0.0")]


@pytest.mark.parametrize("kind", ["tabular", "image"])
def test_rows_are_shown_with_a_command_that_a_shell_understands(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "to", lambda route: f"/of/{route}")
    inputs = {"text": "it's"}
    found = present_models.to_try(versions(kind=kind, golden=[{"inputs": inputs, "prediction": "a"}]))
    assert found["example"] == {"model": "m", "inputs": inputs}
    *head, address, data, body = shlex.split(found["curl"])
    assert head == ["curl", "-H", "Authorization: Bearer $COATCHECK_API_KEY", "-H", "Content-Type: application/json"]
    assert (address, data, json.loads(body)) == ("$COATCHECK_URL/of/predict.predict", "-d", found["example"])
    assert found.keys() == {"input_schema", "output_schema", "example", "curl"}


@pytest.mark.parametrize(
    ("kind", "golden", "example"),
    [
        ("image", {"file": "a.png"}, {"model": "m", "upload_id": "upl_…"}),
        ("audio", {"file": "a.wav", "inputs": {"p": 1}}, {"model": "m", "inputs": {"p": 1}, "upload_id": "upl_…"}),
        ("audio", {"file": "a.wav"}, {"model": "m", "inputs": {}, "upload_id": "upl_…"}),
    ],
)
def test_a_file_is_shown_as_an_upload_without_a_command(
    kind: str, golden: dict[str, Any], example: dict[str, Any]
) -> None:
    found = present_models.to_try(versions(kind=kind, golden=[golden]))
    assert found["example"] == example
    assert found.keys() == {"input_schema", "output_schema", "example"}


BOXES = {
    "kind": "tensor", "labels": None, "boxes": {"labels": ["cat", "dog"]},
    "fields": [{"name": "b", "type": "tensor", "dtype": "float32", "shape": [None, 6]}],
    "golden": [{"inputs": {"b": [[1, 2, 3, 4.5, 0.75, 1]]}, "boxes": []}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("says", "labels"),
    [
        ({}, ["a", "b"]),
        ({"labels": None, "tags": ["p", "q"], "golden": [{"inputs": {"x": 1, "y": 0}, "tags": {"p": 1}}]}, ["p", "q"]),
        (BOXES, ["cat", "dog"]),
        ({"labels": None, "numbers": [{"name": "n"}], "golden": [{"inputs": {"x": 1, "y": 0}, "prediction": 1}]}, []),
    ],
    ids=["labels", "tags", "boxes", "numbers"],
)
def test_the_labels_of_a_version_are_what_it_can_name(says: dict[str, Any], labels: list[str]) -> None:
    (old, new) = (present_models.version(item) for item in versions(**says))
    assert list(old["labels"]) == list(new["labels"]) == labels
    assert (old["stable"], new["stable"], old["deprecated"]) == (False, True, False)
