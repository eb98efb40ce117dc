"""The folder of a first draft: what belongs to its graph or class, and a model.yaml that passes `check` if any does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import errors
from inference import bundle, installed, model_yaml, trial
from inference.drafts import convert, guarded, written
from inference.drafts.convert import Converted
from inference.drafts.draft import Draft
from inference.kinds.tokens import TOKENIZER

GRAPH = "model.onnx"
#: What a first draft may have to give up: an API that answers by itself, and rows that share a run.
LESS: tuple[dict[str, Any], ...] = ({}, {"inline": False}, {"inline": False, "max_batch": 1})


def of_class(class_: str, row: Mapping[str, Any], data: Path, folder: Path, name: str) -> Draft:
    """Raises BundleInvalid."""
    installed.find(class_)
    if data.is_dir():
        shutil.copytree(data, folder, symlinks=True)
    else:
        folder.mkdir()
    try:
        return guarded.draw_class(folder, name, class_, row)
    except errors.BundleInvalid as error:
        raise errors.BundleInvalid(error.message.replace(str(folder), str(data))) from error


def of_source(source: Path, folder: Path, name: str) -> Draft:
    """Raises BundleInvalid, which says SOURCE where it means the graph or the folder that it is in for now."""
    folder.mkdir()
    brought = _put(source, folder)
    try:
        return guarded.draw(folder, name, brought)
    except errors.BundleInvalid as error:
        told = error.message.replace(str(folder / GRAPH), str(source)).replace(str(folder), str(source))
        raise errors.BundleInvalid(told) from error


def _put(source: Path, folder: Path) -> Converted:
    """The graph, and what belongs to it, in the folder; what else is known of it."""
    if source.suffix != ".onnx":
        known = convert.convert(source)
        (folder / GRAPH).write_bytes(known.graph)
        return known
    shutil.copyfile(source, folder / GRAPH)
    beside = [path for path in source.parent.iterdir() if path.is_file() and path != source]
    for path in beside:
        # Weights that do not fit into one file are found by their name.
        if path.name == TOKENIZER or path.name.startswith((f"{source.name}.", f"{source.name}_")):
            shutil.copyfile(path, folder / path.name)
    return Converted()


def settled(folder: Path, drawn: Draft, source: str) -> tuple[Draft, str]:
    """Written as it passes `check`; or as it is, and why it does not."""
    issues = []
    for less in LESS:
        tried = drawn.saying(**less)
        (folder / model_yaml.NAME).write_text(written.text(tried, source), encoding="utf-8")
        try:
            trial.run(bundle.load(folder))
        except errors.BundleInvalid as error:
            issues.append(error.message)
        else:
            return tried, ""
    (folder / model_yaml.NAME).write_text(written.text(drawn, source), encoding="utf-8")
    return drawn, issues[0]
