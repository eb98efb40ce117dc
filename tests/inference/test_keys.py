"""Every key of model.yaml, kind by kind: whether it must be there, what it has to be, and its limits."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import marshmallow as ma
import pytest
import yaml
from marshmallow import fields

from core import errors
from inference import faults, kinds, promise
from tests import graphs

Where = tuple[str | int, ...]

TEXT, NUMBER, WHOLE, FLAG, LIST, MAPPING = (
    "a text",
    "a number",
    "a whole number",
    "true or false",
    "a list",
    "a mapping",
)
ANYTHING = ""
MUST, MAY, MAY_BE_NULL = "is missing", "may be left out", "may be null"
OF_NUMBERS: Mapping[Where, tuple[str, str]] = {
    ("numbers", 0, "name"): (TEXT, MUST), ("numbers", 0, "unit"): (TEXT, MAY),
    ("numbers", 0, "description"): (TEXT, MAY),
}  # fmt: skip
OF_TENSORS: Mapping[Where, tuple[str, str]] = {
    ("tensors", 0, "name"): (TEXT, MUST), ("tensors", 0, "description"): (TEXT, MAY),
    ("tensors", 0, "output"): (TEXT, MAY_BE_NULL), ("tensors", 0, "dtype"): (TEXT, MUST),
    ("tensors", 0, "shape"): (LIST, MUST),
}  # fmt: skip
OF_BOXES: Mapping[Where, tuple[str, str]] = {
    ("boxes", "labels"): (LIST, MUST), ("boxes", "at_least"): (NUMBER, MAY), ("boxes", "first_class"): (WHOLE, MAY),
    ("boxes", "boxes"): (TEXT, MAY_BE_NULL), ("boxes", "scores"): (TEXT, MAY_BE_NULL),
    ("boxes", "classes"): (TEXT, MAY_BE_NULL), ("boxes", "selected"): (TEXT, MAY_BE_NULL),
    ("boxes", "count"): (TEXT, MAY_BE_NULL),
    ("boxes", "format"): (TEXT, MAY), ("boxes", "units"): (TEXT, MAY),
}  # fmt: skip
OF_EXPLAIN: Mapping[Where, tuple[str, str]] = {
    ("explain", "method"): (TEXT, MUST), ("explain", "background"): (TEXT, MAY), ("explain", "groups"): (MAPPING, MAY),
    ("explain", "evaluations"): (WHOLE, MAY), ("explain", "units"): (WHOLE, MAY),
}  # fmt: skip
OF_ROWS: Mapping[Where, tuple[str, str]] = {
    ("labels",): (LIST, MUST), ("numbers",): (LIST, MAY), ("embedding",): (WHOLE, MAY), **OF_NUMBERS,
    ("tags",): (LIST, MAY), ("at_least",): (NUMBER, MAY_BE_NULL), ("text",): (FLAG, MAY),
    ("tensors",): (LIST, MAY), **OF_TENSORS,
    ("boxes",): (MAPPING, MAY), **OF_BOXES,
    ("record",): (MAPPING, MAY),
    ("threshold_field",): (TEXT, MAY_BE_NULL), ("below_threshold",): (TEXT, MAY_BE_NULL),
    ("golden", 0, "inputs"): (MAPPING, MUST), ("golden", 0, "prediction"): (TEXT, MUST),
    ("golden", 0, "confidence"): (NUMBER, MUST),
}  # fmt: skip
OF_GRAPHS: Mapping[Where, tuple[str, str]] = {**OF_ROWS, ("output",): (TEXT, MAY_BE_NULL)}
OF_FILES: Mapping[Where, tuple[str, str]] = {
    ("golden", 0, "file"): (TEXT, MUST), ("golden", 0, "inputs"): (MAPPING, MAY),
}  # fmt: skip
#: What each has to be, and whether it may be left out.
COMMON: Mapping[Where, tuple[str, str]] = {
    ("name",): (promise.NAMES, MUST), ("version",): (promise.VERSIONS, MUST), ("kind",): ("one of ", MUST),
    ("summary",): (TEXT, MUST), ("licence",): (TEXT, MUST), ("fields",): (LIST, MUST), ("golden",): (LIST, MUST),
    ("pool",): (TEXT, MAY), ("inline",): (FLAG, MAY), ("max_batch",): (WHOLE, MAY), ("units",): (WHOLE, MAY),
    ("cache",): (FLAG, MAY), ("explanation",): (LIST, MAY), ("explain",): (MAPPING, MAY), ("options",): (MAPPING, MAY),
    ("fields", 0, "name"): (TEXT, MUST), ("fields", 0, "type"): (TEXT, MUST), ("fields", 0, "description"): (TEXT, MAY),
    ("fields", 0, "required"): (FLAG, MAY), ("fields", 0, "default"): (ANYTHING, MAY_BE_NULL),
    ("fields", 0, "min_length"): (WHOLE, MAY_BE_NULL), ("fields", 0, "max_length"): (WHOLE, MAY_BE_NULL),
    ("fields", 0, "minimum"): (NUMBER, MAY_BE_NULL), ("fields", 0, "maximum"): (NUMBER, MAY_BE_NULL),
    ("fields", 0, "enum"): (LIST, MAY), ("fields", 0, "input"): (TEXT, MAY_BE_NULL),
    ("fields", 0, "dtype"): (TEXT, MAY_BE_NULL), ("fields", 0, "shape"): (LIST, MAY_BE_NULL),
}  # fmt: skip
KEYS: Mapping[str, Mapping[Where, tuple[str, str]]] = {
    "tabular": {**COMMON, **OF_GRAPHS},
    "text": {**COMMON, **OF_GRAPHS, ("options", "field"): (TEXT, MAY)},
    "tokens": {**COMMON, **OF_GRAPHS, ("options", "field"): (TEXT, MAY), ("options", "max_tokens"): (WHOLE, MAY)},
    "tensor": {**COMMON, **OF_GRAPHS},
    "image": {
        **COMMON, **{where: must for where, must in OF_GRAPHS.items() if where != ("golden", 0, "inputs")},
        ("golden", 0, "file"): (TEXT, MUST), ("options", "size"): (LIST, MAY), ("options", "layout"): (TEXT, MAY),
        ("options", "channels"): (TEXT, MAY), ("options", "scale"): (NUMBER, MAY), ("options", "mean"): (LIST, MAY),
        ("options", "deviation"): (LIST, MAY), ("options", "fit"): (TEXT, MAY), ("options", "background"): (WHOLE, MAY),
    },
    "audio": {
        **COMMON, **OF_FILES, ("golden", 0, "segments"): (LIST, MUST),
        ("golden", 0, "segments", 0, "start"): (NUMBER, MUST), ("golden", 0, "segments", 0, "end"): (NUMBER, MUST),
    },
    "document": {
        **COMMON, **OF_FILES, ("golden", 0, "lines"): (LIST, MUST), ("options",): (MAPPING, MUST),
        ("options", "max_pages"): (WHOLE, MUST), ("options", "max_pixels"): (WHOLE, MUST),
    },
    "python": {**COMMON, **OF_ROWS, ("options",): (MAPPING, MUST), ("options", "class"): (TEXT, MUST)},
    "python-file": {
        **COMMON, **OF_FILES, ("fields",): (LIST, MAY), ("record",): (MAPPING, MAY), ("options",): (MAPPING, MUST),
        ("options", "class"): (TEXT, MUST), ("options", "takes"): (LIST, MUST),
        ("golden", 0, "record"): (MAPPING, MUST), ("golden", 0, "files"): (LIST, MAY),
    },
    # No kind, but what a model of one says that gives these, or the reasons of its answers.
    "explained": OF_EXPLAIN,
    "numbers": OF_NUMBERS, "tags": {("golden", 0, "tags"): (MAPPING, MUST)},
    "a text": {("golden", 0, "text"): (TEXT, MUST)},
    "tensors": {**OF_TENSORS, ("golden", 0, "tensors"): (MAPPING, MUST)},
    "boxes": {
        **OF_BOXES, ("golden", 0, "boxes"): (LIST, MUST), ("golden", 0, "boxes", 0, "label"): (TEXT, MUST),
        ("golden", 0, "boxes", 0, "confidence"): (NUMBER, MUST), ("golden", 0, "boxes", 0, "box"): (LIST, MUST),
    },
}  # fmt: skip
#: What all kinds have is tried with one of them.
EACH = [
    (kind, where)
    for kind, known in KEYS.items()
    for where in known
    if (kind == "tabular" or where not in COMMON)
    and (kind in ("numbers", "tensors", "boxes") or where not in {**OF_NUMBERS, **OF_TENSORS, **OF_BOXES})
]


def parameter(name: str, type_: str) -> dict[str, Any]:
    return {"name": name, "type": type_, "required": False, "default": 1}


def of_files(kind: str, parameters: Mapping[str, str], answer: Mapping[str, Any], **says: Any) -> dict[str, Any]:
    named = [parameter(name, type_) for name, type_ in parameters.items()]
    golden = [{"file": "golden", **answer}]
    return graphs.manifest(kind=kind, labels=None, inline=None, fields=named, golden=golden, **says)


def of_texts(kind: str) -> dict[str, Any]:
    named = [{"name": "text", "type": "string"}, {"name": "other", "type": "string", "required": False}]
    golden = [{"inputs": {"text": "a"}, "prediction": "a", "confidence": 1}]
    return graphs.manifest(kind=kind, inline=None, fields=named, golden=golden)


#: What says no more than it must.
LEAST: Mapping[str, dict[str, Any]] = {
    "tabular": graphs.manifest(inline=None),
    "explained": graphs.manifest(explanation=["shap"], explain={"method": "sampled", "background": "usual.jsonl"}),
    "numbers": graphs.manifest(
        labels=None, numbers=[{"name": "sum"}], golden=[{"inputs": {"x": 2, "y": 1}, "prediction": 3}]
    ),
    "tags": graphs.manifest(labels=None, tags=["a"], golden=[{"inputs": {"x": 2, "y": 1}, "tags": {}}]),
    "a text": graphs.manifest(labels=None, text=True, golden=[{"inputs": {"x": 2, "y": 1}, "text": ""}]),
    "tensors": graphs.manifest(
        labels=None, tensors=[{"name": "t", "dtype": "bool", "shape": [None]}],
        golden=[{"inputs": {"x": 2, "y": 1}, "tensors": {"t": []}}],
    ),
    "boxes": graphs.manifest(
        labels=None, boxes={"labels": ["a"]},
        golden=[{"inputs": {"x": 2, "y": 1}, "boxes": [{"label": "a", "confidence": 1, "box": [0, 0, 1, 1]}]}],
    ),
    "tensor": graphs.manifest(
        kind="tensor", inline=None, fields=[{"name": "x", "type": "tensor", "dtype": "bool", "shape": [1]}],
        golden=[{"inputs": {"x": [True]}, "prediction": "a", "confidence": 1}],
    ),
    "text": of_texts("text"),
    "tokens": of_texts("tokens"),
    "image": graphs.manifest(
        kind="image", inline=None, fields=[{"name": "image", "type": "image"}],
        golden=[{"file": "golden", "prediction": "a", "confidence": 1}],
    ),
    "audio": of_files(
        "audio",
        {"threshold": "number", "min_speech_ms": "integer", "min_silence_ms": "integer", "speech_pad_ms": "integer"},
        {"segments": [{"start": 0, "end": 1}]},
    ),
    "document": of_files(
        "document", {"dpi": "integer", "min_confidence": "number"}, {"lines": ["a"]},
        options={"max_pages": 1, "max_pixels": 1},
    ),
    "python": graphs.manifest(kind="python", inline=None, options={"class": "of_keys"}),
    "python-file": graphs.manifest(
        kind="python-file", labels=None, inline=None, fields=None, golden=[{"file": "golden", "record": {"rows": 1}}],
        options={"class": "of_keys", "takes": ["text/csv"]},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that models in Python name here."""
    graphs.plug_in(tmp_path, "of_keys", "", "coatcheck.models")
    monkeypatch.syspath_prepend(tmp_path)


