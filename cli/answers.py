"""Waiting for a job, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cli import output, store
from cli.failures import Failure, Interrupted
from cli.files import Target
from cli.formats import DASH
from cli.output import say, screen
from cli.remote import Remote
from cli.words import count, sentence
from jobs.job import Status

ENDED = tuple(status.value for status in Status if status.is_terminal)
#: How long a platform may be away while somebody waits for a job.
PATIENCE_S = 60.0
LEAST_S = 0.5  #: between two looks at a job
_HOW = {"failed": "failed", "canceled": "was canceled", "expired": "expired before it was done"}


@dataclass(frozen=True)
class Answer:
    """A job and where its answers are: what --json shows."""

    job_id: str
    status: str
    model: str
    model_version: str
    rows: int | None = None
    failed: int | None = None
    output: str | None = None  #: the file that holds the answers
    errors_output: str | None = None  #: the file that holds the failed rows alone
    result: Any = None  #: of a job without rows that was not saved

    @classmethod
    def of(cls, job: Mapping[str, Any], **more: Any) -> Answer:
        return cls(job["job_id"], job["status"], job["model"], job["model_version"], **more)

    def shown(self) -> dict[str, Any]:
        return asdict(self)


def progress_bar() -> Progress:
    """On a terminal alone."""
    columns = (
        TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[rows]}"),
    )  # fmt: skip
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def watch(remote: Remote, job_id: str, progress: Progress) -> dict[str, Any]:
    """The job as it ended; raises Failure that says how to come back when this is interrupted."""
    task = progress.add_task("waiting", total=100, rows="")
    later = f"`coatcheck result {job_id}` fetches it later"
    try:
        while True:
            asked_at = time.monotonic()
            job = remote.get(f"/jobs/{job_id}", "status", "model", query={"wait": "1"}, patience_s=PATIENCE_S)
            rows = job.get("rows", {})
            done = ""
            if rows.get("total"):
                done = f"{rows['done']:,} of {count(rows['total'], 'row')}, {rows['failed']:,} failed"
            progress.update(task, completed=job["progress"], description=job["status"], rows=done)
            if job["status"] in ENDED:
                return job
            # Where the API has no place left for waiting, it answers at once.
            time.sleep(max(0.0, asked_at + LEAST_S - time.monotonic()))
    except KeyboardInterrupt:
        said = f"Stopped waiting; {job_id} keeps running, and {later}"
        raise Interrupted(said, details={"job_id": job_id}) from None
    except Failure as error:
        if not error.retryable:
            raise
        details = {**error.details, "job_id": job_id}
        raise Failure(f"{error.message}; {later}", code=error.code, details=details, retryable=True) from error


def save(job: Mapping[str, Any], target: Target) -> Answer:
    """Put a job's answers where they should go, and say so; raises Failure for a job without."""
    completed(job)
    found = job["result"]
    where = None if target.path == DASH else str(target.path)
    if "rows" not in job:
        target.write([output.encoded(whole(found))])
        if where:
            say(where)
        return Answer.of(job, output=where)
    target.write(store.pieces(found["output_url"]))
    total, failed, faults = found["rows"], found["failed"], target.faults
    said = f"{count(total, 'row')}, {failed:,} failed"
    say(f"{said}: {where}" if where else said)
    errors_output = None
    if faults and "errors_url" in found:
        faults.write(store.pieces(found["errors_url"]))
        errors_output = str(faults.path)
        say(f"the failed ones alone: {errors_output}")
    elif faults and faults.remove():
        say(f"removed {faults.path}, of an earlier run")
    return Answer.of(job, rows=total, failed=failed, output=where, errors_output=errors_output)


def whole(found: Mapping[str, Any]) -> Any:
    """What a model made of one input, and where the files are that it gave; a large result lies in the store."""
    if not {"url", "bytes"} <= found.keys():
        return found
    given = {"files": found["files"], "expires_at": found["expires_at"]} if "files" in found else {}
    return {**store.fetch(found["url"]), **given}


def completed(job: Mapping[str, Any]) -> None:
    """Raises Failure, with the job's own error, for one that ended otherwise."""
    if job["status"] == "completed":
        return
    error = job.get("error") or {}
    how = f"{job['job_id']} {_HOW.get(job['status'], job['status'])}"
    if not error:
        raise Failure(how, code=job["status"].upper(), details={"job_id": job["job_id"], "status": job["status"]})
    said = sentence(error["message"], error.get("details") or {})
    details = {**(error.get("details") or {}), "job_id": job["job_id"], "status": job["status"]}
    raise Failure(f"{how}: {said} ({error['code']})", code=error["code"], details=details)
