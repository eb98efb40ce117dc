"""What is to be in model.yaml, as far as the graph says it and one row shows it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from core import errors
from inference import answers, kinds, model, schema
from inference.bundle import Bundle
from inference.drafts import examples, fields
from inference.drafts.answers import answer, has_rows
from inference.drafts.convert import Converted
from inference.kinds.rows import RowKind
from inference.manifest import Golden, Manifest
from inference.opened import said, why

#: So quick a row is no job of its own.
INLINE_S = 0.05
SUMMARY = "Say in one sentence what it answers: people see it in lists"
LICENCE = "Say its licence, such as Apache-2.0 or MIT: clients see it"
GOLDEN = "Put a real row here, and what it is to be answered: this one is made up, and clients are shown it"
PICTURES = "Pictures are decoded by workers: each request is a job"


@dataclass(frozen=True)
class Draft:
    """What model.yaml is to say, in its order, and the sentences for a person: by key, those of options as
    `options.size`, and for each field."""

    says: Mapping[str, Any]
    notes: Mapping[str, str]
    of_fields: Sequence[str]

    def saying(self, **other: Any) -> Draft:
        """The same with other values of these keys, in their places."""
        return dataclasses.replace(self, says={**self.says, **other})


def head(name: str, kind: str) -> dict[str, Any]:
    """What every model.yaml begins with."""
    return {"name": name, "version": "1.0.0", "kind": kind, "summary": f"What {name} answers", "licence": "unknown"}


def draw(folder: Path, name: str, known: Converted, begins: Callable[[str], object]) -> Draft:
    """For the `model.onnx` in a folder, where a golden picture is put as well; `begins` hears of every run before it
    begins. Raises BundleInvalid saying why there can be none."""
    path = folder / "model.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    graph = model.session(path, options, (model.CPU,))
    takes = fields.taken(path, graph.get_inputs(), known)
    says = {**head(name, takes.kind), "max_batch": takes.max_batch}
    if takes.options:
        says["options"] = takes.options
    shown, given, took_s = _answered(bundle(folder, says, takes.fields), graph, begins)
    gives, pictures = graph.get_outputs(), takes.kind == "image"
    any_size = any(None in field.get("shape", ()) for field in takes.fields)
    whole = takes.kind in ("image", "tensor")
    answered, note = answer(path, gives, given, known.labels, whole=whole, any_size=any_size)
    if "tensors" in answered and not all(map(has_rows, gives, map(np.asarray, given))):
        says["max_batch"] = 1
    says = {**says, **answered, "inline": not pictures and took_s < INLINE_S}
    says["golden"] = [{**shown, **golden(bundle(folder, says, takes.fields), shown)}]
    notes = {
        "summary": SUMMARY, "licence": LICENCE, next(iter(answered)): note, "golden": GOLDEN,
        "inline": PICTURES if pictures
        else f"A row took {1000 * took_s:.1f} ms here: true is answered at once by /predict, false is a job",
        **takes.notes,
    }  # fmt: skip
    order = [*head(name, ""), *answered, "inline", "max_batch", *(["options"] if takes.options else ())]
    says = {**{key: says[key] for key in order}, "fields": takes.fields, "golden": says["golden"]}
    return Draft(says, notes, takes.of_fields)


def bundle(folder: Path, says: Mapping[str, Any], made: Sequence[Mapping[str, Any]]) -> Bundle:
    """What the folder would be with these keys and fields."""
    return Bundle(folder, Manifest.from_dict({"golden": (), **says, "fields": made}), "")


def _answered(
    bundle: Bundle, graph: onnxruntime.InferenceSession, begins: Callable[[str], object]
) -> tuple[dict[str, Any], list[Any], float]:
    """What an example says of its inputs, what the graph gave to them and how many seconds that took; raises
    BundleInvalid where it answers none."""
    kind = cast("RowKind", kinds.find(bundle.manifest.kind))
    [path] = bundle.graphs
    if missing := [name for name in kind.files if not (bundle.folder / name).exists()]:
        raise errors.BundleInvalid(f"{path} is for {bundle.manifest.kind}, which need {missing[0]}: put it beside")
    try:
        encoder = kind.encoder(bundle, graph.get_inputs())
    except errors.BundleInvalid:
        raise
    # What reads a tokenizer raises nothing better.
    except Exception as error:
        raise errors.BundleInvalid(f"{path} cannot be handed rows: {said(error)}") from error
    issue = ""
    for shown, row in examples.made(bundle, encoder):
        inputs = encoder.encode([row])
        begins("a row that is made up")
        try:
            _run(graph, inputs)
            began = time.perf_counter()
            given = _run(graph, inputs)
        except errors.ModelError as error:
            issue = f"ONNX Runtime says: {error.message}"
            continue
        took_s = time.perf_counter() - began
        if all(np.isfinite(value).all() for value in given if getattr(value, "dtype", np.dtype(str)).kind == "f"):
            return shown, given, took_s
        issue = issue or "It gives a number that is not finite"
    tried = "a picture" if kind.content_types else "a row of ones, nor to one of zeros"
    raise errors.BundleInvalid(f"{path} has no answer to {tried}. {issue}")


def _run(graph: onnxruntime.InferenceSession, inputs: Mapping[str, Any]) -> list[Any]:
    """All that it gives; raises ModelError with what ONNX Runtime says."""
    try:
        return list(graph.run(None, dict(inputs)))
    except Exception as error:
        raise errors.ModelError(said(error)) from error


def golden(bundle: Bundle, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the model really answers to inputs, as a golden example says both; raises BundleInvalid."""
    manifest = bundle.manifest
    given = kinds.find(manifest.kind).inputs(bundle.folder, manifest, Golden.from_dict(shown))
    opened = cast("model.Model", model.open_model(bundle))
    try:
        [found] = opened.predict([schema.validate_inputs(manifest, given)])
    except (errors.InvalidInput, errors.ModelError) as error:
        raise errors.BundleInvalid(f"{bundle.folder} cannot answer a row: {why(error)}") from error
    return answers.by(found).golden(found)
