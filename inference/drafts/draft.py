"""What is to be in model.yaml, as far as the graph says it and one row shows it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from core import errors
from inference import kinds, model, schema
from inference.answers import by
from inference.bundle import Bundle
from inference.drafts import answers, fields
from inference.drafts.convert import Converted
from inference.kinds.rows import RowKind
from inference.manifest import Manifest
from inference.opened import said

#: What stands for every number of a row that is made up: the first that the graph has a finite answer to.
TRIED = (1, 0)
TEXT = "an example"
#: So quick a row is no job of its own.
INLINE_S = 0.05
SUMMARY = "Say in one sentence what it answers: people see it in lists"
LICENCE = "Say its licence, such as Apache-2.0 or MIT: clients see it"
GOLDEN = "Put a real row here, and what it is to be answered: this one is made up, and clients are shown it"


@dataclass(frozen=True)
class Draft:
    """What model.yaml is to say, in its order, and the sentences for a person: by key, and for each field."""

    says: Mapping[str, Any]
    notes: Mapping[str, str]
    of_fields: Sequence[str]

    def saying(self, **other: Any) -> Draft:
        """The same with other values of these keys, in their places."""
        return dataclasses.replace(self, says={**self.says, **other})


def draw(folder: Path, name: str, known: Converted) -> Draft:
    """For the `model.onnx` in a folder; raises BundleInvalid saying why there can be none."""
    path = folder / "model.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    graph = model.session(path, options, (model.CPU,))
    takes = graph.get_inputs()
    kind = fields.kind_of(path, takes)
    made, of_fields = fields.fields_of(path, kind, takes, known)
    says: dict[str, Any] = {
        "name": name, "version": "1.0.0", "kind": kind, "summary": f"What {name} answers", "licence": "unknown",
        "fields": made, "golden": [],
    }  # fmt: skip
    row, given, took_s = _answered(Bundle(folder, Manifest.from_dict(says), ""), graph)
    answer, note = answers.answer(path, graph.get_outputs(), given, known.labels)
    one = takes[0].shape[:1] == [1]
    says |= {**answer, "inline": took_s < INLINE_S, "max_batch": 1 if one else 32}
    golden = {"inputs": row, **_golden(folder, says, row)}
    says = {key: value for key, value in says.items() if key not in ("fields", "golden")}
    notes = {
        "summary": SUMMARY, "licence": LICENCE, next(iter(answer)): note, "golden": GOLDEN,
        "inline": f"A row took {1000 * took_s:.1f} ms here: true is answered at once by /predict, false is a job",
    }  # fmt: skip
    if kind == "text":
        notes["kind"] = "One free text a row; where it is a category, write tabular"
    return Draft({**says, "fields": made, "golden": [golden]}, notes, of_fields)


def _answered(bundle: Bundle, graph: onnxruntime.InferenceSession) -> tuple[dict[str, Any], list[Any], float]:
    """A row, what the graph gave to it and how many seconds that took; raises BundleInvalid where it answers none."""
    kind = cast("RowKind", kinds.find(bundle.manifest.kind))
    [path] = bundle.graphs
    if missing := [name for name in kind.files if not (bundle.folder / name).exists()]:
        raise errors.BundleInvalid(f"{path} is for {bundle.manifest.kind}, which need {missing[0]}: put it beside")
    try:
        encoder = kind.encoder(bundle, graph.get_inputs())
    # What reads a tokenizer raises nothing better.
    except Exception as error:
        raise errors.BundleInvalid(f"{path} cannot be handed rows: {said(error)}") from error
    why = "It gives a number that is not finite"
    for number in TRIED:
        row = {field.name: _value(field.type, field.enum, number) for field in bundle.manifest.fields}
        inputs = encoder.encode([schema.validate_inputs(bundle.manifest, row)])
        try:
            _run(graph, inputs)
            began = time.perf_counter()
            given = _run(graph, inputs)
        except errors.ModelError as error:
            why = f"ONNX Runtime says: {error.message}"
            continue
        took_s = time.perf_counter() - began
        if all(np.isfinite(value).all() for value in given if getattr(value, "dtype", np.dtype(str)).kind == "f"):
            return row, given, took_s
    raise errors.BundleInvalid(f"{path} has no answer to a row of ones, nor to one of zeros. {why}")


def _run(graph: onnxruntime.InferenceSession, inputs: Mapping[str, Any]) -> list[Any]:
    """All that it gives; raises ModelError with what ONNX Runtime says."""
    try:
        return list(graph.run(None, dict(inputs)))
    except Exception as error:
        raise errors.ModelError(said(error)) from error


def _value(type_: str, enum: Sequence[Any], number: int) -> Any:
    if enum:
        return enum[0]
    return {"string": TEXT, "boolean": bool(number)}.get(type_, number)


def _golden(folder: Path, says: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the model really answers, as a golden example says it."""
    opened = cast("model.Model", model.open_model(Bundle(folder, Manifest.from_dict(says), "")))
    [found] = opened.predict([schema.validate_inputs(opened.bundle.manifest, dict(row))])
    return by(found).golden(found)
