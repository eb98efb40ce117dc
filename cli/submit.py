"""`coatcheck submit`: a file in, its answers out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from cli import asking, formats, output
from cli.answers import Answer, progress_bar, save, watch
from cli.failures import Failure
from cli.files import PATH, Source, Target
from cli.formats import DASH, FORMATS, GZIP, ROWS, WHOLE
from cli.remote import Remote, part
from cli.upload import upload
from core import errors


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--model", help="The model that is to answer; the platform's default one if not given.")
@asking.VERSION
@click.option("--format", "form", type=click.Choice(FORMATS), help="What FILE holds, where its name does not say it.")
@click.option("--fail-fast", is_flag=True, help="End at the first bad row, instead of reporting it among the answers.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), help="How soon; normal if not given.")
@click.option(
    "-o",
    "--output",
    "out",
    type=PATH,
    help="Where the answers go; - is standard output. If not given: FILE.out.jsonl for rows, FILE.out.json for a "
    "whole file, standard output for standard input.",
)
@click.option("--no-wait", is_flag=True, help="Print the job's id and leave; `coatcheck result` fetches the answers.")
@output.as_json
def submit(
    file: Path,
    model: str | None,
    version: str | None,
    form: str | None,
    fail_fast: bool,
    priority: str | None,
    out: Path | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Upload FILE, have it answered, and save the answers.

    FILE holds rows (JSONL: one input on each line, with an `id` if you like; or CSV or TSV; any may be gzipped), or it
    is one recording or document for a model that takes it whole. - is standard input.

    Rows that fail are reported among the answers, and once more alone in OUTPUT.errors.jsonl beside them; when no row
    fails, that file of an earlier run is removed.
    """
    if no_wait and out:
        raise click.UsageError("--output is for answers that are waited for, and --no-wait for none")
    remote, source = Remote.from_environment(), Source.named(file, form)
    if not no_wait:
        _check(source, Target(out or _beside(source)), as_json=as_json)
    source = _taken(remote, source, model, version)
    if source.whole and fail_fast:
        raise click.UsageError("--fail-fast is for rows; this file is answered whole")
    target = Target(out or _beside(source))
    asked = {"model": model, "model_version": version, "priority": priority}
    body = {name: value for name, value in asked.items() if value} | {"options": _options(source, form, fail_fast)}
    with progress_bar() as progress:
        upload_id = _upload(remote, source, progress)
        made = remote.post("/jobs", "job_id", "model", "model_version", body={"upload_id": upload_id, **body})
        _tell(made, chosen=model is not None, no_wait=no_wait)
        if no_wait:
            output.document(Answer.of(made).shown()) if as_json else output.line(made["job_id"])
            return
        job = watch(remote, made["job_id"], progress)
    answer = save(job, target)
    if as_json:
        output.document(answer.shown())


def _options(source: Source, form: str | None, fail_fast: bool) -> dict[str, str]:
    """Of the job, where they were said; what is answered whole has none, which may be known to the platform alone."""
    asked = {"return_errors": "fail_fast" if fail_fast else None, "format": form}
    return {} if source.whole else {name: value for name, value in asked.items() if value}


def _beside(source: Source) -> Path:
    if source.piped:
        return DASH
    return source.path.with_name(f"{source.path.name}.out.json{'' if source.whole else 'l'}")


def _check(source: Source, target: Target, *, as_json: bool) -> None:
    """What would otherwise be found out only after all the work."""
    if target.path == DASH and as_json:
        raise click.UsageError("--json and the answers would both go to standard output: add --output FILE")
    for place in filter(None, (target, None if source.whole else target.faults)):
        place.check(source.path)


def _taken(remote: Remote, source: Source, model: str | None, version: str | None) -> Source:
    """The file as the model that is asked for takes it; without one the platform decides. Raises Failure where it does
    not."""
    if model is None:
        return source
    known = {item["name"]: item for item in remote.get("/models", "models")["models"]}
    if model not in known:
        said = f"There is no model {model!r}; there are: {', '.join(known)}"
        raise Failure(said, code=errors.ModelNotFound.code, details={"models": list(known)})
    # The platform knows which version an alias or the beginning of a number stands for.
    chosen = version or known[model]["stable_version"]
    takes = remote.get(f"/models/{part(model)}/versions/{part(chosen)}", "file_types")["file_types"]
    if source.kind not in takes:
        forms = {"rows of a file": ROWS, "a whole file": WHOLE}
        what = " or ".join(form for form, kinds in forms.items() if {*takes} & {*kinds.values()})
        said = f"{model} takes {what} ({', '.join(takes)}), and {formats.shown(source.path)} is {source.kind}"
        raise Failure(said, code=errors.InvalidInput.code, details={"file_types": takes, "received": source.kind})
    # Who reads rows reads them in every form.
    return dataclasses.replace(source, not_as_rows=not {*ROWS.values(), GZIP} <= {*takes})


def _upload(remote: Remote, source: Source, progress: Any) -> str:
    with source.opened() as (stream, size, kind):
        return upload(remote, stream, progress, size=size, kind=kind, filename=source.name, shown=str(source.path))


def _tell(made: dict[str, Any], *, chosen: bool, no_wait: bool) -> None:
    model = f"{made['model']} {made['model_version']}"
    if not chosen:
        output.say(f"No --model was given: {model} answers")
    if not no_wait:
        job_id = made["job_id"]
        kept = f"it keeps running if you stop here; fetch it later with `coatcheck result {job_id}`"
        output.say(f"{job_id}: {kept}")
