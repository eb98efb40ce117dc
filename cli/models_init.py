"""`coatcheck models init`: a first bundle from a graph or a trained object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli import folders as new_folders
from cli import output
from cli.text import FilePath
from inference import model_yaml, promise
from inference.drafts import convert, folders, python
from inference.drafts.draft import Draft
from inference.plain import plain


def _named(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.match(promise.NAME, name):
        raise click.BadParameter(f"must be {promise.NAMES}")
    return name


def _row(_context: click.Context, _parameter: click.Parameter, text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = plain(json.loads(text), model_yaml.MAX_BYTES, "row")
    except ValueError as error:
        raise click.BadParameter(f"must be a row as JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise click.BadParameter('must be a JSON object, such as {"age": 61}')
    if odd := [name for name, value in found.items() if type(value) not in python.TYPES]:
        raise click.BadParameter(f"{odd[0]} must be a text, a number, true or false")
    return found


@click.command()
@click.argument("source", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--python", "class_", metavar="CLASS", help="In place of SOURCE: a class of an installed package.")
@click.option("--row", metavar="JSON", callback=_row, help='A row that CLASS answers, such as {"age": 61}.')
@click.option("--name", callback=_named, help="What the model is called; SOURCE's or CLASS's name if not given.")
@click.option(
    "--out",
    type=FilePath(file_okay=False, path_type=Path),
    help="The new folder, or that of CLASS's data; of the model's name if not given.",
)
@output.as_json
def init(
    source: Path | None,
    class_: str | None,
    row: dict[str, Any] | None,
    name: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write a bundle for SOURCE, a first draft.

    SOURCE is a graph (.onnx), or a trained object of scikit-learn, LightGBM or XGBoost (.joblib, .pkl), which is
    converted. To load such an object runs whatever code is in its file: hand in only what you would run.

    CLASS is the name of an entry point of the group coatcheck.models; it is asked for --row, whose values say what the
    fields are. Where --out has its data already, model.yaml is put beside them.

    In the folder, model.yaml says what can be seen, with a golden example that the model was run for, and a comment
    beside each line that wants a person. It needs no settings and no platform.
    """
    if source is None and (class_ is None or row is None):
        raise click.UsageError('say SOURCE, or --python CLASS with a --row that it answers, such as {"age": 61}')
    if source is not None and (class_ is not None or row is not None):
        raise click.UsageError("--python and --row go together, without SOURCE")
    stem = _stem(source) if source else str(class_)
    named = name or re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).lstrip("-_0123456789")[:63] or "model"
    folder = out or Path(named)
    drawn, issue = _made(source, (str(class_), row or {}), folder, named)
    _tell(folder, drawn, issue, as_json=as_json)


def _made(source: Path | None, asked: tuple[str, Mapping[str, Any]], folder: Path, name: str) -> tuple[Draft, str]:
    """The folder, for SOURCE or else a class and its row, whole or not at all; what is in its model.yaml, and why it
    does not pass `check`. Raises Failure, BundleInvalid."""
    if folder.is_dir() and (any(folder.iterdir()) if source else (folder / model_yaml.NAME).exists()):
        raise new_folders.in_use(folder)
    with new_folders.made(folder) as made:
        drawn = folders.of_source(source, made, name) if source else folders.of_class(*asked, folder, made, name)
        drawn, issue = folders.settled(made, drawn, source.name if source else asked[0])
    return drawn, issue.replace(str(made), str(folder))


def _stem(source: Path) -> str:
    """As a model may be called: as the file, or as its folder where the file's name says nothing. Raises
    BadParameter."""
    if source.suffix != ".onnx" and source.suffix not in convert.READERS:
        known = ", ".join((".onnx", *convert.READERS))
        raise click.BadParameter(f"must end in one of {known}", param_hint="SOURCE")
    return source.absolute().parent.name if source.stem == "model" else source.stem


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
