"""What is to be in model.yaml of a class in Python, as far as a row and what it answers to it show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from inference import schema
from inference.answers import records
from inference.drafts import answers, draft, fields, golden
from inference.drafts.draft import Draft
from inference.opened import why
from inference.plain import NotPlain, plain
from inference.python import PythonModel

TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
WHOLE = "Say its minimum and maximum; number if it need not be whole"
CLASS = "The entry point that brings the class"
INLINE = "A class in Python cannot be ended when its time is over, so each request is a job"
GOLDEN = "Clients are shown this row"
RECORD = "The JSON Schema of each, of which the type is checked; {} is for anything"


def draw(folder: Path, name: str, class_: str, row: Mapping[str, Any], begins: Callable[[str], object]) -> Draft:
    """For an installed class, with its data in a folder, and a row that it answers, of texts, numbers and booleans;
    `begins` hears of the run before it begins. Raises BundleInvalid."""
    made = [{"name": field, "type": TYPES[type(value)]} for field, value in row.items()]
    of_fields = [WHOLE if field["type"] == "integer" else fields.of_type(field["type"]) for field in made]
    says = {**draft.head(name, "python"), "options": {"class": class_}}
    opened = PythonModel(draft.bundle(folder, says, made))
    begins("the row")
    try:
        [given] = opened.given([schema.validate_inputs(opened.bundle.manifest, dict(row))])
    except (errors.InvalidInput, errors.InputRefused, errors.ModelError) as error:
        raise errors.BundleInvalid(f"{class_} cannot answer the row: {why(error)}") from error
    answered, note = _answer(class_, given)
    says = {**draft.head(name, "python"), **answered, "inline": False, "max_batch": fields.BATCH, **says}
    shown = {"inputs": dict(row)}
    example = {**shown, **golden.answered(draft.bundle(folder, says, made), shown)}
    notes = {
        "summary": draft.SUMMARY, "licence": draft.LICENCE, next(iter(answered)): note, "inline": INLINE,
        "options.class": CLASS, "golden": GOLDEN,
    }  # fmt: skip
    return Draft({**says, "fields": made, "golden": [example]}, notes, of_fields)


def _answer(class_: str, given: object) -> answers.Answer:
    """The keys of model.yaml that say what was given to a row, and the sentence beside them; raises BundleInvalid."""
    try:
        found = plain(given, records.MOST_BYTES, "its answer")
    except NotPlain as error:
        raise errors.BundleInvalid(f"{class_} gave what is no answer: {error}") from None
    if isinstance(found, str):
        return {"text": True}, answers.TEXT
    if isinstance(found, dict) and found:
        if _are_numbers(found.values()) and len(found) > 1:
            scored = answers.scores(class_, np.array([*found.values()], float), [*found])
            if scored and "labels" in scored[0] and abs(sum(found.values()) - 1) < answers.ABOUT:
                return {"labels": [*found]}, "As the class names them"
        return {"record": {name: _type(value) for name, value in found.items()}}, RECORD
    listed = found if isinstance(found, list) else [found]
    scored = answers.scores(class_, np.array(listed, float), ()) if listed and _are_numbers(listed) else None
    if scored is None:
        issue = "which is neither a number, numbers in a list, a text nor a mapping with something in it"
        raise errors.BundleInvalid(f"{class_} gave a {type(given).__name__} for a row, {issue}")
    return scored


def _are_numbers(values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def _type(value: Any) -> dict[str, Any]:
    found = [name for name, types in records.TYPES.items() if type(value) in types and value is not None]
    # A number is the first that a whole one is, too.
    return {"type": found[0]} if found else {}
