"""Which outputs of a graph are the answer, by their types and shapes, and what is said where none of them can be it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import errors
from inference import answers, nodes
from inference.answers.boxes import RAW
from inference.manifest import Manifest
from tests import graphs
from tests.inference.test_drafts import item
from tests.inference.test_tensors import gives

BOTH = {"labels": ["a", "b"]}
THREE = {"labels": ["a", "b", "c"]}
MAPS = SimpleNamespace(name="maps", type="seq(map(string,tensor(float)))", shape=[])
BEST, LOGITS, SCORES = (
    item("int64", "N", name="best"), item("float", "N", 2, name="logits"), item("float", "N", 2, name="scores"),
)  # fmt: skip
LIKELY = item("float", "N", 2, name="probabilities")
COLUMNS: dict[str, Any] = {"boxes": {"labels": ["a"]}}
APART: dict[str, Any] = {"boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "classes": "c"}}
SURE, CLASSES = item("float", "N", "K", name="s"), item("int64", "N", "K", name="c")


def chosen(says: dict[str, Any], *given: Any) -> list[str] | str:
    """Of a graph that gives these, the outputs that are taken, or what is said of it."""
    promised = Manifest.from_dict(graphs.manifest(**{"labels": None, **says}))
    answer = answers.of(promised)(promised)
    try:
        answer.choose(Path("m.onnx"), given)
    except errors.BundleInvalid as error:
        return error.message
    return [*answer.outputs]


@pytest.mark.parametrize(
    ("says", "given", "wanted"),
    [
        (BOTH, [LOGITS], ["logits"]), (BOTH, [item("float", name="p")], ["p"]), (BOTH, [MAPS], ["maps"]),
        (BOTH, [item("float", "N", 1, name="p")], ["p"]), (BOTH, [BEST, item("float", "N", name="p")], ["p"]),
        (BOTH, [LOGITS, LIKELY], ["probabilities"]), (BOTH, [BEST, SCORES], ["scores"]),
        ({**BOTH, "output": "scores"}, [LOGITS, SCORES], ["scores"]),
        ({"text": True}, [item("string", "N", name="t")], ["t"]), ({"text": True}, [item("string", name="t")], ["t"]),
        ({"text": True}, [item("string", "N", 1, name="t")], ["t"]), (COLUMNS, [item("float", name="b")], ["b"]),
        (COLUMNS, [item("double", "N", "K", 6, name="b")], ["b"]), (APART, [item("float", name="b"), SURE, CLASSES],
                                                                   ["b", "s", "c"]),
        ({**COLUMNS, "max_batch": 1}, [item("float", "K", 6, name="b")], ["b"]),
        # Where any size may come, one that is said is a size.
        ({"tensors": [gives("y", "float32", [None, 2])]}, [item("float", "N", 3, 2, name="y")], ["y"]),
        ({"tensors": [gives("mine", "float32", [2])]}, [item("float", "N", 2, name="y")], ["y"]),
        ({"tensors": [gives("y", "int64", []), gives("z", "float32", [2], output="scores")]},
         [item("int64", "N", name="y"), SCORES], ["y", "scores"]),
    ],
)  # fmt: skip
def test_the_outputs_that_are_the_answer_are_found(says: dict[str, Any], given: list[Any], wanted: list[str]) -> None:
    assert chosen(says, *given) == wanted


def test_what_there_is_none_of_is_told_so() -> None:
    assert (nodes.every([]), nodes.every([BEST, MAPS])) == ("nothing", "'best' (int64 [*]), 'maps' (a list of maps)")


WHICH = ": say in model.yaml which of them it is, such as output:"
BOXES = "but must give floats [rows, boxes,"
ONE = "; of one row at a time say max_batch: 1"


@pytest.mark.parametrize(
    ("says", "given", "begins", "ends"),
    [
        (BOTH, [BEST, LOGITS, SCORES], "gives 'best' (int64 [*]), 'logits' (float [*, 2]), 'scores' (float [*, 2]), "
         "but must give floats [rows, 2], one for each label of model.yaml (a, b)", f"{WHICH} logits"),
        (BOTH, [BEST, item("int64", "N", 2, name="other")], "gives 'best' (int64 [*]), 'other'", f"{WHICH} best"),
        ({**BOTH, "output": "none"}, [LOGITS, MAPS], "has no output 'none', as output of model.yaml says, but 'logits' "
         "(float [*, 2]), ", "'maps' (a list of maps)"),
        (THREE, [item("float", "N", 1, name="p")], "gives 'p' (float [*, 1]), but must give floats [rows, 3]",
         "; where it is meant to, say tags, numbers, embedding, tensors, text or boxes in place of labels"),
        ({"embedding": 2}, [MAPS], "gives 'maps' (a list of maps), but must give floats [rows, 2], the embedding of",
         "say labels, tags, numbers, tensors, text or boxes in place of embedding"),
        *(({"text": True}, [item(*of, name="t")], f"gives 't' ({of[0]} ", "tensors or boxes in place of text")
          for of in (("string", "N", 2), ("int64", "N"))),
        ({"record": {"x": {}}}, [LOGITS], "gives 'logits' (float [*, 2]), none of which can be a record",
         "as only kind python gives: say labels, numbers or another in its place"),
        ({"tensors": [gives("z", "float32", [2])]}, [LOGITS, SCORES], "gives 'logits' (float [*, 2]), 'scores' (float ",
         "and no 'z': say with tensor z which of them it is, as output: logits"),
        ({"tensors": [gives("y", "float32", [3])]}, [LOGITS], "gives 'logits' (float [*, 2]), but tensor y has shape [",
         "3]: say [2] or [null, 2]"),
        (COLUMNS, [item("float", "N", "K", 6, name="b"), SURE], "gives 'b' (float [*, *, 6]), 's' (float [*, *]): say ",
         "say boxes: NAME within boxes, and scores and classes where they are outputs of their own"),
        (COLUMNS, [item("float", "N", 84, 84, name="b")], f"gives 'b' (float [*, 84, 84]), {BOXES} 6]",
         f"with score and class in their columns{RAW}"),
        (COLUMNS, [item("float", "K", 6, name="b")], f"gives 'b' (float [*, 6]), {BOXES} 6]", f"in their columns{ONE}"),
        ({**COLUMNS, "max_batch": 1}, [item("float", "K", 5, name="b")], "gives 'b' (float [*, 5])",
         "with score and class in their columns"),
        (APART, [item("float", "K", 4, name="b"), SURE, CLASSES], f"gives 'b' (float [*, 4]), {BOXES} 4]",
         f"with scores and classes beside them{ONE}"),
        (APART, [item("int64", "N", "K", 4, name="b"), SURE, CLASSES], f"gives 'b' (int64 [*, *, 4]), {BOXES} 4]",
         "with scores and classes beside them"),
        (APART, [item("float", "N", "K", 4, name="b"), SURE], "has no output 'c', as boxes of model.yaml says, but 'b'",
         "'s' (float [*, *])"),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be_the_answer_are_told_with_what_would_do(
    says: dict[str, Any], given: list[Any], begins: str, ends: str
) -> None:
    found = str(chosen(says, *given))
    assert found.startswith(f"m.onnx {begins}")
    assert found.endswith(ends)
