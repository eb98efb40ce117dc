"""What is let through at a glance is what the schema lets through, and what it makes of it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest

from core import errors
from inference import glance, schema
from inference.manifest import Field, Manifest

FIELDS = (
    Field("a", "string"),
    Field("a", "string", min_length=2, max_length=4),
    Field("a", "string", min_length=1, required=False, default="x"),
    Field("a", "string", enum=("b", "1", ""), required=False, default=None),
    Field("a", "number"),
    Field("a", "number", minimum=-1.5, maximum=2.5, required=False, default=1),
    Field("a", "number", enum=(1, 2.5), required=False),
    Field("a", "integer"),
    Field("a", "integer", minimum=-1, maximum=2, required=False, default=0),
    Field("a", "integer", enum=(1, 2)),
    Field("a", "boolean"),
    Field("a", "boolean", required=False, default=False),
    Field("a", "boolean", enum=(True,)),
    Field("a", "image"),
    Field("a", "tensor", dtype="float32", shape=(2,)),
)
VALUES: tuple[Any, ...] = (
    "", "b", "1", " b ", "ab", "abcd", "abcde", "ä" * 4, "\ud800b", "\0", "aGVsbG8=", 0, 1, -1, 2, 3, -2, 1.0, 1.5, 2.5,
    2.6, -1.5, -1.6, -0.0, 3.4028235e38, 3.5e38, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, math.inf,
    -math.inf, math.nan, True, False, None, [], {}, [1.0, 2.0], [1], (1,), "NaN",
)  # fmt: skip


class Text(str):
    """One that is not plainly one."""

    __slots__ = ()


def made(field: Field) -> Manifest:
    return Manifest("m", "1.0.0", "tabular", "", "", (field, Field("b", "number", required=False, default=3)), ())


def judged(manifest: Manifest, raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | None:
    """What the schema makes of it; None if it is wrong."""
    with monkeypatch.context() as patch:
        patch.setattr(glance, "inputs", lambda *_: None)
        try:
            return schema.validate_inputs(manifest, raw)
        except errors.InvalidInput:
            return None


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize("place", range(len(FIELDS)))
def test_it_never_says_anything_else_than_the_schema(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = made(FIELDS[place])
    rows: list[dict[str, Any]] = [{}, {"b": 1}, {"c": 1}]
    rows += [{"a": value} for value in (*VALUES, Text("ab"))]
    rows += [{"a": value, "b": other} for value, other in itertools.product(VALUES, (1, 2.5, "1", None))]
    rows += [{"a": value, "c": 1} for value in VALUES]
    passed = 0
    for raw in rows:
        found = glance.inputs(manifest, raw)
        if found is not None:
            passed += 1
            assert same(found, judged(manifest, raw, monkeypatch)), raw
    assert (passed > 0) == (FIELDS[place].type not in ("image", "tensor"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (FIELDS[0], "ä€😀"), (FIELDS[1], "ab"), (FIELDS[1], "abcd"), (FIELDS[4], 2), (FIELDS[4], -3.4028235e38),
        (FIELDS[5], -1.5), (FIELDS[5], 2.5), (FIELDS[6], 1), (FIELDS[7], 2**64 - 1), (FIELDS[7], -(2**63)),
        (FIELDS[8], -1), (FIELDS[8], 2), (FIELDS[9], 2), (FIELDS[10], False), (FIELDS[12], True),
    ],
)  # fmt: skip
def test_what_is_right_to_its_limits_is_let_through(field: Field, value: Any) -> None:
    found = glance.inputs(made(field), {"a": value})
    assert same(found, {"a": float(value) if field.type == "number" else value, "b": 3.0})
    assert same(glance.inputs(made(field), {"b": 1, "a": value}), {"a": found and found["a"], "b": 1.0})


def test_what_is_left_out_has_its_default_and_what_must_not_be_is_for_the_schema() -> None:
    assert same(glance.inputs(made(FIELDS[5]), {}), {"a": 1.0, "b": 3.0})
    assert same(glance.inputs(made(FIELDS[3]), {}), {"a": None, "b": 3.0})
    assert glance.inputs(made(FIELDS[0]), {}) is None
    picture = dataclasses.replace(FIELDS[13], required=False)
    assert same(glance.inputs(made(picture), {}), {"a": None, "b": 3.0})
