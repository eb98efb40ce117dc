"""A manifest as it is kept with a version: releases that know less of it read what they know."""

from __future__ import annotations

from typing import Any

from inference.manifest import Manifest
from tests import graphs

FIELD: dict[str, Any] = {"name": "x", "type": "number"}
OLD_FIELD: dict[str, Any] = {
    **FIELD, "description": "", "required": True, "default": None, "min_length": None, "max_length": None,
    "minimum": None, "maximum": None, "enum": (),
}  # fmt: skip
GOLDEN: list[dict[str, Any]] = [
    {"inputs": {"x": 2}, "prediction": "a", "confidence": 1.0},
    {"inputs": {}, "file": "f.png", "prediction": "b", "confidence": 0.5},
]
OLD: dict[str, Any] = {
    "name": "small", "version": "1.0.0", "kind": "tabular", "summary": "Which?", "licence": "MIT", "golden": GOLDEN,
    "labels": ("a", "b"), "pool": "cpu", "inline": False, "max_batch": 32, "units": 1, "explanation": (),
    "threshold_field": None, "below_threshold": None, "options": {}, "fields": [OLD_FIELD],
}  # fmt: skip
LEAST: dict[str, Any] = {
    **{key: OLD[key] for key in ("name", "version", "kind", "summary", "licence", "golden", "labels")},
    "fields": [FIELD],
}  # fmt: skip
#: What releases have come to know since, each with something to say, as it is written and as it is kept.
NEW: dict[str, tuple[Any, Any]] = {
    "numbers": ([{"name": "n", "unit": "m"}], ({"name": "n", "unit": "m", "description": ""},)),
    "embedding": (3, 3), "output": ("o", "o"), "tags": (["a"], ("a",)), "at_least": (0.25, 0.25), "text": (True, True),
    "tensors": (
        [{"name": "t", "dtype": "int8", "shape": [None, 2]}],
        ({"name": "t", "dtype": "int8", "shape": (None, 2), "description": "", "output": None},),
    ),
    "record": ({"a": {}}, {"a": {}}),
    "boxes": (
        {"labels": ["a"], "scores": "s"},
        {
            "labels": ("a",), "boxes": None, "scores": "s", "classes": None, "selected": None, "count": None,
            "format": "xyxy", "units": "pixels", "first_class": 0, "at_least": 0.5,
        },
    ),
    "explain": (
        {"method": "exact", "groups": {"g": ["x", "y"]}},
        {"method": "exact", "background": None, "groups": {"g": ("x", "y")}, "evaluations": 512, "units": 1},
    ),
    "cache": (False, False),
}  # fmt: skip
NEW_IN_FIELDS: dict[str, tuple[Any, Any]] = {
    "input": ("i", "i"), "dtype": ("int8", "int8"), "shape": ([2, None], (2, None))
}  # fmt: skip


def test_what_says_nothing_new_is_kept_in_the_words_of_old_releases() -> None:
    assert Manifest.from_dict(LEAST).to_dict() == OLD
    assert Manifest.from_dict(OLD).to_dict() == OLD


def test_what_says_something_new_is_kept_with_that_alone() -> None:
    for key, (written, kept) in NEW.items():
        found = Manifest.from_dict({**LEAST, key: written})
        assert found.to_dict() == {**OLD, key: kept}
        assert Manifest.from_dict(found.to_dict()).to_dict() == found.to_dict()
    for key, (written, kept) in NEW_IN_FIELDS.items():
        found = Manifest.from_dict({**LEAST, "fields": [{**FIELD, key: written}]})
        assert found.to_dict() == {**OLD, "fields": [{**OLD_FIELD, key: kept}]}


def test_reasons_cost_their_own_units_and_only_many_questions_are_a_job_of_their_own() -> None:
    def explained(**says: Any) -> Manifest:
        return Manifest.from_dict(graphs.manifest(units=3, **says))

    plain = explained()
    asked = explained(explain={"method": "sampled", "units": 4})
    exact = explained(explain={"method": "exact"})
    assert [(item.cost("simple"), item.cost("shap")) for item in (plain, asked, exact)] == [(3, 3), (3, 7), (3, 4)]
    assert [item.asked_apart("shap") for item in (plain, asked, exact)] == [False, True, False]
    assert not asked.asked_apart("simple")


def test_what_a_model_takes_is_its_kinds_matter_and_of_one_that_is_not_installed_nobody_knows_more() -> None:
    def of(kind: str, **says: Any) -> tuple[tuple[str, ...], bool, bool]:
        found = Manifest.from_dict(graphs.manifest(kind=kind, **says))
        return found.file_types, found.takes_file, found.takes_rows

    pictures = ("image/png", "image/jpeg", "image/webp")
    assert of("tabular") == of("tensor") == of("python") == ((), False, True)
    assert of("image") == (pictures, True, True)
    assert of("audio") == (("audio/wav", "audio/flac"), True, False)
    assert of("document") == (("application/pdf", "image/png", "image/jpeg", "image/tiff"), True, False)
    assert of("python-file", options={"takes": ["text/csv"]}) == (("text/csv",), True, False)
    assert of("nobody-knows") == ((), False, True)
    for kind in ("nobody-knows", "audio", "document"):
        assert Manifest.from_dict(graphs.manifest(kind=kind)).output_schema == {"type": "object"}


def test_rows_share_runs_where_there_may_be_two() -> None:
    sizes = {most: Manifest.from_dict(graphs.manifest(max_batch=most)).shares_runs for most in (1, 2, 32)}
    assert sizes == {1: False, 2: True, 32: True}