def parts(keys: Mapping[str, fields.Field[Any]], at: Where = ()) -> Iterator[Where]:
    """Every key that there is, those within mappings and lists of mappings too."""
    for name, key in keys.items():
        yield (*at, name)
        inside = key.inner if isinstance(key, fields.List) else key
        if isinstance(inside, fields.Nested) and isinstance(inside.schema, ma.Schema):
            yield from parts(inside.schema.fields, (*at, name, 0) if inside is not key else (*at, name))


def changed(kind: str, where: Where, value: object = None, *, without: bool = False) -> dict[str, Any]:
    made = copy.deepcopy(LEAST[kind])
    inside: Any = made
    for step in where[:-1]:
        inside = inside.setdefault(step, {}) if isinstance(inside, dict) else inside[step]
    if without:
        del inside[where[-1]]
    else:
        inside[where[-1]] = value
    return made


def said(folder: Path, manifest: object) -> str | None:
    """How it is refused, if it is; without the names of fields."""
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    try:
        promise.load(folder)
    except errors.BundleInvalid as error:
        return re.sub(r"((?:field|number|tensor) \d+) \(\w+\)", r"\1", error.message)
    return None


def place(where: Where) -> str:
    words: list[str] = []
    for step in where:
        words = [f"{faults.ONE[words[0]]} {step + 1}", *words[1:]] if isinstance(step, int) else [step, *words]
    return " of ".join(words)


