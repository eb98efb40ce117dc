"""What processes count that tell of themselves by no HTTP, beside what the API counts itself."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from core import tally

Said = dict[str, str]


def told(family: str, ours: Said | None, *theirs: Said) -> list[tuple[Said, float]]:
    """What is told of a counter: ours is 1, and the others are 2."""
    name = f"{family}_total"
    metric = Metric(family, "x", "counter")
    metric.samples = [] if ours is None else [Sample(name, ours, 1.0)]
    [made] = tally.with_others([metric], {family: [Sample(name, labels, 2.0) for labels in theirs]})
    assert (made.name, made.documentation, made.type) == (family, "x", "counter")
    return [(sample.labels, sample.value) for sample in made.samples]


def test_what_all_of_them_count_says_whose_it_is() -> None:
    m = {"model": "m"}
    assert told("infer_jobs_accepted", m, m, {**m, "process": "grpc"}) == [
        ({**m, "process": "api"}, 1.0), ({**m, "process": "worker"}, 2.0), ({**m, "process": "grpc"}, 2.0),
    ]  # fmt: skip


def test_what_others_alone_count_is_told_of_them_alone() -> None:
    for family in ("infer_attempts", "grpc_requests", "http_express_requests"):
        assert told(family, {"a": "api"}, {"a": "b"}) == [({"a": "b"}, 2.0)]


def test_what_is_counted_by_the_api_and_by_the_express_lane_is_told_of_both_as_they_say_it() -> None:
    express = {"route": "/", "process": "express"}
    assert told("http_requests", {"route": "/"}, express) == [({"route": "/"}, 1.0), (express, 2.0)]


def test_what_the_api_alone_counts_stays_as_it_is() -> None:
    assert told("infer_cache_evictions", {}) == [({}, 1.0)]
