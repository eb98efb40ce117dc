"""What nobody foresaw, and what cannot be stored."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from sqlalchemy import text

from core import database, errors
from core.ids import uuid7
from inference.model import Model
from inference.output import Record
from jobs import settle
from jobs.drain import Drainer
from jobs.kinds import predict
from jobs.lease import Held
from jobs.outcome import Outcome
from tests.conftest import Platform, until
from tests.hands import SAID, took


def test_a_result_that_cannot_be_stored_fails_its_own_job_and_none_of_its_neighbours(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID]
) -> None:
    poison, *others = [new_job() for _ in range(5)]
    platform.execute(f"ALTER TABLE job_results ADD CONSTRAINT poison CHECK (job_id <> '{poison}')")
    try:
        drainer.drain("cpu", "wake")
    finally:
        platform.execute("ALTER TABLE job_results DROP CONSTRAINT poison")
    ends = dict(platform.rows("SELECT id, status || coalesce(error ->> 'code', '') FROM jobs"))
    assert ends == {poison: "failedMODEL_ERROR", **dict.fromkeys(others, "completed")}
    assert platform.one("SELECT count(*) FROM usage") == (4,)
    # Nothing is held that nobody works on.
    assert not drainer.leases._held


def test_an_outage_while_results_are_stored_is_no_refusal_and_fails_nobody(
    platform: Platform,
    drainer: Drainer,
    new_job: Callable[..., UUID],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(2):
        new_job()
    done = [settle.Done(job, SAID, 1) for job in took(platform)]
    hasty = dataclasses.replace(drainer.finisher, lease_s=0.1)
    platform.engines.stop("postgres")
    try:
        with pytest.raises(database.OUTAGES):
            hasty.complete(done)
    finally:
        platform.engines.start("postgres")
    assert "result_refused" not in caplog.text + capsys.readouterr().out
    assert platform.rows("SELECT DISTINCT status, error::text FROM jobs") == [("processing", None)]
    assert len(drainer.finisher.complete(done)) == 2


def test_a_result_that_is_no_json_fails_its_own_job_and_none_of_its_neighbours(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID]
) -> None:
    poison, *others = [new_job() for _ in range(3)]
    odd = dataclasses.replace(SAID, scores={"odd": object()})  # type: ignore[dict-item]
    bodies = {job: odd if job == poison else SAID for job in (poison, *others)}
    stored = drainer.finisher.complete([settle.Done(job, bodies[job.id], 1) for job in took(platform)])
    assert stored == {poison, *others}
    ends = dict(platform.rows("SELECT id, status || coalesce(error ->> 'code', '') FROM jobs"))
    assert ends == {poison: "failedMODEL_ERROR", **dict.fromkeys(others, "completed")}


def test_a_large_result_that_is_no_json_is_the_models_failure(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID]
) -> None:
    new_job(inputs=[{"text": "Lovely"}])
    (job,) = took(platform)
    light = drainer.attempts._lightened(Outcome(Held(job), result=Record({"odd": object()})))
    assert (type(light.error), light.result) == (errors.ModelError, None)


@pytest.mark.parametrize("kind", ["file", "bulk", "chunk"])
def test_what_nobody_foresaw_fails_its_job_at_once_and_is_logged(
    platform: Platform,
    drainer: Drainer,
    new_job: Callable[..., UUID],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    # Of a release that wrote something else there.
    new_job(kind=kind, inputs={"parent": uuid7().hex}, model="speech" if kind == "file" else "sentiment")
    drainer.drain("cpu", "wake")
    found = platform.one("SELECT status, attempt, lost_count, error ->> 'code', error ->> 'message' FROM jobs")
    assert tuple(found)[:4] == ("failed", 1, 0, "JOB_FAILED")
    assert "KeyError" in str(found[4])
    assert "attempt_broke" in caplog.text + capsys.readouterr().out
    assert not drainer.leases._held


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (ValueError(), ("failed", "JOB_FAILED")),
        (MemoryError(), ("pending", "MODEL_ERROR")),
        # What another machine may have room for, or can read.
        *(
            (OSError(number, "here"), ("pending", "UNAVAILABLE"))
            for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
        ),
        (OSError(errno.ENOENT, "gone"), ("failed", "JOB_FAILED")),
    ],
    ids=repr,
)
def test_what_breaks_a_batch_is_the_failure_of_the_job_that_breaks_alone(
    platform: Platform,
    drainer: Drainer,
    new_job: Callable[..., UUID],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    end: tuple[str, str],
) -> None:
    poison, *others = [new_job() for _ in range(4)]

    def breaks(model: Model, held: Sequence[Held]) -> list[Outcome]:
        if poison in {item.job.id for item in held}:
            raise error
        return runs(model, held)

    runs = predict.run
    monkeypatch.setattr(predict, "run", breaks)
    drainer.drain("cpu", "wake")
    ends = {
        row.id: (row.status, row.code) for row in platform.rows("SELECT id, status, error ->> 'code' AS code FROM jobs")
    }
    assert ends == {poison: end, **dict.fromkeys(others, ("completed", None))}
    assert platform.one("SELECT max(lost_count) FROM jobs") == (0,)


def test_a_session_that_postgres_ended_while_its_process_slept_is_an_outage(platform: Platform) -> None:
    ended = "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"
    with platform.engine.connect() as connection:
        connection.execute(text("SET idle_in_transaction_session_timeout = 50"))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        until(lambda: platform.one(ended, pid=pid) == (0,))
        with pytest.raises(database.OUTAGES):
            connection.execute(text("SELECT 1"))
