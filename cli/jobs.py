"""`coatcheck submit|jobs|result`: files in, files out, for people."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.remote import Remote, sentence

JSONL, GZIP = "application/x-ndjson", "application/gzip"
TYPES = {".jsonl": JSONL, ".ndjson": JSONL, ".csv": "text/csv", ".gz": GZIP}
#: What a model takes whole.
WHOLE = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg", ".tif": "image/tiff", ".tiff": "image/tiff",
}  # fmt: skip
ENDED = ("completed", "failed", "canceled", "expired")
WIDE = 120
#: On the terminal, away from what is piped on.
screen = Console(stderr=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", help="The model that is to answer.")
@click.option("--model-version", help="Its version; the stable one if not given.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), help="Where the name does not say it.")
@click.option("--fail-fast", is_flag=True, help="End at the first bad row, instead of reporting it among the answers.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: FILE.out.jsonl, or .json."
)
@click.option("--no-wait", is_flag=True, help="Print the job's id and come back later with `coatcheck result`.")
def submit(
    file: Path,
    model: str | None,
    model_version: str | None,
    form: str | None,
    fail_fast: bool,
    priority: str | None,
    output: Path | None,
    no_wait: bool,
) -> None:
    """Have every row of FILE answered: JSONL (an input on each line, with an `id` if you like) or CSV, also gzipped; or
    a recording or a document by a model that takes one."""
    whole = form is None and file.suffix.lower() in WHOLE
    remote, target = Remote.from_environment(), output or file.with_name(f"{file.name}.out.json{'' if whole else 'l'}")
    _check_before(remote, file, target, model, form)
    with Progress(*_columns(), console=screen) as progress:
        upload_id = _upload(remote, file, progress)
        options = {} if whole else {"return_errors": "fail_fast" if fail_fast else "individual"}
        options |= {"format": form} if form else {}
        asked = {"model": model, "model_version": model_version, "priority": priority}
        given = {name: value for name, value in asked.items() if value}
        job_id = remote.post("/jobs", {"upload_id": upload_id, "options": options, **given})["job_id"]
        if no_wait:
            click.echo(job_id)
            return
        said = f"{job_id}: it goes on if you leave; then `coatcheck result {job_id}`"
        screen.print(said, soft_wrap=True, highlight=False)
        job = _watch(remote, job_id, progress)
    _save(remote, job, target)


@click.command()
@click.option("--status", type=click.Choice(["pending", "processing", *ENDED]))
@click.option("--model")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
def jobs(status: str | None, model: str | None, limit: int) -> None:
    """Your jobs, newest first."""
    asked = {"status": status, "model": model, "limit": str(limit)}
    found = Remote.from_environment().get("/jobs", **{name: value for name, value in asked.items() if value})
    table = Table("job", "status", "progress", "model", "accepted", "why", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for job in found["jobs"]:
        why = (job.get("error") or job.get("last_error") or {}).get("code", "")
        table.add_row(
            job["job_id"], job["status"], f"{job['progress']} %", f"{job['model']} {job['model_version']}",
            job["created_at"][:19].replace("T", " "), why,
        )  # fmt: skip
    # A terminal's width, but never one that would cut an id; in a pipe, as wide as it takes.
    Console(width=max(screen.width, WIDE)).print(table)


@click.command()
@click.argument("job_id")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default of a file: JOB_ID.jsonl")
def result(job_id: str, output: Path | None) -> None:
    """Wait for a job and fetch its result: printed as JSON, or saved where it is a file."""
    remote = Remote.from_environment()
    with Progress(*_columns(), console=screen, transient=True) as progress:
        job = _watch(remote, job_id, progress)
    if "rows" in job:
        _save(remote, job, output or Path(f"{job_id}.jsonl"))
        return
    _check(job)
    text = _whole(remote, job["result"])
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


def _columns() -> tuple[Any, ...]:
    name, rows = TextColumn("{task.description:<10}"), TextColumn("{task.fields[rows]}")
    return name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), rows


def _check_before(remote: Remote, file: Path, target: Path, model: str | None, form: str | None) -> None:
    """What would otherwise be found out only after all the work."""
    if not file.stat().st_size:
        raise click.ClickException(f"{file} is empty")
    name = file.name.lower()
    if form is None and not name.removesuffix(".gz").endswith(tuple(TYPES)) and not name.endswith(tuple(WHOLE)):
        raise click.UsageError(f"The name of {file} does not say how its rows are written: add --format jsonl or csv")
    for path in filter(None, (target, _faults(target))):
        if path.exists() and path.samefile(file):
            raise click.UsageError(f"{path} is the input; choose another --output")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise click.ClickException(f"{path} cannot be written; choose another --output")
    if model is not None:
        remote.get(f"/models/{model}")


def _upload(remote: Remote, file: Path, progress: Progress) -> str:
    size = file.stat().st_size
    kind = (TYPES | WHOLE).get(file.suffix.lower(), GZIP)
    # A name on disk is bytes, which need not be anybody's characters.
    name = os.fsencode(file.name).decode(errors="replace")[-255:]
    place = remote.post("/uploads", {"filename": name, "content_type": kind, "size": size})
    task = progress.add_task("uploading", total=size, rows="")
    with file.open("rb") as stream:
        remote.send(place["url"], place["fields"], stream, size, lambda count: progress.advance(task, count))
    return str(place["upload_id"])


def _watch(remote: Remote, job_id: str, progress: Progress) -> dict[str, Any]:
    """The job as it ended."""
    task = progress.add_task("pending", total=100, rows="")
    while True:
        job = remote.get(f"/jobs/{job_id}", wait="1")
        rows = job.get("rows", {})
        done = f"{rows['done']:,} of {rows['total']:,} rows, {rows['failed']:,} failed" if rows.get("total") else ""
        progress.update(task, completed=job["progress"], description=job["status"], rows=done)
        if job["status"] in ENDED:
            return job


def _save(remote: Remote, job: dict[str, Any], path: Path) -> None:
    _check(job)
    found = job["result"]
    if "rows" not in job:
        path.write_text(_whole(remote, found), encoding="utf-8")
        screen.print(f"{path}", soft_wrap=True)
        return
    remote.download(found["output_url"], path)
    screen.print(f"{found['rows']:,} rows, {found['failed']:,} failed: {path}", soft_wrap=True)
    faults = _faults(path)
    if faults and "errors_url" in found:
        remote.download(found["errors_url"], faults)
        screen.print(f"the failed ones alone: {faults}", soft_wrap=True)


def _faults(path: Path) -> Path | None:
    """Where the failed rows alone go: beside the output, unless that is no file (they are in it as well)."""
    plain = path.is_file() or not path.exists()
    return path.with_name(path.name.removesuffix(".jsonl") + ".errors.jsonl") if plain else None


def _whole(remote: Remote, found: dict[str, Any]) -> str:
    """What a model made of one file; a large result lies in the store."""
    result = remote.fetch(found["url"]) if {"url", "bytes"} <= found.keys() else found
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def _check(job: dict[str, Any]) -> None:
    if job["status"] != "completed":
        said = f": {sentence(job['error'])}" if job.get("error") else ""
        raise click.ClickException(f"{job['job_id']} is {job['status']}{said}")