@pytest.mark.parametrize("kind", kinds.SHIPPED)
def test_every_key_of_every_kind_has_its_case(kind: str) -> None:
    assert set(parts(promise._schema(kinds.find(kind), LEAST[kind]).fields)) == {*KEYS[kind], *OF_EXPLAIN}


@pytest.mark.parametrize("kind", KEYS)
def test_what_may_be_left_out_may_be_left_out(tmp_path: Path, kind: str) -> None:
    assert said(tmp_path, LEAST[kind]) is None


@pytest.mark.parametrize(("kind", "where"), [each for each in EACH if KEYS[each[0]][each[1]][1] == MUST], ids=str)
def test_a_key_that_must_be_there_is_told_to_be_missing(tmp_path: Path, kind: str, where: Where) -> None:
    found = said(tmp_path, changed(kind, where, without=True))
    assert f"{place(where)} is missing" in str(found)


@pytest.mark.parametrize(("kind", "where"), EACH, ids=str)
def test_a_key_without_a_value_is_told_to_be_empty_unless_it_may_be(tmp_path: Path, kind: str, where: Where) -> None:
    found = said(tmp_path, changed(kind, where))
    if KEYS[kind][where][1] == MAY_BE_NULL:
        assert found is None
    else:
        assert f"{place(where)} must {'be one of' if where == ('kind',) else 'not be empty'}" in str(found)


