"""What a model has said is a golden example that it does not miss, whichever kind of answer it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference import answers, output, promise
from inference.output import Said
from tests import graphs

#: Of each kind of answers what model.yaml says, and something that was said.
SAID: Mapping[str, tuple[Any, Said]] = {
    "labels": (["a", "b"], output.Label("a", 0.75, {"a": 0.75, "b": 0.25})),
    "tags": (["warm", "loud", "red"], output.Tags(["red", "warm"], {"warm": 0.5, "loud": 0.1, "red": 0.96})),
    "numbers": ([{"name": "low"}, {"name": "high"}], output.Numbers({"low": -1.5, "high": 2e9})),
    "embedding": (6, output.Embedding([0.5, -1.0, 3e-7, 0.25, 1.0, 2.0])),
    "tensors": (
        [{"name": "mask", "dtype": "uint8", "shape": [None]}, {"name": "said", "dtype": "string", "shape": []}],
        output.Tensors(
            {
                "mask": {"dtype": "uint8", "shape": [5], "data": [255, 0, 1, 2, 3]},
                "said": {"dtype": "string", "shape": [], "data": ["Grüezi"]},
            }
        ),
    ),
    "boxes": (
        {"labels": ["cat", "dog"]},
        output.Boxes([{"label": "dog", "confidence": 0.9, "box": [1.5, 2.0, 30.0, 40.0]}]),
    ),
    "text": (True, output.Text("No: 12:30\n")),
    "record": ({"words": {}, "found": {}}, output.Object({"words": 3, "found": [None, {"at": 0.5}]})),
}
#: Others, which have something that is another number or name.
EDGES: Mapping[str, tuple[Any, Said]] = {
    "one number": ([{"name": "price"}], output.Numbers({"price": 75.5})),
    "no tag": (["warm"], output.Tags([], {"warm": 0.1})),
}
KEYS = {"one number": "numbers", "no tag": "tags"}


def test_every_kind_of_answers_is_tried() -> None:
    assert SAID.keys() == answers.ANSWERS.keys()


@pytest.mark.parametrize("case", [*SAID, *EDGES])
def test_what_a_model_has_said_is_written_as_an_example_that_it_does_not_miss(tmp_path: Path, case: str) -> None:
    key = KEYS.get(case, case)
    promised, found = {**SAID, **EDGES}[case]
    answer = answers.by(found)
    example = {"inputs": {"x": 2, "y": 1}, **answer.golden(found)}
    says = graphs.manifest(**{"labels": None, key: promised, "inline": False, "golden": [example]})
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(says))
    [golden] = promise.load(tmp_path).golden
    assert answer is answers.ANSWERS[key]
    assert answer.missed(golden, found) is None
