"""What Prometheus is told."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy
import sqlalchemy.exc
from prometheus_client import Counter, Histogram, parser
from prometheus_client.registry import CollectorRegistry

from access import keys
from api import exposition
from core import tally
from core.cached import Cached
from core.chores import Done
from jobs import figures
from jobs.presence import Pool
from tests import factories
from tests.conftest import Platform
from tests.hands import sign_of_life, took
from webhooks.backlog import Backlog

pytestmark = pytest.mark.usefixtures("quiet")
Told = Callable[[], dict[tuple[str, frozenset[tuple[str, str]]], float]]


@pytest.fixture
def told(platform: Platform) -> Told:
    """Every series by its name and labels, each of which is there once."""

    def ask() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        text = exposition.text(Cached(lambda: figures.read(platform.engine), 0)).decode()
        names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names))
        samples = [item for family in parser.text_string_to_metric_families(text) for item in family.samples]
        found = {(item.name, frozenset(item.labels.items())): item.value for item in samples}
        assert len(found) == len(samples)
        return found

    return ask


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_the_queue_is_told_by_pool_and_tier_with_zeros_where_nobody_waits(
    platform: Platform, new_job: Callable[..., UUID], told: Told
) -> None:
    first, _ = new_job(), new_job()
    free, _ = platform.new_tenant("free")
    new_job(caller=free, pool="gpu")
    ago = "now() - interval '1 hour'"
    platform.execute(f"UPDATE jobs SET created_at = {ago}, not_before = {ago} WHERE id = :id", id=first)
    found = told()
    cpu, gpu = {"pool": "cpu", "tier": "pro"}, {"pool": "gpu", "tier": "free"}
    assert (found[key("infer_queue_waiting", **cpu)], found[key("infer_queue_waiting", **gpu)]) == (2, 1)
    assert found[key("infer_queue_waiting", pool="cpu", tier="free")] == 0
    assert 3600 <= found[key("infer_queue_oldest_age_seconds", **cpu)] < 3700
    for pool, tier in (("gpu", "pro"), ("cpu", "free")):
        names = ("infer_queue_oldest_age_seconds", "infer_queue_waiting", "infer_queue_delayed", "infer_jobs_running")
        assert [found[key(name, pool=pool, tier=tier)] for name in names] == [0, 0, 0, 0]
    took(platform)
    platform.execute("UPDATE jobs SET not_before = now() + interval '1 h' WHERE pool = 'gpu'")
    found = told()
    assert (found[key("infer_queue_waiting", **cpu)], found[key("infer_jobs_running", **cpu)]) == (0, 2)
    assert (found[key("infer_queue_waiting", **gpu)], found[key("infer_queue_delayed", **gpu)]) == (1, 1)


def test_what_waits_for_its_time_or_as_a_part_of_a_file_for_its_turn_is_not_late(
    platform: Platform, told: Told
) -> None:
    tenant = factories.tenant(platform)
    ago = sqlalchemy.text("now() - interval '2 h'")
    later = factories.job(platform, tenant, created_at=ago, not_before=factories.SOON)
    bulk = factories.parked(platform, tenant, created_at=ago, not_before=ago)
    factories.chunk(platform, bulk, part=1, created_at=ago, not_before=ago)
    where = {"pool": "cpu", "tier": "pro"}
    assert told()[key("infer_queue_waiting", **where)] == 2
    assert told()[key("infer_queue_oldest_age_seconds", **where)] == 0
    platform.execute("UPDATE jobs SET not_before = now() - interval '1 h' WHERE id = :id", id=later["id"])
    assert 3600 <= told()[key("infer_queue_oldest_age_seconds", **where)] < 3700


def test_workers_are_told_by_pool_and_for_how_long_they_are_silent(platform: Platform, told: Told) -> None:
    assert told()[key("infer_workers", pool="cpu")] == 0
    sign_of_life(platform, "a/b/1", receives=True)
    sign_of_life(platform, "a/b/2", works=True)
    sign_of_life(platform, "a/b/3", works=True, silent_s=60)
    found = told()
    assert (found[key("infer_workers", pool="cpu")], found[key("infer_workers", pool="gpu")]) == (1, 0)
    assert found[key("infer_workers_silent_seconds", pool="cpu")] < 30
    assert key("infer_workers_silent_seconds", pool="gpu") not in found


def test_what_several_processes_count_is_one_series_that_never_goes_back(platform: Platform) -> None:
    platform.truncate("counts")

    def process() -> tuple[tally.Tally, Counter, Histogram]:
        registry = CollectorRegistry()
        lost = Counter("lost_total", "x", ["by"], registry=registry)
        seconds = Histogram("seconds", "x", ["model"], buckets=(0.1, 10), registry=registry)
        return tally.Tally((lost, seconds)), lost, seconds

    one, two, later = process(), process(), process()
    for _, lost, seconds in (one, two):
        lost.labels('odd "name"\n').inc(2)
        seconds.labels("m").observe(1)
    for number in range(3):
        one[0].tell(platform.engine)
        two[0].tell(platform.engine)
        if number:
            one[1].labels('odd "name"\n').inc()
    later[1].labels("never").inc(0)
    later[0].tell(platform.engine)
    found = tally.told(platform.engine)
    assert [(item.labels["by"], item.value) for item in found["lost"]] == [("never", 0), ('odd "name"\n', 5)]
    buckets = [(item.labels["le"], item.value) for item in found["seconds"] if item.name == "seconds_bucket"]
    assert buckets == [("0.1", 0), ("10.0", 2), ("+Inf", 2)]


def test_all_processes_write_what_they_count_in_one_order_so_that_no_two_wait_for_each_other(
    platform: Platform,
) -> None:
    platform.truncate("counts")
    registry = CollectorRegistry()
    late, early = (Counter(name, "x", ["by"], registry=registry) for name in ("late_total", "early_total"))
    for counter in (late, early):
        for by, times in (("c", 1), ("a", 3), ("b", 2)):
            counter.labels(by).inc(times)
    tally.Tally((late, early)).tell(platform.engine)
    # Where a row lies says when it was written.
    written = platform.rows("SELECT name, labels FROM counts WHERE name LIKE '%\\_total' ORDER BY ctid")
    assert len(written) == 6
    assert written == sorted(written)


def test_all_that_the_database_says_is_told_under_its_name() -> None:
    at = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    found = figures.Figures(
        queues=[figures.Queue("cpu", "pro", waiting=5, delayed=2, oldest_s=1.5, running=3)],
        pools={"cpu": Pool(4, at, 0.5), "gpu": Pool(0, at, -1.0), "explain": Pool()},
        webhooks=Backlog(pending=7, overdue_s=8.5, disabled=9),
        chores=[Done("rescue", at, 6.5)],
        counted={},
    )

    def gauges(found: figures.Figures) -> dict[str, float]:
        told = (line.rpartition(" ") for line in exposition.text(Cached(lambda: found, 0)).decode().splitlines())
        ours = ("infer_queue", "infer_jobs_running", "infer_workers", "upkeep_", "webhook_pending", "webhook_oldest",
                "webhook_endpoints")  # fmt: skip
        return {name: float(value) for name, _, value in told if name.startswith(ours)}

    assert gauges(found) == {
        'infer_queue_waiting{pool="cpu",tier="pro"}': 5.0, 'infer_queue_delayed{pool="cpu",tier="pro"}': 2.0,
        'infer_queue_oldest_age_seconds{pool="cpu",tier="pro"}': 1.5, 'infer_jobs_running{pool="cpu",tier="pro"}': 3.0,
        'infer_workers{pool="cpu"}': 4.0, 'infer_workers{pool="gpu"}': 0.0, 'infer_workers{pool="explain"}': 0.0,
        'infer_workers_silent_seconds{pool="cpu"}': 0.5, 'infer_workers_silent_seconds{pool="gpu"}': 0.0,
        'upkeep_last_success_timestamp_seconds{chore="rescue"}': at.timestamp(),
        'upkeep_late_seconds{chore="rescue"}': 6.5,
        "webhook_pending": 7.0, "webhook_oldest_pending_age_seconds": 8.5, "webhook_endpoints_disabled": 9.0,
    }  # fmt: skip
    early = dataclasses.replace(found, webhooks=Backlog(pending=0, overdue_s=-1.0, disabled=0))
    assert gauges(early)["webhook_oldest_pending_age_seconds"] == 0


def test_nothing_old_is_told_while_the_database_is_away(platform: Platform, new_job: Callable[..., UUID]) -> None:
    new_job()
    away = [figures.read(platform.engine)]

    def read() -> figures.Figures:
        if away:
            return away.pop()
        raise sqlalchemy.exc.OperationalError("", {}, Exception())

    cached = Cached(read, 0)
    assert b"infer_queue_waiting{" in exposition.text(cached)
    without = exposition.text(cached)
    assert b"http_requests_in_flight" in without
    assert not [
        line for line in without.splitlines() if line.startswith((b"infer_queue", b"infer_workers", b"webhook_"))
    ]


def test_the_route_tells_who_has_the_scope(platform: Platform, anonymous: object) -> None:
    made = keys.create(platform.engine, tenant="monitoring", name="prometheus", scopes={"metrics"})
    answer = anonymous.get("/metrics", headers={"Authorization": f"Bearer {made}"})  # type: ignore[attr-defined]
    assert 'infer_workers{pool="cpu"}' in answer.get_data(as_text=True)
