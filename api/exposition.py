"""What Prometheus is told: what this process counts, what all others have counted, and how the database stands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import prometheus_client
from prometheus_client.metrics_core import Metric

from core import database, errors, tally
from core.cached import Cached
from jobs.figures import Figures


@dataclass(frozen=True)
class _Families:
    """In the place of a registry, for prometheus_client to write."""

    found: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.found


def text(figures: Cached[Figures]) -> bytes:
    """Prometheus's text. Without the database only what this process counts: what nobody knows has no value."""
    ours = prometheus_client.REGISTRY.collect()
    with contextlib.suppress(*database.OUTAGES, errors.Unavailable):
        found = figures.get()
        return _written([*tally.with_others(ours, found.counted), *_gauges(found)])
    return _written(tally.with_others(ours, {}))


def _written(families: Iterable[Metric]) -> bytes:
    return prometheus_client.generate_latest(_Families(families))


def _gauges(found: Figures) -> Iterator[Metric]:
    queues = [({"pool": queue.pool, "tier": queue.tier}, queue) for queue in found.queues]
    yield _gauge("infer_queue_waiting", "Jobs that wait, first or again", [(of, q.waiting) for of, q in queues])
    yield _gauge(
        "infer_queue_delayed", "Those to be tried again at a later moment", [(of, q.delayed) for of, q in queues]
    )
    yield _gauge(
        "infer_queue_oldest_age_seconds", "Since the first was accepted", [(of, q.oldest_s) for of, q in queues]
    )
    yield _gauge("infer_jobs_running", "Jobs in the hands of a worker", [(of, q.running) for of, q in queues])
    pools = [({"pool": name}, pool) for name, pool in found.pools.items()]
    yield _gauge("infer_workers", "Processes that go round and run jobs", [(of, pool.workers) for of, pool in pools])
    heard = [(of, max(0.0, pool.silent_s)) for of, pool in pools if pool.silent_s is not None]
    yield _gauge("infer_workers_silent_seconds", "Since any of them was heard of", heard)
    done = [({"chore": item.name}, item) for item in found.chores]
    words = "When a piece of housekeeping last succeeded, in epoch seconds"
    yield _gauge("upkeep_last_success_timestamp_seconds", words, [(of, item.at_s) for of, item in done])
    yield _gauge("upkeep_late_seconds", "For how long it has been due", [(of, item.late_s) for of, item in done])
    webhooks = found.webhooks
    yield _gauge("webhook_pending", "Deliveries that wait to be sent, first or again", [({}, webhooks.pending)])
    overdue_s = max(0.0, webhooks.overdue_s)
    yield _gauge("webhook_oldest_pending_age_seconds", "For how long the first has been due", [({}, overdue_s)])
    yield _gauge("webhook_endpoints_disabled", "Endpoints that were switched off", [({}, webhooks.disabled)])


def _gauge(name: str, words: str, values: Iterable[tuple[dict[str, str], float]]) -> Metric:
    """Each value with its labels."""
    made = Metric(name, words, "gauge")
    for of, value in values:
        made.add_sample(name, of, value)
    return made
