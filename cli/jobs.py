"""`coatcheck jobs` and `coatcheck result`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import output
from cli.answers import Answer, completed, progress_bar, save, watch, whole
from cli.files import PATH, Target
from cli.formats import DASH
from cli.remote import Remote
from core import errors, ids
from jobs.job import Status

PAGE = 100  #: as many jobs as the API lists at once


@click.command()
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only jobs in this state.")
@click.option("--model", help="Only jobs of this model.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@output.as_json
def jobs(status: str | None, model: str | None, limit: int, as_json: bool) -> None:
    """List your jobs, newest first; times are UTC.

    With --json each is as the API describes it.
    """
    asked = {name: value for name, value in (("status", status), ("model", model)) if value}
    found, more = _listed(Remote.from_environment(), asked, limit)
    if as_json:
        output.document(found)
        return
    rows = [
        (
            job["job_id"], job["status"], f"{job['progress']} %", f"{job['model']} {job['model_version']}",
            job["created_at"][:19].replace("T", " "), (job.get("error") or job.get("last_error") or {}).get("code", ""),
        )
        for job in found
    ]  # fmt: skip
    output.table(("job", "status", "progress", "model", "accepted", "why"), rows)
    if more:
        output.say(f"There are more; --limit {2 * limit} shows more of them")


@click.command()
@click.argument("job_id")
@click.option("-o", "--output", "out", type=PATH, help="Where it goes; - is standard output.")
@output.as_json
def result(job_id: str, out: Path | None, as_json: bool) -> None:
    """Wait for a job and fetch its result.

    The answers to a file of rows are saved as JOB_ID.jsonl; any other result is printed as JSON. --output says where
    either goes instead.

    Rows that fail are reported among the answers, and once more alone in OUTPUT.errors.jsonl beside them; when no row
    fails, that file of an earlier run is removed.
    """
    try:
        ids.parse_job_id(job_id)
    except errors.JobNotFound:
        raise click.BadParameter("must be a job's id, as `coatcheck jobs` shows it", param_hint="JOB_ID") from None
    if out == DASH and as_json:
        raise click.UsageError("--json and --output - would both go to standard output")
    remote = Remote.from_environment()
    if out:
        # What cannot be written is told before the job is waited for, not after it.
        Target(out).check(DASH)
    with progress_bar() as progress:
        job = watch(remote, job_id, progress)
    if "rows" in job or out:
        target = Target(out or Path(f"{job_id}.jsonl"))
        answer = save(job, target)
        if as_json:
            output.document(answer.shown())
        return
    completed(job)
    found = whole(job["result"])
    output.document(Answer.of(job, result=found).shown() if as_json else found)


def _listed(remote: Remote, asked: dict[str, str], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """So many jobs, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        query = {**asked, **cursor, "limit": str(min(PAGE, limit - len(found)))}
        page = remote.get("/jobs", "jobs", query=query)
        found += page["jobs"]
        if not page.get("next_cursor") or len(found) >= limit:
            return found, bool(page.get("next_cursor"))
        cursor = {"cursor": page["next_cursor"]}
