"""Checking that a bundle keeps its promise: the graph's names, and the golden examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from core import errors
from inference import batch, divisions, model, schema, signature
from inference.bundle import Bundle
from inference.interrupt import Interrupt
from inference.manifest import Golden, GoldenDocument, GoldenFile
from inference.opened import FileModel, why

#: Golden confidences may differ by this much between machines and providers.
TOLERANCE = 0.02
#: And the edges of golden segments by this much.
TOLERANCE_S = 0.1


def _quietly(_: str) -> None:
    """Where nobody wants to know of a step before it is taken."""


def check(bundle: Bundle, begins: Callable[[str], object] = _quietly) -> None:
    """Open the model, look at its signature and let it answer its golden examples, each alone and in company; raises
    BundleInvalid saying what it missed, and what to do about it. `begins` hears of every run before it begins."""
    opened = model.open_model(bundle)
    signature.check_names(opened)
    if isinstance(opened, model.Model):
        rows = [schema.validate_inputs(bundle.manifest, dict(golden.inputs)) for golden in bundle.manifest.golden]
        with _told("golden example 1 cannot be encoded", opened):
            signature.check_inputs(opened, opened.encode(rows[:1]))
        signature.check_output(opened)
        check_golden(opened, begins)
        if bundle.manifest.shares_runs:
            batch.check(opened, rows, begins)
        if bundle.manifest.inline:
            divisions.check(opened, rows, begins)
    else:
        check_golden(opened, begins)


def check_golden(opened: model.Model | FileModel, begins: Callable[[str], object] = _quietly) -> None:
    """Raises BundleInvalid."""
    for number, golden in enumerate(opened.bundle.manifest.golden, start=1):
        begins(f"golden example {number}")
        with _told(f"golden example {number} cannot be run", opened):
            missed = _missed(opened, golden)
        if missed:
            hint = _other_order(opened) if isinstance(opened, model.Model) else ""
            raise errors.BundleInvalid(f"{opened.bundle.folder}: golden example {number} {missed}{hint}")


@contextmanager
def _told(what: str, opened: model.Model | FileModel) -> Iterator[None]:
    try:
        yield
    except (errors.InvalidInput, errors.InputUnreadable, errors.InputTooLarge, errors.ModelError) as error:
        raise errors.BundleInvalid(f"{opened.bundle.folder}: {what}: {why(error)}") from error


def _missed(opened: model.Model | FileModel, golden: Golden | GoldenFile | GoldenDocument) -> str | None:
    """What the model had to give and what it gave instead, if it did."""
    inputs = schema.validate_inputs(opened.bundle.manifest, dict(golden.inputs))
    match opened, golden:
        case model.Model(), Golden():
            found = opened.predict([inputs])[0]
            if found.label == golden.prediction and abs(found.confidence - golden.confidence) <= TOLERANCE:
                return None
            return f"must give {golden.prediction} {golden.confidence}, but gives {found.label} {found.confidence}"
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


def _other_order(opened: model.Model) -> str:
    """What is to be said where every example is answered as surely as it should be, but some by another label."""
    wanted: dict[str, str] = {}
    for golden in opened.bundle.manifest.golden:
        if not isinstance(golden, Golden):
            return ""
        found = opened.predict([schema.validate_inputs(opened.bundle.manifest, dict(golden.inputs))])[0]
        if abs(found.confidence - golden.confidence) > TOLERANCE:
            return ""
        if wanted.setdefault(found.label, golden.prediction) != golden.prediction:
            return ""
    if len(set(wanted.values())) < len(wanted):
        return ""
    mixed = ", ".join(f"{given} where {right} is right" for given, right in sorted(wanted.items()) if given != right)
    return f"; all are as sure as they should be, but it gives {mixed}: put labels in the order of the graph's outputs"


def _edges_agree(expected: Sequence[Mapping[str, float]], found: Sequence[Mapping[str, float]]) -> bool:
    return len(expected) == len(found) and all(
        abs(one[edge] - other[edge]) <= TOLERANCE_S
        for one, other in zip(expected, found, strict=True)
        for edge in ("start", "end")
    )
