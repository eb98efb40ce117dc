"""What is counted where nobody scrapes: each process adds what it has counted to a table that all share.

The processes of workers, of gRPC and of the express lane come and go, on several machines, and none tells of itself by
HTTP. So the API tells of all of them together, by counters that never go back. Whoever is killed takes along what it
has counted since it last told.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy
from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from sqlalchemy import text

from core import metrics

#: In one order for everybody, so that no two wait for each other.
_ADD = text("""
INSERT INTO counts (name, labels, value)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:labels AS text[]), CAST(:values AS float[])) ORDER BY 1, 2
ON CONFLICT (name, labels) DO UPDATE SET value = counts.value + excluded.value
""")
_ALL = text("SELECT name, labels, value FROM counts")
_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")

Key = tuple[str, str]


class Tally:
    """One process's counters, and how much of them it has told."""

    def __init__(self, counted: Sequence[Counter | Histogram], process: str = "worker") -> None:
        # What is told of workers was kept without their name before there were others.
        self._counted, self._of = counted, {} if process == "worker" else {"process": process}
        self._told: dict[Key, float] = {}
        self._telling = threading.Lock()

    def tell(self, engine: sqlalchemy.Engine) -> None:
        """Add what is new. When nobody knows whether it arrived it is told again, and may be counted twice."""
        with self._telling:
            self._tell(engine)

    def _tell(self, engine: sqlalchemy.Engine) -> None:
        now = {
            _key(sample, self._of if metric in metrics.OF_ALL + metrics.OF_HTTP else {}): sample.value
            for metric in self._counted
            for sample in _samples(metric)
        }
        # Also what is still zero, once: who looks for an increase needs to have seen where it began.
        new = {key: value - self._told.get(key, 0.0) for key, value in now.items() if value != self._told.get(key)}
        if not new:
            return
        names, labels = zip(*new, strict=True)
        with engine.begin() as connection:
            connection.execute(_ADD, {"names": list(names), "labels": list(labels), "values": list(new.values())})
        self._told = now


def _samples(metric: Counter | Histogram) -> list[Sample]:
    return [item for family in metric.collect() for item in family.samples]


def _key(sample: Sample, of: Mapping[str, str]) -> Key:
    return sample.name, orjson.dumps({**sample.labels, **of}, option=orjson.OPT_SORT_KEYS).decode()


def told(engine: sqlalchemy.Engine) -> Mapping[str, Sequence[Sample]]:
    """What all of them have counted, by the name of the metric."""
    found: dict[str, list[Sample]] = {}
    with engine.connect() as connection:
        for name, labels, value in connection.execute(_ALL):
            found.setdefault(_SUFFIX.sub("", name), []).append(Sample(name, orjson.loads(labels), value))
    return {name: sorted(samples, key=_order) for name, samples in found.items()}


def _order(sample: Sample) -> tuple[Any, ...]:
    """One series after the other, and the buckets of each from low to high."""
    labels = {name: value for name, value in sample.labels.items() if name != "le"}
    return sorted(labels.items()), sample.name, float(sample.labels.get("le", "inf"))


def with_others(families: Iterable[Metric], counted: Mapping[str, Sequence[Sample]]) -> list[Metric]:
    """The metrics of this process of the API, and in their places those of all that cannot tell of themselves."""
    of_all, theirs = _names(metrics.OF_ALL), _names(metrics.OF_WORKERS + metrics.OF_GRPC + metrics.OF_EXPRESS)
    made = []
    for family in families:
        ours = [] if family.name in theirs else family.samples
        others = counted.get(family.name, ())
        if family.name in of_all:
            ours, others = _of("api", ours), _of("worker", others)
        made.append(Metric(family.name, family.documentation, family.type))
        made[-1].samples = [*ours, *others]
    return made


def _names(counted: Sequence[Counter | Histogram]) -> set[str]:
    return {family.name for metric in counted for family in metric.describe()}


def _of(process: str, samples: Sequence[Sample]) -> list[Sample]:
    """Each that does not say whose it is."""
    return [sample._replace(labels={"process": process, **sample.labels}) for sample in samples]
