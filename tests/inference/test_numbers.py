"""What becomes of a number on its way into a graph, and of what the graph gives as probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marshmallow import ValidationError

from core import errors
from inference import bundle, glance, model, schema
from inference.manifest import Field
from inference.model import GraphModel
from tests import graphs

FIELDS: list[dict[str, Any]] = [{"name": "x", "type": "number"}, {"name": "y", "type": "number", "required": False}]
#: Itself, which is a probability only between 0 and 1.
AS_IT_IS = "probabilities = Identity(features)"


def opened(folder: Path, body: str, **says: Any) -> GraphModel:
    found = model.open_model(bundle.load(graphs.bundle(folder, graphs.graph(body), **says)))
    assert isinstance(found, GraphModel)
    return found


def row(of: GraphModel, **given: Any) -> dict[str, Any]:
    return schema.validate_inputs(of.bundle.manifest, given)


@pytest.mark.parametrize("type_", ["number", "integer", "boolean"])
@pytest.mark.parametrize("given", [{}, {"y": None}], ids=["left out", "null"])
def test_a_field_without_a_default_that_is_left_out_reaches_a_tabular_graph_as_nan(
    tmp_path: Path, type_: str, given: dict[str, Any]
) -> None:
    fields = [FIELDS[0], FIELDS[1] | {"type": type_}]
    golden = [{"inputs": {"x": 2}, "prediction": "a", "confidence": 1.0}]
    takes = "float[N, 2] features, float low = {-100}"
    made = graphs.graph(
        "missing = IsNaN(features) filled = Where(missing, low, features) probabilities = Softmax <axis = 1> (filled)",
        takes=takes,
    )
    found = model.open_model(bundle.load(graphs.bundle(tmp_path / "b", made, fields=fields, golden=golden)))
    assert isinstance(found, GraphModel)
    asked = row(found, x=2, **given)
    assert np.isnan(found.encode([asked])["features"]).tolist() == [[False, True]]
    assert graphs.labels(found, [asked])[0].label == "a"


def test_a_graph_that_takes_no_missing_value_says_so_instead_of_answering(tmp_path: Path) -> None:
    found = opened(tmp_path / "b", graphs.GOOD, fields=FIELDS)
    with pytest.raises(errors.ModelError, match="gave 'probabilities' with a number that is not finite"):
        found.predict([row(found, x=2)])


@pytest.mark.parametrize("value", [1e39, -1e39, 10**39])
@pytest.mark.parametrize("kind", ["tabular", "text", "audio"])
def test_a_number_that_float32_does_not_hold_is_refused_by_its_field_and_the_limit(kind: str, value: float) -> None:
    folder = {"tabular": "tumor", "text": "sentiment-1", "audio": "speech"}[kind]
    manifest = bundle.load(Path(__file__).parents[2] / "bundles" / folder).manifest
    name = next(field.name for field in manifest.fields if field.type == "number")
    inputs = {"text": "Great"} if kind == "text" else dict(manifest.golden[0].inputs)
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(manifest, {**inputs, name: value})
    [fault] = refused.value.errors
    assert fault["field"] == name
    assert "3.4028235e+38" in fault["issue"]


def test_the_largest_float32_is_a_number_like_any_other(tmp_path: Path) -> None:
    found = opened(tmp_path / "b", graphs.GOOD)
    largest = glance.LARGEST
    assert np.isfinite(found.encode([row(found, x=largest, y=-largest)])["features"]).all()


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**500])
def test_a_whole_number_of_more_than_64_bits_is_refused(value: int) -> None:
    with pytest.raises(ValidationError, match="must be a whole number of at most 64 bits"):
        schema.rule(Field("x", "integer")).deserialize(value)


def test_a_whole_number_is_rounded_to_what_float32_holds_as_docs_say(tmp_path: Path) -> None:
    found = opened(tmp_path / "b", graphs.GOOD, fields=[{**field, "type": "integer"} for field in graphs.FIELDS])
    exact, rounded = 2**24, 2**24 + 1
    assert found.encode([row(found, x=exact, y=rounded)])["features"].tolist() == [[exact, exact]]


@pytest.mark.parametrize("value", [1e30, 1.01, -0.01])
def test_a_score_that_is_no_probability_is_the_models_error_in_any_row(tmp_path: Path, value: float) -> None:
    golden = [{"inputs": {"x": 0.75, "y": 0.25}, "prediction": "a", "confidence": 0.75}]
    found = opened(tmp_path / "b", AS_IT_IS, golden=golden)
    good = row(found, x=0.75, y=0.25)
    assert graphs.labels(found, [good])[0].confidence == 0.75
    with pytest.raises(errors.ModelError, match="which is no probability") as refused:
        found.predict([good, row(found, x=value, y=0.25)])
    assert f"{value:g}" in refused.value.message


@pytest.mark.parametrize(("value", "confidence"), [(1.0004, 1.0), (-0.0004, 0.0)])
def test_a_probability_that_was_rounded_over_its_end_is_that_end(
    tmp_path: Path, value: float, confidence: float
) -> None:
    golden = [{"inputs": {"x": 0.75, "y": 0.25}, "prediction": "a", "confidence": 0.75}]
    found = opened(tmp_path / "b", AS_IT_IS, golden=golden)
    assert graphs.labels(found, [row(found, x=value, y=0)])[0].scores["a"] == confidence
