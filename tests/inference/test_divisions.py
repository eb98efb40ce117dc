"""What is looked at before a bundle is published: every step, told before it is taken; and divisions by what is read
of them, without a process of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference import bundle, check, divisions, model
from inference.divisions import EXTREMES
from inference.manifest import Field
from inference.model import GraphModel
from tests import graphs

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
ALONE = ["golden example 1", "golden example 2"]
ALIKE = [f"an input like golden example 1, {{x: {x}, y: {y}}}," for x, y in ((3.0, -2.0), (-1.0, 11.0), (12.0, 2.0))]
#: Five rows, two at once, and as many as a batch may hold.
TOGETHER = [f"a batch of {count} rows like the golden examples" for count in (2, 2, 2, 2, 32)]
PROFILED = ["golden example 1, profiled,", "golden example 2, profiled,"]
EXTREME = [f"an input with {value} for every number, or the nearest it may be," for value in (-(2**63), 2**63, -1, 0)]
BOUNDED = [{**field, "minimum": -100, "maximum": 100} for field in graphs.FIELDS]


@pytest.mark.parametrize(
    ("says", "steps"),
    [
        ({}, [*ALONE, *ALIKE, *TOGETHER, *PROFILED, *EXTREME]),
        ({"inline": False}, [*ALONE, *ALIKE, *TOGETHER]),
        ({"max_batch": 1}, [*ALONE, *PROFILED, *EXTREME]),
        ({"max_batch": 1, "inline": False}, ALONE),
    ],
    ids=["inline", "job", "inline, a row at a time", "job, a row at a time"],
)
def test_every_step_of_a_check_is_told_before_it_is_taken(
    tmp_path: Path, says: dict[str, Any], steps: list[str]
) -> None:
    told: list[str] = []
    check.check(bundle.load(graphs.bundle(tmp_path / "bundle", **says)), told.append)
    assert told == steps


def test_of_a_model_that_takes_files_the_golden_examples_are_told() -> None:
    told: list[str] = []
    check.check(bundle.load(BUNDLES / "speech"), told.append)
    assert told == ["golden example 1"]


@pytest.mark.parametrize("operator", ["Div", "Mod"])
@pytest.mark.parametrize(("whole", "kind"), [(6, "int32"), (7, "int64")])
@pytest.mark.parametrize(("dividend", "divisor", "refused"), [
    ("whole", "other", True), ("other", "whole", True), ("whole", "two", False), ("two", "other", False),
    ("whole", "minus", False),
])  # fmt: skip
def test_whole_numbers_are_divided_by_constants_only(
    tmp_path: Path, operator: str, whole: int, kind: str, dividend: str, divisor: str, refused: bool
) -> None:
    made = graphs.divides(dividend, divisor, operator, whole)
    loaded = bundle.load(graphs.bundle(tmp_path / "bundle", made, fields=BOUNDED, max_batch=1))
    issue = f"{loaded.graphs[0]} divides {kind} by {kind} ({operator}), neither of them a constant: the smallest one"
    with pytest.raises(errors.BundleInvalid, match=f"^{re.escape(issue)}") if refused else contextlib.nullcontext():
        check.check(loaded)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
def test_what_else_is_done_with_whole_numbers_is_no_division(tmp_path: Path, operator: str) -> None:
    made = graphs.divides("whole", "other", operator)
    check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, fields=BOUNDED, max_batch=1)))


def test_a_division_is_found_in_whichever_golden_example_it_is_made(tmp_path: Path) -> None:
    """Of a graph that divides only where the first number is the larger one."""
    body = """
      most = ReduceMax <keepdims = 0> (features) limit = Constant <value = float {5}> () large = Greater (most, limit)
      part = If (large) <
        then_branch = t () => (float[N, 2] some) {
          whole = Cast <to = 7> (features) other = Abs (whole) quotient = Div (whole, other)
          back = Cast <to = 1> (quotient) some = Mul (back, zero)
        },
        else_branch = e () => (float[N, 2] none) { none = Mul (features, zero) }
      >
      sum = Add (part, features) probabilities = Softmax <axis = 1> (sum)
    """
    golden = graphs.manifest()["golden"]
    says: dict[str, Any] = {"fields": BOUNDED, "max_batch": 1}
    large = {"inputs": {"x": 9, "y": 8}, "prediction": "a", "confidence": graphs.CONFIDENCE}
    for place in (0, 1, 2):
        examples = [*golden[:place], large, *golden[place:]]
        with pytest.raises(errors.BundleInvalid, match="divides int64 by int64"):
            check.check(bundle.load(graphs.bundle(tmp_path / str(place), graphs.graph(body), golden=examples, **says)))


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        (Field("x", "number"), [-(2.0**63), 2.0**63, -1.0, 0.0]),
        (Field("x", "number", minimum=-0.5), [-0.5, 2.0**63, -0.5, 0.0]),
        (Field("x", "number", maximum=0.5), [-(2.0**63), 0.5, -1.0, 0.0]),
        (Field("x", "number", minimum=0.25, maximum=0.5), [0.25, 0.5, 0.25, 0.25]),
        (Field("x", "integer"), [-(2**63), 2**63, -1, 0]),
        (Field("x", "integer", minimum=-5, maximum=5), [-5, 5, -1, 0]),
        # What it may not be leaves it as it is in the example.
        (Field("x", "integer", enum=(2, -1)), [2, 2, -1, 2]),
        (Field("x", "boolean"), [True] * 4),
    ],
    ids=str,
)
def test_an_extreme_input_is_as_near_to_it_as_its_field_allows(
    tmp_path: Path, field: Field, nearest: list[object]
) -> None:
    opened = model.open_model(bundle.load(graphs.bundle(tmp_path / "bundle")))
    assert isinstance(opened, GraphModel)
    other = Field("y", "number")
    fields = (field, other)
    opened.bundle = dataclasses.replace(
        opened.bundle, manifest=dataclasses.replace(opened.bundle.manifest, fields=fields)
    )
    row = {"x": True if field.type == "boolean" else 2, "y": 1}
    found = list(divisions._extremes(opened, row))
    assert [value for value, _ in found] == list(EXTREMES) == [-(2**63), 2**63, -1, 0]
    assert [made["x"] for _, made in found] == nearest
    assert [made["y"] for _, made in found] == list(EXTREMES)