@pytest.mark.parametrize(("kind", "where"), [each for each in EACH if KEYS[each[0]][each[1]][0]], ids=str)
def test_a_value_of_another_type_is_told_what_it_has_to_be(tmp_path: Path, kind: str, where: Where) -> None:
    right = {TEXT: str, NUMBER: float, FLAG: bool, LIST: list, MAPPING: dict}
    wanted = KEYS[kind][where][0]
    for value in (0.5, "?", True, [1], {"a": 1}):
        if type(value) is not right.get(wanted):
            assert f"{place(where)} must be {wanted}" in str(said(tmp_path, changed(kind, where, value)))


LONG = "x" * 1000


@pytest.mark.parametrize(
    ("kind", "where", "at", "beyond", "says"),
    [
        ("tabular", ("name",), ["a", "a" * 63, "a-_9"], ["", "a" * 64, "9a", "A", "a\n", "ä"], promise.NAMES),
        ("tabular", ("version",), ["0.0.0", "1.2.999999999"], ["1.2", "1.2.3.4", "1.2.9999999999", "1.2.3\n"],
         promise.VERSIONS),
        ("tabular", ("version",), ["10.0.20"], ["01.2.3", "1.2.00", "1.00.2"], promise.VERSIONS),
        *(("tabular", (name,), ["x", LONG], [f"{LONG}x"], "at most 1000 char") for name in ("summary", "licence")),
        *(("tabular", (name,), ["x"], ["", " \n"], "must not be blank") for name in ("summary", "licence")),
        ("tabular", ("fields", 0, "description"), ["", LONG], [f"{LONG}x"], "at most 1000 characters"),
        ("audio", ("golden", 0, "file"), ["x", LONG], [f"{LONG}x"], "at most 1000 characters"),
        ("tabular", ("pool",), ["cpu", "gpu"], ["tpu", ""], "must be one of cpu, gpu"),
        ("tabular", ("explanation",), [[], ["simple"]], [["other"], ["simple", "x"]], "must be one of simple, shap"),
        ("explained", ("explain", "method"), ["exact", "sampled"], ["tree", ""], "must be one of exact, sampled"),
        ("explained", ("explain", "evaluations"), [64, 8192], [63, 8193], "a whole number from 64 to 8192"),
        ("explained", ("explain", "units"), [0, 10_000], [-1, 10_001], "a whole number from 0 to 10000"),
        ("explained", ("explain", "groups"), [{}, {"both": ["x", "y"]}], [{"one": ["x"]}], "must have at least 2"),
        ("tabular", ("max_batch",), [1, 4096], [0, -1, 4097], "a whole number from 1 to 4096"),
        ("tabular", ("units",), [0, 10_000], [-1, 10_001], "a whole number from 0 to 10000"),
        ("text", ("fields", 1, "min_length"), [0, 2**31 - 1], [-1, 2**31], "a whole number from 0 to 2147483647"),
        ("text", ("fields", 1, "max_length"), [2**31 - 1], [-1, 2**31], "a whole number from 0 to 2147483647"),
        ("tokens", ("options", "max_tokens"), [1, 2**20], [0, 2**20 + 1], "a whole number from 1 to 1048576"),
        *(("document", ("options", name), [1, 2**31], [0, 2**31 + 1], "a whole number from 1 to 2147483648")
          for name in ("max_pages", "max_pixels")),
        ("image", ("options", "size"), [[1, 4096]], [[1, 0], [1, 4097]], "must be a whole number from 1 to 4096"),
        ("image", ("options", "size"), [[1, 1]], [[1]], "must have at least 2 entries"),
        ("image", ("options", "size"), [[1, 1]], [[1, 1, 1]], "must be the height and the width, in pixels"),
        ("image", ("options", "layout"), ["NCHW", "NHWC"], ["CHW", ""], "must be one of NCHW, NHWC"),
        ("image", ("options", "channels"), ["RGB", "BGR", "L"], ["RGBA"], "must be one of RGB, BGR, L"),
        ("image", ("options", "scale"), [-1, 1e-9], [0], "scale of options must not be 0"),
        *(("image", ("options", name), [[1, 2, 3]], [[], [1], [1, 2, 3, 4]], f"{name} of options must have 3 entries")
          for name in ("mean", "deviation")),
        ("image", ("options", "mean"), [[-1, 0, 1e30]], [], ""),
        ("image", ("options", "deviation"), [[1e-9, 1, 1]], [[1, 1, 0], [1, 1, -1]], "must be more than 0"),
        ("image", ("options", "fit"), ["stretch", "crop", "pad"], ["fill"], "must be one of stretch, crop, pad"),
        ("image", ("options", "background"), [0, 255], [-1, 256], "must be a whole number from 0 to 255"),
        ("image", ("fields", 0, "type"), ["image"], ["string"], "type of field 1 must be one of image, but is"),
        ("image", ("fields", 0, "required"), [True], [False], "fields must hold one field, the picture"),
        ("image", ("fields", 0, "enum"), [[]], [["AAAA"]], "fields must hold one field, the picture"),
        ("image", ("fields",), [[{"name": "a", "type": "image"}]], [[{"name": n, "type": "image"} for n in "ab"]],
         "fields must hold one field, the picture, as {name: image, type: image}"),
        ("image", ("inline",), [False], [True], "inline must be false"),
        ("tabular", ("fields", 0, "type"), ["number"], ["image"], "must be one of string, number, integer, boolean, "),
        ("tabular", ("golden", 0, "confidence"), [0, 1, 0.5], [-0.001, 1.001], "must be a number from 0 to 1"),
        ("audio", ("golden", 0, "segments", 0, "start"), [0, 1], [-0.001], "must be a number of at least 0"),
        ("audio", ("golden", 0, "segments", 0, "start"), [1], [1.001], "must be at most its end, 1"),
        ("audio", ("golden", 0, "segments", 0, "end"), [0], [-0.001], "must be a number of at least 0"),
        ("numbers", ("numbers",), [[{"name": "n"}]], [[]], "numbers must not be empty"),
        *(("numbers", ("numbers", 0, name), [LONG], [f"{LONG}x"], "at most 1000 characters")
          for name in ("name", "unit", "description")),
        ("tabular", ("labels",), [["a", "b"]], [["a"]], "labels must have at least 2 entries"),
        ("tabular", ("labels",), [["a", "b"]], [["a", "b", "b"]], "label 3 is the same as number 2: b"),
        *(("tabular", (name,), [], [[]], f"{name} must not be empty") for name in ("fields", "golden")),
        *(("audio", (name,), [], [[]], f"{name} must not be empty") for name in ("fields", "golden")),
        ("audio", ("golden", 0, "segments"), [[]], [], ""),
        ("document", ("golden", 0, "lines"), [[], ["x", LONG]], [[f"{LONG}x"]], "at most 1000 characters"),
        ("tabular", ("fields", 0, "enum"), [[], [2, 1]], [["a"]], "enum value 1 of field 1 must be a number"),
        ("tabular", ("fields", 0, "type"), ["number", "integer"], ["float", "string"], "must be "),
        ("tabular", ("output",), ["x", LONG], [f"{LONG}x"], "at most 1000 characters"),
        ("tensors", ("tensors",), [], [[]], "tensors must not be empty"),
        ("tensors", ("tensors", 0, "shape"), [[], [0], [2**31, None]], [[-1], [2**31 + 1]], "from 0 to 21474836"),
        ("tensors", ("tensors", 0, "dtype"), ["int8"], ["int7", "float"], "must be one of float16, float32, float"),
        ("tensor", ("fields", 0, "shape"), [[1], [None]], [[-1], [2**31 + 1]], "number from 0 to 2147483648"),
        ("tensor", ("fields", 0, "dtype"), ["bool"], ["bfloat16"], "must be one of float16, float32, float64"),
        ("boxes", ("boxes", "labels"), [["a", "a"]], [[]], "labels of boxes must not be empty"),
        ("boxes", ("boxes", "format"), ["xyxy", "xywh", "cxcywh", "yxyx"], ["xxyy"], "must be one of xyxy, yxyx, xywh"),
        ("boxes", ("boxes", "units"), ["pixels", "fractions"], ["metres"], "must be one of pixels, fractions"),
        ("boxes", ("boxes", "first_class"), [0, 1], [-1, 2], "must be a whole number from 0 to 1"),
        ("boxes", ("boxes", "at_least"), [0, 1], [-0.001, 1.001], "must be a number from 0 to 1"),
        ("boxes", ("boxes", "boxes"), [LONG], [f"{LONG}x", ""], "must "),
        ("boxes", ("golden", 0, "boxes"), [[]], [], ""),
        ("boxes", ("golden", 0, "boxes", 0, "label"), [], ["b"], "label of box 1 of golden example 1 must be one of a"),
        ("boxes", ("golden", 0, "boxes", 0, "confidence"), [0.5], [0.499], "must be a number from 0.5 to 1"),
        ("boxes", ("golden", 0, "boxes", 0, "box"), [[-1, 0.5, 9, 1e9]], [[0, 0, 1]], "must have at least 4 entries"),
        ("boxes", ("golden", 0, "boxes", 0, "box"), [], [[0, 0, 1, 1, 1]], "must be four numbers: left, top, right an"),
        ("tags", ("tags",), [["a"], ["a", "b"]], [[]], "tags must not be empty"),
        ("tags", ("tags",), [], [["a", "b", "b"]], "tag 3 is the same as number 2: b"),
        ("tags", ("at_least",), [0, 0.9], [-0.001, 1.001], "at_least must be a number from 0 to 1"),
        ("tags", ("golden", 0, "tags"), [{}, {"a": 0.5}, {"a": 1}], [{"a": 0.499}], "must be a number from 0.5 to 1"),
        ("tags", ("golden", 0, "tags"), [], [{"c": 0.5}], "c of tags of golden example 1 is none of the tags: a"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_value_may_be_at_its_limits_and_not_beyond(
    tmp_path: Path, kind: str, where: Where, at: list[object], beyond: list[object], says: str
) -> None:
    for value in at:
        assert said(tmp_path, changed(kind, where, value)) is None
    for value in beyond:
        assert says in str(said(tmp_path, changed(kind, where, value)))
