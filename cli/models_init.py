"""`coatcheck models init`: a first bundle from a graph or a trained object."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from cli import output
from cli.failures import Failure
from core import errors
from inference import bundle, model_yaml, promise, trial
from inference.drafts import convert, guarded, written
from inference.drafts.convert import Converted
from inference.drafts.draft import Draft
from inference.kinds.tokens import TOKENIZER

GRAPH = "model.onnx"
#: What a first draft may have to give up: an API that answers by itself, and rows that share a run.
LESS: tuple[dict[str, Any], ...] = ({}, {"inline": False}, {"inline": False, "max_batch": 1})


def _named(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.match(promise.NAME, name):
        raise click.BadParameter(f"must be {promise.NAMES}")
    return name


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", callback=_named, help="What the model is called; SOURCE's name if not given.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The new folder; of the model's name if not given.",
)
@output.as_json
def init(source: Path, name: str | None, out: Path | None, as_json: bool) -> None:
    """Write a bundle for SOURCE, a first draft.

    SOURCE is a graph (.onnx), or a trained object of scikit-learn, LightGBM or XGBoost (.joblib, .pkl), which is
    converted. To load such an object runs whatever code is in its file: hand in only what you would run.

    In the new folder, model.yaml says what can be seen, with a golden example that the model was run for, and a comment
    beside each line that wants a person. It needs no settings and no platform.
    """
    if source.suffix != ".onnx" and source.suffix not in convert.READERS:
        known = ", ".join((".onnx", *convert.READERS))
        raise click.BadParameter(f"must end in one of {known}", param_hint="SOURCE")
    named = name or _name_of(source)
    folder = out or Path(named)
    if folder.is_dir() and any(folder.iterdir()):
        raise Failure(f"{folder} has something in it already: say another --out", code="FOLDER_IN_USE")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".coatcheck-") as scratch:
        made = Path(scratch).absolute() / "bundle"
        made.mkdir()
        drawn, issue = _settled(made, _drawn(source, made, named), source)
        made.rename(folder)
    _tell(folder, drawn, issue.replace(str(made), str(folder)), as_json=as_json)


def _name_of(source: Path) -> str:
    """As a model may be called: that of the file, or of its folder where the file's says nothing."""
    stem = source.absolute().parent.name if source.stem == "model" else source.stem
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).lstrip("-_0123456789")[:63] or "model"


def _drawn(source: Path, folder: Path, name: str) -> Draft:
    """Raises BundleInvalid, which says SOURCE where it means the graph or the folder that it is in for now."""
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


def _settled(folder: Path, drawn: Draft, source: Path) -> tuple[Draft, str]:
    """Written as it passes `check`; or as it is, and why it does not."""
    issues = []
    for less in LESS:
        tried = drawn.saying(**less)
        (folder / model_yaml.NAME).write_text(written.text(tried, source.name), encoding="utf-8")
        try:
            trial.run(bundle.load(folder))
        except errors.BundleInvalid as error:
            issues.append(error.message)
        else:
            return tried, ""
    (folder / model_yaml.NAME).write_text(written.text(drawn, source.name), encoding="utf-8")
    return drawn, issues[0]


def _tell(folder: Path, drawn: Draft, issue: str, *, as_json: bool) -> None:
    says = drawn.says
    if as_json:
        found = {"model": says["name"], "version": says["version"], "kind": says["kind"], "folder": str(folder)}
        output.document({**found, "issue": issue or None})
        return
    output.line(f"{folder}: {says['name']} {says['version']}, {says['kind']}")
    if issue:
        output.say(f"It does not pass `coatcheck models check {folder}` yet: {issue}")
    output.say(f"Read the comments in {folder / model_yaml.NAME}; then `coatcheck models check {folder}`")
