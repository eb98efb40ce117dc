"""Checking that a bundle keeps its promise: the graph's names, and the golden examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core import errors
from inference import batch, divisions, kinds, model, schema, signature
from inference.bundle import Bundle
from inference.interrupt import Interrupt
from inference.manifest import Golden
from inference.opened import FileModel, why
from inference.output import Attachment


def _quietly(_: str) -> None:
    """Where nobody wants to know of a step before it is taken."""


def check(bundle: Bundle, begins: Callable[[str], object] = _quietly) -> None:
    """Open the model, look at its signature and let it answer its golden examples, each alone and in company; raises
    BundleInvalid saying what it missed, and what to do about it. `begins` hears of every run before it begins."""
    opened = model.open_model(bundle)
    signature.check_names(opened)
    rows = []
    if isinstance(opened, model.Model):
        for number, golden in enumerate(bundle.manifest.golden, start=1):
            with _told(f"golden example {number} cannot be encoded", opened):
                rows.append(_inputs(opened, golden))
    if isinstance(opened, model.GraphModel):
        with _told("golden example 1 cannot be encoded", opened):
            signature.check_inputs(opened, opened.encode(rows[:1]))
    check_golden(opened, begins)
    if isinstance(opened, model.Model) and bundle.manifest.explain is not None:
        begins("explaining golden example 1")
        with _told("golden example 1 cannot be explained", opened):
            opened.explained(rows[:1], opened.predict(rows[:1]))
    if isinstance(opened, model.Model) and bundle.manifest.shares_runs:
        batch.check(opened, rows, begins)
    if isinstance(opened, model.GraphModel) and bundle.manifest.inline:
        divisions.check(opened, rows, begins)


def check_golden(opened: model.Model | FileModel, begins: Callable[[str], object] = _quietly) -> None:
    """Raises BundleInvalid."""
    kind = kinds.find(opened.bundle.manifest.kind)
    for number, golden in enumerate(opened.bundle.manifest.golden, start=1):
        begins(f"golden example {number}")
        with _told(f"golden example {number} cannot be run", opened):
            missed = kind.missed(golden, _answer(opened, golden))
        if missed:
            hint = kind.hint((each, _answer(opened, each)) for each in opened.bundle.manifest.golden)
            raise errors.BundleInvalid(f"{opened.bundle.folder}: golden example {number} {missed}{hint}")


@contextmanager
def _told(what: str, opened: model.Model | FileModel) -> Iterator[None]:
    try:
        yield
    except (errors.InvalidInput, errors.InputUnreadable, errors.InputTooLarge, errors.ModelError) as error:
        raise errors.BundleInvalid(f"{opened.bundle.folder}: {what}: {why(error)}") from error


def _inputs(opened: model.Model | FileModel, golden: Golden) -> dict[str, Any]:
    """Raises InvalidInput."""
    manifest = opened.bundle.manifest
    given = kinds.find(manifest.kind).inputs(opened.bundle.folder, manifest, golden)
    return schema.validate_inputs(manifest, given)


def _answer(opened: model.Model | FileModel, golden: Golden) -> Any:
    """With the names of the files beside it, if there are any; raises InvalidInput, and what the model raises."""
    inputs = _inputs(opened, golden)
    if isinstance(opened, model.Model):
        return opened.predict([inputs])[0]
    path = opened.bundle.folder / str(golden.file)
    names: list[str] = []

    def hear(piece: Mapping[str, Any] | Attachment) -> None:
        if isinstance(piece, Attachment):
            names.append(piece.name)

    found = opened.answer(path, inputs, progress=lambda _: None, emit=hear, interrupt=Interrupt())
    return {**found, "files": names} if names else found
