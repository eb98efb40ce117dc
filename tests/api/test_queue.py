"""What a waiting job is told of its place and of its start."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from core import ids
from tests import callers
from tests.api.test_job_life import JOBS, submit
from tests.conftest import Platform
from tests.hands import sign_of_life, took

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_waiting_job_knows_its_place_and_an_estimate_with_its_basis(client: FlaskClient, platform: Platform) -> None:
    submit(client)
    second = submit(client)
    queue = client.get(f"{JOBS}/{second}").get_json()["queue"]
    assert (queue["ahead"], queue["starts_in_s"]) == (1, None)
    assert "no worker of pool 'cpu'" in queue["basis"]
    sign_of_life(platform, "a/b/1", receives=True)
    assert client.get(f"{JOBS}/{second}").get_json()["queue"]["starts_in_s"] is None
    sign_of_life(platform, "a/b/2", works=True, jobs_per_s=0.1)
    answer = client.get(f"{JOBS}/{second}")
    assert answer.get_json()["queue"]["starts_in_s"] == 10.0
    assert answer.headers["Retry-After"] == "10"


def test_a_place_far_back_is_told_as_the_least_that_it_can_be(
    client: FlaskClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_of_life(platform, "a/b/1", receives=True)
    sign_of_life(platform, "a/b/2", works=True, jobs_per_s=0.1)
    jobs = [submit(client) for _ in range(4)]
    monkeypatch.setattr("jobs.place.MOST", 2)
    told = [client.get(f"{JOBS}/{job_id}").get_json()["queue"] for job_id in jobs]
    # In whatever order they stand: that is another test's.
    assert sorted((queue["ahead"], queue["at_least"], queue["starts_in_s"]) for queue in told) == [
        (0, False, 0.0), (1, False, 10.0), (2, True, 20.0), (2, True, 20.0),
    ]  # fmt: skip
    assert sum(queue["basis"].startswith("at least 2 jobs ahead, ") for queue in told) == 2


def test_of_workers_whose_speed_is_not_known_yet_the_head_alone_is_told_when_it_starts(
    client: FlaskClient, platform: Platform
) -> None:
    sign_of_life(platform, "a/b/1", receives=True, works=True)
    first, second = submit(client), submit(client)
    platform.execute("UPDATE jobs SET fair_at = fair_at - interval '1 min' WHERE id = :id", id=ids.parse_job_id(first))
    told = [client.get(f"{JOBS}/{job_id}").get_json()["queue"] for job_id in (first, second)]
    assert [(queue["ahead"], queue["starts_in_s"]) for queue in told] == [(0, 0.0), (1, None)]
    assert told[0]["basis"] == "0 jobs ahead, 1 worker at a speed that is not known yet"
    platform.execute("UPDATE jobs SET not_before = now() + interval '1 h'")
    told = [client.get(f"{JOBS}/{job_id}").get_json()["queue"] for job_id in (first, second)]
    assert 3000 < told[0]["starts_in_s"] <= 3600
    assert told[1]["starts_in_s"] is None


@pytest.mark.parametrize("frozen", ["parent", "child"])
def test_an_estimate_counts_on_nobody_who_is_frozen_or_whose_parent_is(
    client: FlaskClient, platform: Platform, frozen: str
) -> None:
    job_id = submit(client)
    sign_of_life(platform, "a/b/1", receives=True, silent_s=60 * (frozen == "parent"))
    sign_of_life(platform, "a/b/2", works=True, jobs_per_s=0.1, silent_s=60 * (frozen == "child"))
    queue = client.get(f"{JOBS}/{job_id}").get_json()["queue"]
    assert queue["starts_in_s"] is None
    assert "no worker of pool 'cpu' has been heard of since 20" in queue["basis"]


def test_of_workers_that_are_all_silent_the_one_that_was_heard_of_last_is_told(
    client: FlaskClient, platform: Platform
) -> None:
    job_id = submit(client)
    for number, silent_s in enumerate((7200, 60, 3600)):
        sign_of_life(platform, f"a/b/{number}", receives=True, works=True, silent_s=silent_s)
    last = platform.one(
        "SELECT to_char(max(seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM workers"
    )[0]
    queue = client.get(f"{JOBS}/{job_id}").get_json()["queue"]
    assert queue["basis"] == f"no worker of pool 'cpu' has been heard of since {last}"


def test_an_estimate_says_that_a_tenant_runs_as_many_as_it_may(client: FlaskClient, platform: Platform) -> None:
    sign_of_life(platform, "a/b/1", receives=True, works=True, jobs_per_s=0.1)
    first, second = submit(client), submit(client)
    took(platform)
    platform.execute("UPDATE jobs SET status = 'pending' WHERE id = :id", id=ids.parse_job_id(second))
    narrow = callers.tier(platform, max_running=1)
    platform.execute("UPDATE tenants SET tier = :tier WHERE id = (SELECT tenant_id FROM jobs LIMIT 1)", tier=narrow)
    queue = client.get(f"{JOBS}/{second}").get_json()["queue"]
    assert (queue["starts_in_s"], queue["basis"]) == (None, "your tier runs 1 job at once, and 1 of yours runs now")
    assert client.get(f"{JOBS}/{first}").get_json()["status"] == "processing"
