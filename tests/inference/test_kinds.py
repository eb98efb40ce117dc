"""When an answer is the one that a golden example promises, kind by kind, at its tolerance and beyond; and what holds
between the keys of a manifest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import errors
from inference import kinds, promise, rules
from inference.manifest import Golden, Manifest
from inference.output import Label
from tests import graphs
from tests.conftest import ROOT


def example(**answer: Any) -> Golden:
    return Golden.from_dict({"inputs": {}, **answer})


@pytest.mark.parametrize("kind", ["tabular", "text", "tokens"])
@pytest.mark.parametrize(
    ("label", "confidence", "right"),
    [
        ("a", 0.5, True), ("a", 0.5199, True), ("a", 0.4801, True), ("a", 0.5201, False), ("a", 0.4799, False),
        ("b", 0.5, False),
    ],
)  # fmt: skip
def test_a_row_is_answered_right_by_its_label_and_almost_its_confidence(
    kind: str, label: str, confidence: float, right: bool
) -> None:
    missed = kinds.find(kind).missed(example(prediction="a", confidence=0.5), Label(label, confidence, {}))
    assert missed == (None if right else f"must give a 0.5, but gives {label} {confidence}")


PLAIN = [(1.0, 2.0), (3.0, 4.0)]


def spoken(edges: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"start": start, "end": end} for start, end in edges]


@pytest.mark.parametrize(
    ("edges", "right"),
    [
        (PLAIN, True), (PLAIN[:1], False), ([*PLAIN, (5, 6)], False), ([], False),
        *(([*PLAIN[:place], edge, *PLAIN[place + 1 :]], right)
          for place, (start, end) in enumerate(PLAIN)
          for by, right in ((0.099, True), (-0.099, True), (0.101, False), (-0.101, False))
          for edge in ((start + by, end), (start, end + by))),
    ],
)  # fmt: skip
def test_a_recording_is_answered_right_by_almost_the_edges_of_all_its_segments(
    edges: list[tuple[float, float]], right: bool
) -> None:
    wanted, found = spoken(PLAIN), spoken(edges)
    missed = kinds.find("audio").missed(example(file="f", segments=wanted), {"segments": found})
    assert missed == (None if right else f"must give {wanted}, but gives {found}")


@pytest.mark.parametrize(
    ("pages", "right"),
    [([["a", "b"]], True), ([["a"], ["b"]], True), ([["b", "a"]], False), ([["a"]], False), ([["a", "b", "c"]], False)],
)
def test_a_document_is_answered_right_by_the_lines_of_all_its_pages_in_order(
    pages: list[list[str]], right: bool
) -> None:
    found = {"pages": [{"lines": [{"text": text} for text in page]} for page in pages]}
    missed = kinds.find("document").missed(example(file="f", lines=["a", "b"]), found)
    read = [text for page in pages for text in page]
    assert missed == (None if right else f"must give ['a', 'b'], but gives {read}")


ORDER = "; all are as sure as they should be, but it gives {}: put labels in the order of the graph's outputs"


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        ([("a", "b", 0.0), ("b", "a", 0.0)], ORDER.format("a where b is right, b where a is right")),
        ([("a", "b", 0.0), ("b", "c", 0.019), ("c", "a", 0)], ORDER.format(
            "a where b is right, b where c is right, c where a is right")),
        ([("a", "b", 0.0), ("b", "a", 0.0), ("c", "c", 0.0)], ORDER.format("a where b is right, b where a is right")),
        ([("a", "b", 0.021), ("b", "a", 0.0)], ""),
        ([("a", "b", 0.0), ("b", "a", -0.021)], ""),
        # One label for two that are right, and two for one.
        ([("a", "b", 0.0), ("a", "c", 0.0)], ""),
        ([("a", "c", 0.0), ("b", "c", 0.0)], ""),
    ],
)  # fmt: skip
def test_labels_in_another_order_are_told_where_every_example_speaks_for_it(
    answered: list[tuple[str, str, float]], says: str
) -> None:
    each = [(example(prediction=right, confidence=0.7), Label(given, 0.7 + off, {})) for given, right, off in answered]
    assert kinds.find("tabular").hint(each) == says


def test_kinds_that_take_files_have_no_hint() -> None:
    assert [kinds.find(name).hint([]) for name in ("audio", "document")] == ["", ""]


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("tabular", ()), ("text", ()), ("tokens", ()), ("audio", ("audio/wav", "audio/flac")),
        ("document", ("application/pdf", "image/png", "image/jpeg", "image/tiff")),
    ],
)  # fmt: skip
def test_what_files_a_kind_takes(kind: str, types: tuple[str, ...]) -> None:
    assert kinds.find(kind).content_types == types


def said(folder: Path, manifest: object) -> list[str]:
    """The sentences by which it is refused."""
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    try:
        promise.load(folder)
    except errors.BundleInvalid as error:
        lines = error.message.removeprefix(f"{folder / 'model.yaml'}:").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return []


NUMBERS = {"number", "integer"}


@pytest.mark.parametrize(
    ("limit", "types", "are_for"),
    [
        ("min_length", {"string"}, "a string"), ("max_length", {"string"}, "a string"),
        ("minimum", NUMBERS, "a number or an integer"), ("maximum", NUMBERS, "a number or an integer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("type_", ["string", "number", "integer", "boolean"])
@pytest.mark.parametrize("value", [0, 3])
def test_a_limit_is_for_fields_of_its_types(
    tmp_path: Path, limit: str, types: set[str], are_for: str, type_: str, value: int
) -> None:
    named = [{"name": "text", "type": "string"}, {"name": "x", "type": type_, "required": False, limit: value}]
    golden = [{"inputs": {"text": "a"}, "prediction": "a", "confidence": 1}]
    found = said(tmp_path, graphs.manifest(kind="text", fields=named, golden=golden))
    is_a = "an integer" if type_ == "integer" else f"a {type_}"
    issue = f"{limit} of field 2 (x) is for {are_for}, and the field is {is_a}"
    assert found == ([] if type_ in types else [issue])


@pytest.mark.parametrize(
    ("type_", "least", "most"), [("string", "min_length", "max_length"), ("number", "minimum", "maximum")]
)
@pytest.mark.parametrize(
    ("low", "high", "right"), [(2, 3, True), (3, 3, True), (4, 3, False), (0, 0, True), (1, 0, False)]
)
def test_the_lower_limit_is_at_most_the_upper_one(
    tmp_path: Path, type_: str, least: str, most: str, low: int, high: int, right: bool
) -> None:
    field = {"name": "x", "type": type_, "required": False, least: low, most: high}
    golden = [{"inputs": {"text": "a"}, "prediction": "a", "confidence": 1}]
    named = [{"name": "text", "type": "string"}, field]
    found = said(tmp_path, graphs.manifest(kind="text", fields=named, golden=golden))
    issue = f"{least} of field 2 (x) must be at most {most}, {high}, but is the number {low}"
    assert [sentence.replace(".0", "") for sentence in found] == ([] if right else [issue])


MISSING = "is missing: threshold_field and below_threshold go together"
NAMED = "threshold_field must name a number that is required or has a default"


@pytest.mark.parametrize(
    ("field", "says", "issues"),
    [
        ({}, {}, []),
        ({}, {"threshold_field": "z"}, [f"below_threshold {MISSING}"]),
        ({}, {"below_threshold": "u"}, [f"threshold_field {MISSING}"]),
        ({}, {"threshold_field": "z", "below_threshold": "u"}, []),
        ({"type": "integer"}, {"threshold_field": "z", "below_threshold": "u"}, []),
        ({"required": False, "default": 0}, {"threshold_field": "z", "below_threshold": "u"}, []),
        ({"required": False}, {"threshold_field": "z", "below_threshold": "u"}, [NAMED]),
        ({"type": "boolean"}, {"threshold_field": "z", "below_threshold": "u"}, [NAMED]),
        ({}, {"threshold_field": "v", "below_threshold": "u"},
         ["threshold_field must be one of the fields: x, y, z, but is the text 'v'"]),
    ],
)  # fmt: skip
def test_a_threshold_is_a_number_that_every_input_has_with_a_word_for_what_is_below_it(
    tmp_path: Path, field: dict[str, Any], says: dict[str, Any], issues: list[str]
) -> None:
    named = [*graphs.FIELDS, {"name": "z", "type": "number", **field}]
    golden = copy.deepcopy(graphs.manifest()["golden"])
    for each in golden:
        each["inputs"]["z"] = True if field.get("type") == "boolean" else 0
    assert said(tmp_path, graphs.manifest(fields=named, golden=golden, **says)) == issues


@pytest.mark.parametrize(
    ("prediction", "says", "right"),
    [
        ("a", {}, True), ("b", {}, True), ("u", {}, False),
        ("u", {"threshold_field": "x", "below_threshold": "u"}, True),
        ("c", {"threshold_field": "x", "below_threshold": "u"}, False),
    ],
)  # fmt: skip
def test_an_example_is_answered_by_a_label_or_the_word_for_less(
    tmp_path: Path, prediction: str, says: dict[str, Any], right: bool
) -> None:
    golden = [{**graphs.manifest()["golden"][0], "prediction": prediction}]
    issue = f"prediction of golden example 1 must be one of: a, b, but is the text '{prediction}'"
    assert said(tmp_path, graphs.manifest(golden=golden, **says)) == ([] if right else [issue])


@pytest.mark.parametrize(("pool", "inline", "right"), [
    ("cpu", True, True), ("cpu", False, True), ("gpu", True, False), ("gpu", False, True),
])  # fmt: skip
def test_the_api_answers_on_its_own_cpu_only(tmp_path: Path, pool: str, inline: bool, right: bool) -> None:
    issue = "inline must be false: the API answers rows without files in them, and on its own CPU, but is true"
    assert said(tmp_path, graphs.manifest(pool=pool, inline=inline)) == ([] if right else [issue])


@pytest.mark.parametrize(("cache", "right"), [(True, False), (False, True)])
def test_answers_to_files_are_not_kept(tmp_path: Path, cache: bool, right: bool) -> None:
    speech = yaml.safe_load((ROOT / "bundles" / "speech" / "model.yaml").read_text())
    issue = "cache must be false: answers to rows are kept, and it takes a file, but is true"
    assert said(tmp_path, {**speech, "cache": cache}) == ([] if right else [issue])


@pytest.mark.parametrize(
    ("field", "options", "right"),
    [
        ({}, {}, True), ({"type": "number"}, {}, False), ({"required": False}, {}, False),
        ({"required": False, "default": "a"}, {}, True), ({"name": "other"}, {}, False),
        ({"name": "other"}, {"field": "other"}, True), ({}, {"field": "other"}, False),
    ],
)  # fmt: skip
def test_a_kind_of_texts_has_a_string_in_every_input_by_the_name_that_it_reads(
    tmp_path: Path, field: dict[str, Any], options: dict[str, str], right: bool
) -> None:
    named = {"name": "text", "type": "string", **field}
    value = 1 if named["type"] == "number" else "a"
    golden = [{"inputs": {named["name"]: value}, "prediction": "a", "confidence": 1}]
    found = said(tmp_path, graphs.manifest(kind="text", fields=[named], golden=golden, options=options))
    needs = f"fields must have a string '{options.get('field', 'text')}', required or with a default: text reads that"
    assert [sentence.startswith(needs) for sentence in found] == ([] if right else [True])


@pytest.mark.parametrize(("type_", "is_a"), [("image", "an image"), ("tensor", "a tensor"), ("integer", "an integer")])
def test_what_a_limit_is_not_for_is_named_as_one_says_it(type_: str, is_a: str) -> None:
    raw = {"name": "n", "version": "1.0.0", "kind": "tensor", "summary": "", "licence": "", "golden": []}
    found = rules.broken(Manifest.from_dict({**raw, "fields": [{"name": "x", "type": type_, "max_length": 3}]}))
    assert f"is for a string, and the field is {is_a}" in [fault.issue for fault in found]
