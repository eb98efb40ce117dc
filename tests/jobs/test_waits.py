"""Who waits for a job."""

from __future__ import annotations

from typing import Any

import pytest

from core import errors
from jobs import queries
from tests import factories
from tests.conftest import Platform


@pytest.mark.parametrize("what", ["a stranger's job", "a part of a file"])
def test_who_waits_for_what_is_no_job_of_its_own_is_told_so_at_once(platform: Platform, what: str) -> None:
    # Or how long it takes would tell that there is one.
    tenant = factories.tenant(platform)
    running: dict[str, Any] = {"status": "processing"}
    if what == "a stranger's job":
        job = factories.job(platform, factories.tenant(platform), **running)
    else:
        job = factories.chunk(platform, factories.parked(platform, tenant), **running)
    looked: list[int] = []
    with pytest.raises(errors.JobNotFound):
        queries.wait(platform.engine, tenant, job["id"], 0.3, lambda: looked.append(1))
    assert looked == [1]
