"""Checking that a bundle keeps its promise: the graph's names, and the golden examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core import errors
from inference import model, schema
from inference.bundle import Bundle
from inference.interrupt import Interrupt
from inference.manifest import Golden, GoldenDocument, GoldenFile
from inference.opened import FileModel

#: Golden confidences may differ by this much between machines and providers.
TOLERANCE = 0.02
#: And the edges of golden segments by this much.
TOLERANCE_S = 0.1


def check(bundle: Bundle) -> None:
    """Open the model and let it answer its golden examples; raises BundleInvalid saying which one it missed."""
    opened = model.open_model(bundle)
    if missing := sorted(opened.OUTPUTS - opened.outputs()):
        raise errors.BundleInvalid(f"{bundle.graphs[0]} has no output '{missing[0]}'")
    check_golden(opened)


def check_golden(opened: model.Model | FileModel) -> None:
    """Raises BundleInvalid."""
    for number, golden in enumerate(opened.bundle.manifest.golden, start=1):
        try:
            missed = _missed(opened, golden)
        except (errors.InvalidInput, errors.InputUnreadable, errors.InputTooLarge, errors.ModelError) as error:
            raise errors.BundleInvalid(f"golden example {number} cannot be run: {error}; {error.details}") from error
        if missed:
            raise errors.BundleInvalid(f"golden example {number} {missed}")


def _missed(opened: model.Model | FileModel, golden: Golden | GoldenFile | GoldenDocument) -> str | None:
    """What the model had to give and what it gave instead, if it did."""
    inputs = schema.validate_inputs(opened.bundle.manifest, dict(golden.inputs))
    match opened, golden:
        case model.Model(), Golden():
            found = opened.predict([inputs])[0]
            if found.label == golden.prediction and abs(found.confidence - golden.confidence) <= TOLERANCE:
                return None
            given = f"{found.label} {found.confidence}"
            return f"must give {golden.prediction} {golden.confidence}, but gives {given}"
        case FileModel(), GoldenFile():
            path = opened.bundle.folder / golden.file
            segments = opened.answer(path, inputs, progress=lambda _: None, interrupt=Interrupt())["segments"]
            if _edges_agree(golden.segments, segments):
                return None
            return f"must give {list(golden.segments)}, but gives {segments}"
        case FileModel(), GoldenDocument():
            path = opened.bundle.folder / golden.file
            pages = opened.answer(path, inputs, progress=lambda _: None, interrupt=Interrupt())["pages"]
            read = [line["text"] for page in pages for line in page["lines"]]
            return None if read == list(golden.lines) else f"must give {list(golden.lines)}, but gives {read}"
    return "is for another kind of model"


def _edges_agree(expected: Sequence[Mapping[str, float]], found: Sequence[Mapping[str, float]]) -> bool:
    return len(expected) == len(found) and all(
        abs(one[edge] - other[edge]) <= TOLERANCE_S
        for one, other in zip(expected, found, strict=True)
        for edge in ("start", "end")
    )
