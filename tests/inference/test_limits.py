"""All keys of model.yaml with their limits, as one table; that they are kept is in `test_keys`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from inference import kinds, promise
from tests.inference.test_keys import LEAST

TEXT, SHORT, LONG = r"(?s).*\S ..1000", "..1000", "0..2147483648"
NUMBER = "(?:0|[1-9][0-9]{0,8})"
NUMBERS = "float16|float32|float64|int8|int16|int32|int64|uint8|uint16|uint32|uint64|bool|string"
FILES = "application/x-ndjson|text/csv|application/gzip|audio/wav|audio/flac|application/pdf|image/png|image/jpeg"
#: Of a list or a mapping with any names, what is in it is after a dot.
TABULAR = {
    "name": r"[a-z][a-z0-9_-]{0,62}\Z!", "version": rf"{NUMBER}\.{NUMBER}\.{NUMBER}\Z!", "kind": TEXT,
    "summary": f"{TEXT}!", "licence": f"{TEXT}!", "pool": "cpu|gpu", "max_batch": "1..4096", "units": "0..10000",
    "explanation": "0..", "explanation.": "simple|shap", "explain.method": "exact|sampled!",
    "explain.background": TEXT, "explain.groups.": "2..", "explain.groups..": TEXT, "explain.evaluations": "64..8192",
    "explain.units": "0..10000", "fields": "1..!", "fields..name": f"{TEXT}!",
    "fields..type": "string|number|integer|boolean!", "fields..description": SHORT, "fields..default": "?",
    "fields..min_length": "0..2147483647?", "fields..max_length": "0..2147483647?", "fields..minimum": "..?",
    "fields..maximum": "..?", "fields..enum": "0..", "fields..enum.": "?", "fields..input": f"{TEXT}?",
    "fields..dtype": f"{NUMBERS}?", "fields..shape": "0..?", "fields..shape.": f"{LONG}?", "labels": "2..",
    "labels.": TEXT, "threshold_field": f"{TEXT}?", "below_threshold": f"{TEXT}?", "tags": "1..", "tags.": TEXT,
    "at_least": "0..1?", "numbers": "1..", "numbers..name": f"{TEXT}!", "numbers..unit": SHORT,
    "numbers..description": SHORT, "embedding": "1..65536", "tensors": "1..", "tensors..name": f"{TEXT}!",
    "tensors..description": SHORT, "tensors..output": f"{TEXT}?", "tensors..dtype": f"{NUMBERS}!",
    "tensors..shape": "0..!", "tensors..shape.": f"{LONG}?", "boxes.labels": "1..!", "boxes.labels.": TEXT,
    "boxes.boxes": f"{TEXT}?", "boxes.scores": f"{TEXT}?", "boxes.classes": f"{TEXT}?", "boxes.selected": f"{TEXT}?",
    "boxes.count": f"{TEXT}?", "boxes.format": "xyxy|yxyx|xywh|cxcywh", "boxes.units": "pixels|fractions",
    "boxes.first_class": "0..1", "boxes.at_least": "0..1", "output": f"{TEXT}?", "golden": "1..!",
    "golden..inputs": "!", "golden..prediction": f"{TEXT}!", "golden..confidence": "0..1!",
}  # fmt: skip
#: Of other kinds and answers, what they have besides, or otherwise.
MORE: Mapping[str, Mapping[str, str]] = {
    "numbers": {"golden..prediction": "?"},
    "tags": {"golden..tags": "!"},
    "a text": {"golden..text": "!"},
    "tensors": {"golden..tensors": "!"},
    "boxes": {
        "golden..boxes": "0..!", "golden..boxes..label": f"{TEXT}!", "golden..boxes..confidence": "0..1!",
        "golden..boxes..box": "4..!", "golden..boxes..box.": "..",
    },
    "tensor": {"fields..type": "tensor!"},
    "text": {"options.field": TEXT},
    "tokens": {"options.field": TEXT, "options.max_tokens": "1..1048576"},
    "image": {
        "fields..type": "image!", "golden..file": f"{TEXT}!", "options.size": "2..", "options.size.": "1..4096",
        "options.layout": "NCHW|NHWC", "options.channels": "RGB|BGR|L", "options.scale": "..", "options.mean": "0..",
        "options.mean.": "..", "options.deviation": "0..", "options.deviation.": "..",
        "options.fit": "stretch|crop|pad", "options.background": "0..255",
    },
    "audio": {
        "golden..file": f"{TEXT}!", "golden..segments": "0..!", "golden..segments..start": "0..!",
        "golden..segments..end": "0..!",
    },
    "document": {
        "golden..file": f"{TEXT}!", "golden..lines": "0..!", "golden..lines.": TEXT, "options": "!",
        "options.max_pages": "1..2147483648!", "options.max_pixels": "1..2147483648!",
    },
    "python": {"options": "!", "options.class": f"{TEXT}!"},
    "python-file": {
        "fields": "0..", "golden..file": f"{TEXT}!", "golden..record": "!", "golden..files": "0..",
        "golden..files.": TEXT, "options": "!", "options.class": f"{TEXT}!", "options.takes": "1..!",
        "options.takes.": f"{FILES}|image/tiff",
    },
}  # fmt: skip


def judged(key: fields.Field[Any]) -> str:
    """By which rules a value is, and whether it must be there (!) or may be null (?)."""
    found = []
    for rule in key.validators:
        for each in rule.validators if isinstance(rule, validate.And) else [rule]:
            match each:
                case validate.Range() | validate.Length():
                    least, most = ("" if end is None else end for end in (each.min, each.max))
                    found.append(f"{least}..{most}")
                case validate.OneOf():
                    found.append("|".join(each.choices))
                case validate.Regexp():
                    found.append(str(each.regex.pattern))
    return "".join([" ".join(found), "!" if key.required else "", "?" if key.allow_none else ""])


def limits(keys: Mapping[str, fields.Field[Any]], at: str = "") -> Iterator[tuple[str, str]]:
    for name, key in keys.items():
        where, inside = f"{at}{name}", key
        yield where, judged(inside)
        while isinstance(inside, fields.List) or (isinstance(inside, fields.Dict) and inside.value_field):
            where, inside = f"{where}.", inside.inner if isinstance(inside, fields.List) else inside.value_field
            yield where, judged(inside)
        if isinstance(inside, fields.Nested) and isinstance(inside.schema, ma.Schema):
            yield from limits(inside.schema.fields, f"{where}.")


def of(case: str) -> dict[str, str]:
    """Those that are not any value that may be left out."""
    schema = promise._schema(kinds.find(LEAST[case]["kind"]), LEAST[case])
    return {where: rule for where, rule in limits(schema.fields) if rule}


def test_every_key_has_its_limits() -> None:
    assert of("tabular") == TABULAR
    for case, more in MORE.items():
        found = of(case)
        assert {where: rule for where, rule in found.items() if TABULAR.get(where) != rule} == more, case
