"""Mistakes that people make in a model.yaml of their own: each is a sentence that names what is wanted, and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core import errors
from inference import bundle
from tests import graphs

TEXT = yaml.safe_dump(graphs.manifest(), sort_keys=False)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("- a\n- b", "- 0\n- 1", "label 2 must be a text, but is the number 1; put it in quotes"),
        ("- a\n- b", "- no\n- yes", "label 1 must be a text, but is false; YAML reads yes, no, on and off as"),
        ("- a\n- b", "- b\n- b", "label 2 is the same as number 1: b"),
        ("- a\n- b", "- a", "labels must have at least 2 entries"),
        ("- a\n- b", "", "labels must not be empty"),
        ("labels:\n- a\n- b", "labels: a", "labels must be a list, but is the text 'a'; write [a]"),
        ("labels:\n- a\n- b", "labels: ['', b]", "label 1 must not be blank"),
        ("name: x", "name: on", "name of field 1 must be a text, but is true; YAML reads yes, no, on and off as"),
        ("name: x", "name: 1", "name of field 1 must be a text, but is the number 1; put it in quotes"),
        ("name: y", "name: x", "field 2 (x) is the same as number 1: x"),
        ("    x: 2", "    on: 2", "line 17: 'on' is no text as a key; put it in quotes"),
        ("type: number", "typ: number", "typ of field 1 (x) is unknown; did you mean type?"),
        (
            "type: number",
            "type: int",
            "type of field 1 (x) must be one of string, number, integer, boolean, but is the",
        ),
        (
            "type: number",
            "type: number\n  minimum: 1e-3",
            "(x) must be a number, but is the text '1e-3'; YAML takes it",
        ),
        ("type: number", "type: number\n  minimum: 1e-3", "for a text: write 0.001"),
        ("type: number", "type: number\n  minimum: 1e-30", "write 1.0e-30"),
        ("type: number", "type: number\n  minimum: .inf", "must be a finite number, but is the number inf"),
        ("type: number", "type: number\n  minimum: 1:30", "'1:30' would be read to the base of 60"),
        ("type: number", f"type: number\n  minimum: {'1:' * 200}1.0", "looks like a date or a number, but is none"),
        ("type: number", "type: number\n  minimum: 010", "'010' would be read to the base of 60, or of 8"),
        (
            "type: number",
            "type: number\n  minimum: 3\n  maximum: 2",
            "minimum of field 1 (x) must be at most maximum, 2",
        ),
        (
            "type: number",
            "type: number\n  max_length: 3",
            "max_length of field 1 (x) is for a string, and the field is",
        ),
        ("type: number", "type: integer\n  max_length: 3", "(x) is for a string, and the field is an integer"),
        (
            "type: number",
            "type: boolean\n  minimum: 3",
            "is for a number or an integer, and the field is a boolean",
        ),
        (
            "type: number",
            f"type: number\n  description: {'x' * 1001}",
            "description of field 1 (x) must have at most 1000 characters",
        ),
        ("type: number", "type: number\n  default: 1", "default of field 1 (x) is never used"),
        ("type: number", "type: number\n  required: false\n  default: 1e-3", "default of field 1 (x) must be a number"),
        *(
            (
                "type: number",
                f"type: number\n  required: false\n  default: {default}",
                f"must be a number, but is {shown}",
            )
            for default, shown in (
                ("two", "the text 'two'"),
                ("yes", "true"),
                ("[1]", "a list"),
                ("{a: 1}", "a mapping"),
            )
        ),
        ("type: number", "type: number\n  enum: [1, two]", "enum value 2 of field 1 (x) must be a number, but is the"),
        ("type: number", "type: number\n  enum:", "enum of field 1 (x) must not be empty"),
        ("type: number", "type: string", "x of inputs of golden example 1 must be a string, but is the number 2"),
        ("Which is larger?", "5", "summary must be a text, but is the number 5; put it in quotes"),
        ("Which is larger?", "2026-01-01", "summary must be a text, but is the date 2026-01-01; put it in quotes"),
        ("Which is larger?", "2026-99-99", "'2026-99-99' looks like a date or a number, but is none"),
        ("Which is larger?", "this: that", "line 4: mapping values are not allowed here: put a text with a colon in"),
        ("Which is larger?", "{text: Which?}", "line 4: expected ',' or '}', but got '?': between braces, put a text"),
        ("Which is larger?", "' '", "summary must not be blank"),
        ("summary:", "\tsummary:", "indent with spaces"),
        ("name: small", "name: My Model", "name must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter, but is"),
        ("1.0.0", "1.0", "version must be three numbers with points between them, like 1.0.0, but is the number 1.0"),
        ("1.0.0", "v1.0.0", "like 1.0.0, but is the text 'v1.0.0'"),
        ("1.0.0", "1.0.٣", "version must be three numbers"),
        (
            "tabular",
            "tabullar",
            "kind must be one of tabular, text, tokens, tensor, image, audio, document, python, python-file, but",
        ),
        ("kind: tabular\n", "", "kind is missing; it must be one of tabular"),
        ("kind: tabular", "knd: tabular", "knd is unknown; did you mean kind?"),
        ("kind: tabular", "Kinds: tabullar", "Kinds is unknown; did you mean kind?"),
        ("kind: tabular", "type: tabular", "type is unknown; did you mean kind?"),
        ("kind: tabular", "kind: regression", "'regression'; write tabular, and numbers in place of labels"),
        ("kind: tabular", "kind: classifier", "'classifier'; write tabular, or text for one text a row"),
        (
            "labels:\n- a\n- b\n",
            "",
            "labels is missing: one for each score that the graph gives, in its order; where it gives",
        ),
        ("type: number", "type: float", "but is the text 'float'; write number"),
        ("type: number", "type: int", "but is the text 'int'; write integer"),
        ("type: number", "type: str", "but is the text 'str'; write string"),
        ("type: number", "type: bool", "but is the text 'bool'; write boolean"),
        (
            "kind: tabular",
            "kind: text",
            "fields must have a string 'text', required or with a default: text reads that one",
        ),
        ("kind: tabular", "kind: tabular\nkind: text", "line 4: 'kind' is there twice"),
        ("kind: tabular", "kind: tabular\noptions: {max_token: 3}", "max_token of options is unknown"),
        ("inline: true", "inlne: true", "inlne is unknown; did you mean inline?"),
        ("inline: true", "inline: 'yes'", "inline must be true or false, but is the text 'yes'"),
        ("inline: true", "pool: gpu\ninline: true", "inline must be false"),
        ("inline: true", "max_batch: 0", "max_batch must be a whole number from 1 to 4096, but is the number 0"),
        ("inline: true", "max_batch: 8.0", "max_batch must be a whole number, but is the number 8.0"),
        ("inline: true", "units: 2147483647", "units must be a whole number from 0 to 10000"),
        ("inline: true", "explanation: simple", "explanation must be a list, but is the text 'simple'; write [simple]"),
        ("inline: true", "license: MIT", "license is the same as licence; say one of them"),
        ("inline: true", "threshold_field: x", "below_threshold is missing: threshold_field and below_threshold go"),
        (
            "inline: true",
            "threshold_field: z\nbelow_threshold: u",
            "threshold_field must be one of the fields: x, y, but",
        ),
        (
            "type: number\n- name: y",
            "type: number\n  required: false\n- name: y\nthreshold_field: x\nbelow_threshold: u",
            "",
        ),
        ("prediction: a", "prediction: c", "prediction of golden example 1 must be one of: a, b, but is the text 'c'"),
        ("prediction: a", "prediction: no", "prediction of golden example 1 must be a text, but is false"),
        (
            "confidence: 0.731059",
            "confidence: 7e-1",
            "confidence of golden example 1 must be a number, but is the text",
        ),
        ("confidence: 0.731059", "confidence: 73", "confidence of golden example 1 must be a number from 0 to 1"),
        ("    x: 2\n", "", "x of inputs of golden example 1 is required"),
        ("    x: 2", "    x: 2,5", "x of inputs of golden example 1 must be a number, but is the text '2,5'"),
    ],
)
def test_a_mistake_in_the_manifest_is_a_sentence(tmp_path: Path, old: str, new: str, says: str) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    assert old in TEXT
    (folder / "model.yaml").write_text(TEXT.replace(old, new))
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    assert str(folder / "model.yaml") in caught.value.message
    assert says in " ".join(caught.value.message.split())


def test_a_mistake_that_no_fix_is_known_for_ends_with_what_it_is(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    (folder / "model.yaml").write_text("name: a\nname: b")
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    assert caught.value.message == f"{folder / 'model.yaml'} cannot be read, line 2: 'name' is there twice"


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle", name=5, summary=None, labels="a", inline="no")
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    said = sorted(line.split()[0] for line in caught.value.message.splitlines()[1:])
    assert said == ["inline", "labels", "name", "summary"]


@pytest.mark.parametrize(
    ("old", "new"), [("\nfields:", "\nfeilds:"), ("golden:", "goldn:"), ("labels:", "Labels:"),
                     ("name: small", "nam: small"), ("prediction: a", "predicton: a")],
)  # fmt: skip
def test_a_misspelt_key_is_one_sentence_and_not_missing_as_well(tmp_path: Path, old: str, new: str) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    text = f"\n{TEXT}"
    assert old in text
    (folder / "model.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    (sentence,) = caught.value.message.splitlines()
    right = old.strip().partition(":")[0]
    assert sentence.endswith(f"is unknown; did you mean {right}?")


def test_a_threshold_that_may_be_left_out_is_refused(tmp_path: Path) -> None:
    fields = [graphs.FIELDS[0], {**graphs.FIELDS[1], "required": False}]
    says: dict[str, Any] = {"fields": fields, "threshold_field": "y", "below_threshold": "unsure"}
    with pytest.raises(errors.BundleInvalid, match="must name a number that is required or has a default"):
        bundle.load(graphs.bundle(tmp_path / "bundle", **says))


def test_either_spelling_of_licence_will_do(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle", licence=None, license="MIT")
    assert bundle.load(folder).manifest.licence == "MIT"
