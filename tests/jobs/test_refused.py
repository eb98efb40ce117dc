"""What the database refuses to store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

import pytest

from core import database
from jobs import settle
from jobs.drain import Drainer
from tests.conftest import Platform
from tests.hands import BODY, took


def test_a_result_that_cannot_be_stored_fails_its_own_job_and_none_of_its_neighbours(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID]
) -> None:
    poison, *others = [new_job() for _ in range(5)]
    platform.execute(f"ALTER TABLE job_results ADD CONSTRAINT poison CHECK (job_id <> '{poison}')")
    try:
        drainer.drain("cpu", "wake")
    finally:
        platform.execute("ALTER TABLE job_results DROP CONSTRAINT poison")
    ends = dict(platform.rows("SELECT id, status || coalesce(error ->> 'code', '') FROM jobs"))  # type: ignore[arg-type]
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
    done = [settle.Done(job, BODY, 1) for job in took(platform)]
    hasty = dataclasses.replace(drainer, settings=dataclasses.replace(drainer.settings, lease_s=0.1))
    platform.engines.stop("postgres")
    try:
        with pytest.raises(database.OUTAGES):
            hasty._complete(done)
    finally:
        platform.engines.start("postgres")
    assert "result_refused" not in caplog.text + capsys.readouterr().out
    assert platform.rows("SELECT DISTINCT status, error::text FROM jobs") == [("processing", None)]
    assert len(drainer._complete(done)) == 2
