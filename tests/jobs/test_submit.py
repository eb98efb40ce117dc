from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from core import broker
from core.seal import Seal
from jobs import submit
from tests.conftest import Platform

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_hint_goes_out_only_when_the_job_can_be_seen(platform: Platform) -> None:
    seen: list[int] = []

    class Looking(broker.Hints):
        def send(self, pool: str) -> bool:
            with platform.engine.connect() as connection:
                seen.append(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())
            return super().send(pool)

    line = broker.Line(platform.settings.queue.redis_url)
    submitter = submit.Submitter(
        platform.engine, line, Looking(platform.settings.queue.redis_url, line), Seal(platform.settings.sealing)
    )
    caller, _ = platform.new_tenant()
    submitter.submit(submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, max_attempts=1))
    assert seen == [1]


def test_what_is_accepted_is_counted_by_its_model(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    before = REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"}) or 0
    for _ in range(2):
        platform.submitter.submit(
            submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, max_attempts=1)
        )
    assert REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"}) == before + 2


def test_what_must_survive_a_crash_is_on_disk_before_it_is_promised(platform: Platform) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert platform.one(f"SHOW {setting}") == ("on",)
