"""What pairs of answers come to. It is made of the pairs alone, so anybody who has them comes to the same."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.shadows import measures
from jobs.shadows.answer import Brief
from jobs.shadows.pairs import Pair

#: So many disagreements are shown, and so many cells of the confusion.
SHOWN, CELLS = 20, 100


def of(pairs: Sequence[Pair]) -> dict[str, Any]:
    """At least one pair."""
    both = [pair for pair in pairs if pair.stable.error is None and pair.shadow.error is None]
    labels = [pair for pair in both if pair.stable.label is not None and pair.shadow.label is not None]
    numbers = [pair for pair in both if pair.stable.number is not None and pair.shadow.number is not None]
    first = pairs[0]
    return {
        "model": first.model,
        "shadow": first.name,
        "version": first.version,
        "stable_version": first.stable_version,
        "pairs": len(pairs),
        "compared": len(labels) + len(numbers),
        "stable_errors": sum(pair.stable.error is not None for pair in pairs),
        "shadow_errors": sum(pair.shadow.error is not None for pair in pairs),
        "labels": _labels(labels) if labels else None,
        "numbers": _numbers(numbers) if numbers else None,
        "latency": _latency(both),
        "disagreements": [_shown(pair, apart) for pair, apart in _farthest([*labels, *numbers])],
    }


def _labels(pairs: Sequence[Pair]) -> dict[str, Any]:
    cells = Counter((str(pair.stable.label), str(pair.shadow.label)) for pair in pairs)
    left, right = measures.margins(cells)
    agreed = sum(count for (one, other), count in cells.items() if one == other)
    shown = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    return {
        "agreement": told(measures.share(agreed, len(pairs))),
        "kappa": measures.kappa(cells),
        "confusion": [{"stable": one, "shadow": other, "count": count} for (one, other), count in shown[:CELLS]],
        "confusion_left_out": sum(count for _, count in shown[CELLS:]),
        "js_divergence": measures.divergence(left, right),
        "psi": measures.stability(left, right, left.keys() | right.keys()),
        "confidence": _confidence(pairs),
    }


def _confidence(pairs: Sequence[Pair]) -> dict[str, Any]:
    sure = [(pair.stable.confidence or 0.0, pair.shadow.confidence or 0.0) for pair in pairs]
    left, right = (Counter(measures.bin_of(each[side]) for each in sure) for side in (0, 1))
    bins = range(measures.BINS)
    return {
        "shift": told(measures.mean([other - one for one, other in sure])),
        "js_divergence": measures.divergence(left, right),
        "psi": measures.stability(left, right, bins),
        "stable_histogram": [left[place] for place in bins],
        "shadow_histogram": [right[place] for place in bins],
    }


def _numbers(pairs: Sequence[Pair]) -> dict[str, Any]:
    """After Bland and Altman (1986): between the limits lie 95 % of the differences, if they are normal."""
    apart = [_difference(pair) for pair in pairs]
    middle, spread = measures.mean(apart), measures.deviation(apart)
    assert middle is not None  # noqa: S101 - there is a pair
    return {
        "difference": told(middle),
        "deviation": spread,
        "limits": [measures.bounded(middle.value + off * spread) for off in (-1.96, 1.96)],
        "largest": max(map(abs, apart)),
    }


def _difference(pair: Pair) -> float:
    return measures.difference(pair.stable.number or 0.0, pair.shadow.number or 0.0)


def _latency(pairs: Sequence[Pair]) -> dict[str, Any]:
    timed = [(pair.stable.ms, pair.shadow.ms) for pair in pairs if pair.stable.ms is not None]
    both = [(one, other) for one, other in timed if other is not None]
    series = {
        "stable_ms": [one for one, _ in both],
        "shadow_ms": [other for _, other in both],
        "difference_ms": [other - one for one, other in both],
    }
    quantiles = {
        name: {"p50": measures.quantile(values, 0.5), "p95": measures.quantile(values, 0.95)}
        for name, values in series.items()
    }
    return {"pairs": len(both), **quantiles}


def _farthest(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, float]]:
    """Those that disagree, the largest first and of equals the earliest: of labels by how sure both were."""
    apart = [(pair, _apart(pair)) for pair in pairs]
    found = [(pair, distance) for pair, distance in apart if distance > 0]
    yield from sorted(found, key=lambda item: -item[1])[:SHOWN]


def _apart(pair: Pair) -> float:
    if pair.stable.label is None:
        return abs(_difference(pair))
    if pair.stable.label == pair.shadow.label:
        return 0.0
    return ((pair.stable.confidence or 0.0) + (pair.shadow.confidence or 0.0)) / 2


def _shown(pair: Pair, apart: float) -> dict[str, Any]:
    asked = {"request_id": pair.request_id, "place": pair.place, "digest": pair.digest, "distance": apart}
    return {**asked, "stable": _answer(pair.stable), "shadow": _answer(pair.shadow)}


def _answer(brief: Brief) -> dict[str, Any]:
    if brief.label is not None:
        return {"prediction": brief.label, "confidence": brief.confidence}
    return {"number": brief.number}


def told(interval: measures.Interval | None) -> dict[str, float | None] | None:
    return None if interval is None else dataclasses.asdict(interval)
