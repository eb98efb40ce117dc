"""Which rows a graph is asked beside each other before it is published."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inference import batch, bundle
from inference.manifest import Field, Manifest
from tests import graphs


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return bundle.load(graphs.bundle(tmp_path / "bundle")).manifest


@pytest.mark.parametrize(
    ("count", "most", "size"),
    [(1, 2, 2), (1, 64, 64), (1, 65, 64), (5, 2, 2), (5, 32, 32), (5, 4096, 64), (64, 4096, 64), (70, 4096, 70),
     (70, 69, 69)],
)  # fmt: skip
def test_neighbours_stand_beside_each_other_and_all_of_them_in_the_largest_batch(
    count: int, most: int, size: int
) -> None:
    *pairs, large = batch._batches(count, most)
    assert pairs == ([[0, 0]] if count == 1 else [list(pair) for pair in pairwise(range(count))])
    assert len(large) == size
    # Each as often as any other, but for the last turn.
    turns = [large[start : start + count] for start in range(0, size, count)]
    assert all(len(set(turn)) == len(turn) for turn in turns)
    assert list(batch._batches(count, most))[-1] == large


@pytest.mark.parametrize(
    ("field", "now", "number", "others"),
    [
        (Field("x", "number"), 5, 0, [6, 4]), (Field("x", "number"), 5, 1, [2, 8]),
        (Field("x", "number"), 5, 2, [15, -5]),
        (Field("x", "number"), 5, 3, [6, 4]), (Field("x", "number", maximum=5), 5, 0, [4]),
        (Field("x", "integer", minimum=5), 5, 0, [6]), (Field("x", "number", minimum=5, maximum=5), 5, 0, []),
        (Field("x", "number", enum=(1, 5, 9)), 5, 0, [1, 9]), (Field("x", "boolean"), True, 0, [False]),
        (Field("x", "boolean"), False, 1, [True]), (Field("x", "string"), "abc", 0, ["cba", "abcx"]),
        (Field("x", "string"), "aba", 0, ["abax"]), (Field("x", "string", enum=("a", "b", "c")), "b", 0, ["a", "c"]),
        (Field("x", "number", required=False), None, 0, [1, 0]),
        (Field("x", "number", required=False, minimum=5, maximum=9), None, 0, [5, 9]),
        (Field("x", "integer", required=False, enum=(7,)), None, 0, [7]),
        (Field("x", "boolean", required=False), None, 0, [True]),
        (Field("x", "string", required=False), None, 0, ["x", "xx"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_is_moved_to_what_it_may_be(
    manifest: Manifest, field: Field, now: object, number: int, others: list[object]
) -> None:
    of = dataclasses.replace(manifest, fields=(field,))
    found = list(batch._others(of, {"x": now}, field, number))
    assert found == others
    assert now not in found


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"x": 1, "y": "a"}, "{x: 1, y: a}"), ({"x": "a" * 197}, f"{{x: {'a' * 197}}}"),
        ({"x": "a" * 198}, f"{{x: {'a' * 197}…}}"),
    ],
    ids=["short", "at the limit", "beyond"],
)  # fmt: skip
def test_a_row_is_shown_as_far_as_there_is_room(row: dict[str, Any], says: str) -> None:
    assert batch._shown(row) == says
