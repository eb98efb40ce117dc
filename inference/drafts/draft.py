"""What is to be in model.yaml, as far as the graph says it and one row shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.bundle import Bundle
from inference.device import CPU
from inference.drafts import asked, boxes, fields, golden
from inference.drafts.answers import Answer, answer, has_rows
from inference.drafts.convert import Converted
from inference.manifest import Manifest

if TYPE_CHECKING:
    import onnxruntime

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
    # See `Interrupt`.
    import onnxruntime

    path = folder / "model.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    graph = CPU.session(path, options)
    takes = fields.taken(path, graph.get_inputs(), known)
    says = {**head(name, takes.kind), "max_batch": takes.max_batch}
    if takes.options:
        says["options"] = takes.options
    shown, given, took_s = asked.answered(bundle(folder, says, takes.fields), graph, begins)
    gives, pictures = graph.get_outputs(), takes.kind == "image"
    answered, note = _answer(path, graph, given, takes, known)
    if not _have_rows(gives, given, answered):
        says["max_batch"] = 1
    says = {**says, **answered, "inline": not pictures and took_s < INLINE_S}
    says["golden"] = [{**shown, **golden.answered(bundle(folder, says, takes.fields), shown)}]
    notes = {
        "summary": SUMMARY, "licence": LICENCE, next(iter(answered)): note, "golden": GOLDEN,
        "inline": PICTURES if pictures
        else f"A row took {told(took_s)} here: true is answered at once by /predict, false is a job",
        **takes.notes,
    }  # fmt: skip
    order = [*head(name, ""), *answered, "inline", "max_batch", *(["options"] if takes.options else ())]
    says = {**{key: says[key] for key in order}, "fields": takes.fields, "golden": says["golden"]}
    return Draft(says, notes, takes.of_fields)


def told(took_s: float) -> str:
    """How long a row took, as a person reads it."""
    return f"{1000 * took_s:.1f} ms" if took_s >= 0.001 else "less than 1 ms"


def _answer(
    path: Path, graph: onnxruntime.InferenceSession, given: Sequence[Any], takes: fields.Taken, known: Converted
) -> Answer:
    """The keys of model.yaml that say what was given to a row, and the sentence beside them; raises BundleInvalid."""
    gives, pictures = graph.get_outputs(), takes.kind == "image"
    names = boxes.labels(graph.get_modelmeta().custom_metadata_map.get("names", ""))
    if pictures and (found := boxes.boxes(gives, given, names)):
        return found
    any_size = any(None in field.get("shape", ()) for field in takes.fields)
    whole = pictures or takes.kind == "tensor"
    answered, note = answer(path, gives, given, known.labels, whole=whole, any_size=any_size)
    return answered, f"{note}. {boxes.RAW}" if pictures and "tensors" in answered else note


def _have_rows(gives: Sequence[Any], given: Sequence[Any], answered: Mapping[str, Any]) -> bool:
    """Whether what is answered may have an axis for rows."""
    if "boxes" in answered:
        return boxes.have_rows(gives, given, answered["boxes"])
    return "tensors" not in answered or all(map(has_rows, gives, map(np.asarray, given)))


def bundle(folder: Path, says: Mapping[str, Any], made: Sequence[Mapping[str, Any]]) -> Bundle:
    """What the folder would be with these keys and fields."""
    return Bundle(folder, Manifest.from_dict({"golden": (), **says, "fields": made}), "")
