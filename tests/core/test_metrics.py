"""What is counted, by its name and its labels: dashboards and alarms of operators are written for them."""

from __future__ import annotations

import math

import prometheus_client
import pytest
from prometheus_client import Counter, Gauge, Histogram

from core import metrics

Metric = Counter | Gauge | Histogram
COUNTERS = {
    "REQUESTS": ("http_requests", ("route", "method", "status")),
    "EXPRESS": ("http_express_requests", ("result",)),
    "REFUSED_AGAIN": ("http_requests_refused_again", ()),
    "CACHE_EVICTIONS": ("infer_cache_evictions", ()),
    "CALLS": ("grpc_requests", ("method", "status")),
    "ACCEPTED": ("infer_jobs_accepted", ("model",)),
    "CACHE": ("infer_cache_inputs", ("model", "result")),
    "INLINE": ("infer_inline", ("model", "version")),
    "MODELS_CLOSED": ("infer_models_closed", ("model",)),
    "REDIS_FAILURES": ("redis_failures", ()),
    "HINTS": ("infer_hints_sent", ("result",)),
    "SHADOWS": ("infer_shadow_copies", ("model", "result")),
    "HELD_BACK": ("access_held_back", ("level", "reason")),
    "CANARIES": ("routes_canaries_judged", ("model", "result")),
    "ATTEMPTS": ("infer_attempts", ("model", "result")),
    "LOST": ("infer_jobs_lost", ("found_by",)),
    "FENCED": ("infer_jobs_fenced_writes", ()),
    "WEBHOOKS": ("webhook_deliveries", ("result",)),
    "UNSHOWN": ("infer_jobs_unshown", ()),
    "CHORES": ("upkeep_chores", ("chore", "result")),
}
GAUGES = {
    "IN_FLIGHT": ("http_requests_in_flight", ()),
    "PREDICTIONS": ("http_predictions_in_flight", ()),
    "PREDICTIONS_KEPT": ("http_predictions_kept", ()),
    "WAITERS": ("http_waiters", ()),
    "STREAMS": ("http_event_streams", ()),
    "CACHE_BYTES": ("infer_cache_bytes", ()),
}
HISTOGRAMS = {
    "REQUEST_SECONDS": ("http_request_duration_seconds", ("route",)),
    "CALL_SECONDS": ("grpc_request_duration_seconds", ("method",)),
    "INFERENCE_SECONDS": ("infer_inference_seconds", ("model",)),
    "MODEL_OPEN_SECONDS": ("infer_model_open_seconds", ("model",)),
    "WEBHOOK_SECONDS": ("webhook_delivery_seconds", ()),
}


@pytest.mark.parametrize(("kind", "there"), [(Counter, COUNTERS), (Gauge, GAUGES), (Histogram, HISTOGRAMS)])
def test_every_metric_has_its_name_and_labels(
    kind: type[Metric], there: dict[str, tuple[str, tuple[str, ...]]]
) -> None:
    found = {name: value for name, value in vars(metrics).items() if isinstance(value, kind)}
    assert {name: (value._name, tuple(value._labelnames)) for name, value in found.items()} == there


def test_seconds_are_told_apart_from_a_millisecond_to_half_a_minute() -> None:
    edges = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, math.inf]
    assert {name: getattr(metrics, name)._upper_bounds for name in HISTOGRAMS} == dict.fromkeys(HISTOGRAMS, edges)


def test_when_a_counter_began_is_not_told() -> None:
    metrics.REDIS_FAILURES.inc(0)
    assert "_created" not in prometheus_client.generate_latest().decode()


def test_losses_are_told_from_zero_on() -> None:
    (family,) = metrics.LOST.collect()
    assert {"lease", "parent", "restart"} <= {item.labels["found_by"] for item in family.samples}


def test_who_tells_of_what() -> None:
    names = {id(value): name for name, value in vars(metrics).items() if isinstance(value, (Counter, Gauge, Histogram))}
    everybody = {
        "ACCEPTED", "CACHE", "INLINE", "INFERENCE_SECONDS", "MODEL_OPEN_SECONDS", "MODELS_CLOSED", "REDIS_FAILURES",
        "HINTS", "HELD_BACK", "SHADOWS", "CANARIES",
    }  # fmt: skip
    workers = {"ATTEMPTS", "LOST", "FENCED", "WEBHOOKS", "WEBHOOK_SECONDS", "UNSHOWN", "CHORES"}
    told = [{names[id(item)] for item in group} for group in (metrics.OF_ALL, metrics.OF_GRPC, metrics.OF_WORKERS)]
    assert told == [everybody, {"CALLS", "CALL_SECONDS"}, workers]
