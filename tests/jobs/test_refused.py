"""What the database refuses to store."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from jobs.drain import Drainer
from tests.conftest import Platform


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
