"""What a draft of model.yaml says of a graph, by its inputs and by what it gave: without a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core import errors
from inference.drafts import answers, boxes, fields
from inference.drafts.convert import Converted
from inference.drafts.fields import ORDER, PICTURE, SIZE, TRAINED, Taken
from inference.drafts.trained import Seen

GRAPH = Path("m.onnx")


def item(type_: str, *shape: object, name: str = "x") -> Any:
    """An input or an output, as ONNX Runtime tells it."""
    return SimpleNamespace(name=name, type=f"tensor({type_})", shape=[*shape])


def taken(*takes: Any, **seen: Any) -> Taken:
    return fields.taken(GRAPH, takes, Converted(seen=Seen(**seen)))


def field(name: str, type_: str, **says: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **says}


TEXT = field("text", "string", min_length=1, max_length=1000)
LIMITS, SAY = "Say its minimum and maximum", "Say its description"
NUMBER = f"{LIMITS}; integer if it is always whole, boolean if it is yes or no"
OF_TENSOR = f"{SAY}; null is for any size"


def tensor(*shape: int | None, name: str = "x", dtype: str = "float32") -> dict[str, Any]:
    return field(name, "tensor", dtype=dtype, shape=[*shape])


def test_a_graph_of_tokens_or_texts_takes_a_text() -> None:
    read = {"kind": "One free text a row; where it is a category, write tabular"}
    folded = "Lower-cased and with white space folded"
    ids = item("int64", "N", "L", name="input_ids")
    assert taken(item("int64", "N", "L", name="mask"), ids) == Taken("tokens", [TEXT], ["The text to read"], 32)
    for shape, batch in ((("N", 1), 32), ((1,), 1), ((), 32), ((1, 1), 1)):
        assert taken(item("string", *shape)) == Taken("text", [TEXT], [folded], batch, notes=read)
    assert taken(item("string", 2, 1)) == Taken("tensor", [tensor(2, 1, dtype="string")], [OF_TENSOR], 1)
    assert taken(item("string", "N", 1, 1)).fields == [tensor(1, 1, dtype="string")]


def test_a_graph_that_can_take_pictures_takes_them_as_it_is_made() -> None:
    size, floats = {"options.size": SIZE}, {"scale": 1 / 255, "mean": [0, 0, 0], "deviation": [1, 1, 1]}
    colours = {
        "options.mean": "ImageNet's is [0.485, 0.456, 0.406]",
        "options.deviation": "ImageNet's is [0.229, 0.224, 0.225]",
    }
    notes = {"golden": PICTURE, **size, "options.channels": ORDER, "options.scale": TRAINED, **colours}

    def picture(batch: int, notes: Mapping[str, str], **options: Any) -> Taken:
        return Taken("image", [field("image", "image")], [SAY], batch, options, notes)

    rgb = {"channels": "RGB", "layout": "NCHW", **floats}
    assert taken(item("float", "N", 3, "H", "W")) == picture(
        32, {**notes, "options.size": fields.OPEN}, size=[224, 224], **rgb
    )
    assert taken(item("double", 3, 64, 96)) == picture(1, notes, size=[64, 96], **rgb)
    assert taken(item("float", "N", 3, 4096, 4096)) == picture(5, notes, size=[4096, 4096], **rgb)
    assert taken(item("uint8", 1, 480, 640, 3)) == picture(
        1, {"golden": PICTURE, **size, "options.channels": ORDER}, size=[480, 640], layout="NHWC", channels="RGB"
    )
    gray = {"size": [28, 32], "layout": "NCHW", "channels": "L", "scale": 1 / 255, "mean": [0], "deviation": [1]}
    only = {"golden": PICTURE, **size, "options.scale": TRAINED}
    assert taken(item("float16", "N", 1, 28, 32)) == picture(32, only, **gray)
    for other in (
        item("float", "N", 3, 4097, 8), item("float", "N", 3, 1, 8), item("int32", "N", 3, 8, 8),
        item("float", 2, 3, 8, 8), item("float", "N", 4, 8, 8), item("float", 1, 8, 8),
    ):  # fmt: skip
        assert taken(other).kind == "tensor"
    assert taken(item("float", "N", 3, 2, 8)).kind == "image"
    assert taken(item("float", "N", 3, 8, 8), item("float", "N", 3, 8, 8, name="y")).kind == "tensor"


def test_a_graph_of_columns_takes_a_field_for_each() -> None:
    unnamed = [f"Column {place} of 'x': name it. {NUMBER}" for place in (1, 2)]
    both = [field("f0", "number"), field("f1", "number")]
    assert taken(item("float", "N", 2)) == Taken("tabular", both, unnamed, 32)
    assert taken(item("float", "N", 2), columns=["a"]).fields == both
    assert taken(item("float", "N", 2), columns=["age", "size"], types={"age": "integer", "size": "string"}) == Taken(
        "tabular", [field("age", "integer"), field("size", "number")], [LIMITS, NUMBER], 32
    )
    assert taken(item("double", 1, 1)) == Taken("tabular", [field("x", "number")], [NUMBER], 1)
    whole = field("x", "integer", minimum=-(2**31), maximum=2**31 - 1)
    assert taken(item("int32", "N")) == Taken("tabular", [whole], [LIMITS], 32)
    several = (item("int64", "N", 2, name="a"), item("string", "N", 1, name="b"), item("bool", "N", name="c"))
    assert taken(*several) == Taken(
        "tabular",
        [*(field(f"a_{place}", "integer", input="a") for place in (0, 1)), field("b", "string"), field("c", "boolean")],
        [f"Column 1 of 'a': name it. {LIMITS}", f"Column 2 of 'a': name it. {LIMITS}", SAY, SAY],
        32,
    )


def test_what_a_column_may_be_is_listed_where_a_person_reads_it() -> None:
    columns = ["few", "most", "many", "none"]
    known = {"few": ["x"], "most": [*"abcdefghijklmnopqrst"], "many": [*"abcdefghijklmnopqrstu"], "none": []}
    found = taken(item("string", "N", 4), columns=columns, categories=known)
    assert [made.get("enum") for made in found.fields] == [["x"], known["most"], None, None]
    listed = "What it was trained on; without enum it takes any"
    assert found.of_fields == [f"{listed} text", f"{listed} text", SAY, SAY]
    found = taken(item("int64", "N", 1), columns=["k"], categories={"k": [1, 2]})
    assert (found.fields, found.of_fields) == ([field("k", "integer", enum=[1, 2])], [f"{listed} whole number"])
    assert "enum" not in taken(item("float", "N", 1), columns=["k"], categories={"k": [1, 2]}).fields[0]


def test_what_else_a_graph_takes_are_tensors_and_what_no_kind_takes_is_refused() -> None:
    assert taken(item("float", "N", "M")) == Taken("tensor", [tensor(None)], [OF_TENSOR], 32)
    assert taken(item("float")) == Taken("tensor", [tensor()], [OF_TENSOR], 1)
    mixed = taken(item("int8", 1, 2, "M"), item("float16", "N", 5, name="y"))
    assert mixed == Taken(
        "tensor", [tensor(2, None, dtype="int8"), tensor(5, name="y", dtype="float16")], [OF_TENSOR] * 2, 1
    )
    with pytest.raises(errors.BundleInvalid, match=r"takes 'x' \(bfloat16 \[\*, 2\]\), which no kind takes: export it"):
        taken(item("bfloat16", "N", 2))
    with pytest.raises(errors.BundleInvalid, match="takes nothing: export it with an input for the fields"):
        taken()


def scores(*found: float, name: str = "y", labels: Sequence[str] | None = ()) -> dict[str, Any] | None:
    said = answers.scores(name, np.array(found), labels)
    return None if said is None else said[0]


def test_scores_are_labels_numbers_or_a_vector() -> None:
    named = {"labels": ["a", "b"]}
    assert scores(0.5, 0.9, labels=["a", "b"]) == scores(0.2, labels=["a", "b"]) == named
    assert scores(-0.0009, 1.0009, labels=["a", "b"]) == named
    for numbers in ((-0.0011, 1.0), (0.0, 1.0011)):
        assert scores(*numbers, labels=["a", "b"]) == {"numbers": [{"name": "y_0"}, {"name": "y_1"}]}
    assert scores(0.2, labels=["a"]) == scores(0.2, labels=["a", "b", "c"]) == {"numbers": [{"name": "y"}]}
    assert scores(0.3, 0.7) == scores(0.3, 0.709) == scores(0.3, 0.691) == {"labels": ["label_0", "label_1"]}
    assert "numbers" in (scores(0.3, 0.711) or {})
    assert "numbers" in (scores(0.3, 0.7, labels=None) or {})
    for name in ("PROBability", "a_sigmoid", "softmax.1"):
        assert scores(0.2, name=name) == {"labels": ["label_0", "label_1"]}
        assert "numbers" in (scores(0.2, name=name, labels=None) or {})
    assert "numbers" in (scores(*[2.0] * 15) or {})
    assert scores(*[2.0] * 16) == {"embedding": 16}
    assert scores(*[2.0] * 65536) == {"embedding": 65536}
    assert scores(*[2.0] * 65537) is None


def test_boxes_are_told_by_their_columns_or_by_what_is_beside_them() -> None:
    def said(labels: Any = (), **given: Any) -> dict[str, Any] | None:
        outputs = [item("float", name=name) for name in given]
        found = boxes.boxes(outputs, [np.array(value) for value in given.values()], labels)
        return None if found is None else found[0]["boxes"]

    two = ["label_0", "label_1"]
    row = [1.0, 2.0, 3.0, 4.0, 0.5, 1.0]
    assert said(y=[[row, row]]) == {"labels": two}
    assert said(y=[row, row], labels=["a", "b", "c"]) == {"labels": ["a", "b", "c"]}
    assert said(y=[row, [5.0, 2.0, 3.0, 4.0, 0.5, 0.0]]) == {"labels": two, "format": "cxcywh"}
    assert said(y=[row, [5.0, 1.0, 3.0, 6.0, 0.5, 0.0]]) == {"labels": two, "format": "cxcywh"}, "wide and not high"
    assert said(y=[row]) is None, "six numbers may be anything"
    for place, value in ((4, 1.002), (4, -1.1), (5, 0.5), (5, 100_000.0)):
        assert said(y=[row, [value if at == place else number for at, number in enumerate(row)]]) is None
    corners, sure, classes = [[row[:4]] * 2], [[0.5, -1.0]], [[1, 0]]
    assert said(b=corners, s=sure, c=classes) == {"labels": two, "boxes": "b", "scores": "s", "classes": "c"}
    assert said(b=corners, s=sure, c=[[1.0, 0.0]]) is None, "floats may be other scores"
    for name in ("my_Classes", "LABELS"):
        assert said(b=corners, s=sure, **{name: [[1.0, 0.0]]})["classes"] == name
    for name in ("num", "Count"):
        assert said(b=corners, s=sure, c=classes, **{name: [2]})["count"] == name
        assert "count" not in said(b=corners, s=sure, c=classes, **{name: [2, 2]})
    assert "count" not in said(b=corners, s=sure, c=classes, other=[2])
    assert said(detection_boxes=corners, s=sure, c=classes) == {
        "labels": two, "boxes": "detection_boxes", "scores": "s", "classes": "c", "format": "yxyx",
        "units": "fractions", "first_class": 1,
    }  # fmt: skip
    every = [[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]]
    assert said(b=corners, s=every, k=[[0, 1, 1]]) == {
        "labels": ["label_0", "label_1", "label_2"], "boxes": "b", "scores": "s", "selected": "k"
    }  # fmt: skip
    assert said(b=corners, s=every, k=[[0, 1]]) is None


def test_classes_are_named_as_ultralytics_writes_them() -> None:
    assert boxes.labels("{0: 'cat', 1: 'dog'}") == ["cat", "dog"]
    for odd in ("", "{1: 'cat'}", "['cat']", "cat", "{0: 'cat', 2: 'dog'}", "{0: "):
        assert boxes.labels(odd) == []
