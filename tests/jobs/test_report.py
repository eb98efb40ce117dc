"""What pairs of answers come to, to the last figure, of a few that anybody can work out."""

from __future__ import annotations

import math
from typing import Any

from jobs.shadows import measures, report
from jobs.shadows.answer import Brief
from jobs.shadows.pairs import Pair

B = Brief
#: What the stable version said, and what the shadow did.
PAIRS = [
    (B("a", 0.75, ms=4.0), B("a", 0.5, ms=6.0)),
    (B("a", 0.75, ms=2.0), B("b", 0.5)),
    (B("b", 0.25), B("a", 1.0, ms=9.0)),
    (B("b", 0.25, ms=8.0), B("b", 0.25, ms=8.0)),
    (B("c", 1.0, ms=1.0), B(error="MODEL_ERROR", ms=1.0)),
    (B(error="TIMED_OUT", ms=1.0), B("a", 1.0, ms=1.0)),
    (B(error="TIMED_OUT"), B(error="TIMED_OUT")),
]


def pair(number: int, stable: Brief, shadow: Brief) -> Pair:
    return Pair("m", "next", "2.0.0", "1.0.0", f"req_{number}", number * 2, f"digest {number}", stable, shadow)


def shown(number: int, distance: float, stable: dict[str, Any], shadow: dict[str, Any]) -> dict[str, Any]:
    asked = {"request_id": f"req_{number}", "place": number * 2, "digest": f"digest {number}"}
    return {**asked, "distance": distance, "stable": stable, "shadow": shadow}


def said(label: str, confidence: float) -> dict[str, Any]:
    return {"prediction": label, "confidence": confidence}


ABOUT = {"model": "m", "shadow": "next", "version": "2.0.0", "stable_version": "1.0.0"}


def test_labels_are_compared_where_both_have_one() -> None:
    found = report.of([pair(number, *both) for number, both in enumerate(PAIRS)])
    labels = found.pop("labels")
    assert found == {
        **ABOUT, "pairs": 7, "compared": 4, "stable_errors": 2, "shadow_errors": 2, "numbers": None,
        "latency": {
            "pairs": 2,
            "stable_ms": {"p50": 6.0, "p95": 4.0 + 0.95 * 4},
            "shadow_ms": {"p50": 7.0, "p95": 6.0 + 0.95 * 2},
            "difference_ms": {"p50": 1.0, "p95": 0.95 * 2},
        },
        "disagreements": [
            shown(1, 0.625, said("a", 0.75), said("b", 0.5)), shown(2, 0.625, said("b", 0.25), said("a", 1.0)),
        ],
    }  # fmt: skip
    agreement, shift = measures.share(2, 4), measures.mean([-0.25, -0.25, 0.75, 0.0])
    sure = labels.pop("confidence")
    assert labels == {
        "agreement": report.told(agreement), "kappa": 0.0, "confusion_left_out": 0, "js_divergence": 0.0, "psi": 0.0,
        "confusion": [
            {"stable": one, "shadow": other, "count": 1} for one in "ab" for other in "ab"
        ],
    }  # fmt: skip
    stable, shadow = [0, 0, 2, 0, 0, 0, 0, 2, 0, 0], [0, 0, 1, 0, 0, 2, 0, 0, 0, 1]
    half, quarter = 1 / 2 * math.log2(1 / 2 / (3 / 8)) / 2, 1 / 4 * math.log2(1 / 4 / (3 / 8)) / 2
    alone = [share * math.log2(2) / 2 for share in (1 / 2, 1 / 2, 1 / 4)]
    assert math.isclose(sure.pop("js_divergence"), half + quarter + sum(alone))
    bins = [((one + 0.5) / 9, (other + 0.5) / 9) for one, other in zip(stable, shadow, strict=True)]
    assert math.isclose(sure.pop("psi"), sum((other - one) * math.log(other / one) for one, other in bins))
    assert sure == {"shift": report.told(shift), "stable_histogram": stable, "shadow_histogram": shadow}
    assert report.told(agreement) == {
        "value": 0.5,
        "low": agreement and agreement.low,
        "high": agreement and agreement.high,
    }


def test_numbers_are_compared_where_both_have_one_and_the_farthest_are_shown_first() -> None:
    numbers = [(1.0, 1.0), (1.0, 3.0), (5.0, 2.0), (0.0, 2.0)]
    briefs = [(B(number=one), B(number=other)) for one, other in numbers]
    found = report.of([pair(number, *both) for number, both in enumerate([*briefs, (B(number=1.0), B(error="X"))])])
    apart = [0.0, 2.0, -3.0, 2.0]
    spread = measures.deviation(apart)
    assert found == {
        **ABOUT, "pairs": 5, "compared": 4, "stable_errors": 0, "shadow_errors": 1, "labels": None,
        "numbers": {
            "difference": report.told(measures.mean(apart)), "deviation": spread,
            "limits": [0.25 - 1.96 * spread, 0.25 + 1.96 * spread], "largest": 3.0,
        },
        "latency": {
            "pairs": 0, **{key: {"p50": None, "p95": None} for key in ("stable_ms", "shadow_ms", "difference_ms")},
        },
        "disagreements": [
            shown(2, 3.0, {"number": 5.0}, {"number": 2.0}), shown(1, 2.0, {"number": 1.0}, {"number": 3.0}),
            shown(3, 2.0, {"number": 0.0}, {"number": 2.0}),
        ],
    }  # fmt: skip


def test_no_more_than_twenty_disagreements_and_a_hundred_cells_are_shown() -> None:
    briefs = [(B(f"{number:03}", 1.0), B("other", 1.0)) for number in range(102)]
    found = report.of([pair(number, *both) for number, both in enumerate(briefs)])
    assert [item["request_id"] for item in found["disagreements"]] == [f"req_{number}" for number in range(20)]
    assert [item["stable"] for item in found["labels"]["confusion"]] == [f"{number:03}" for number in range(100)]
    assert found["labels"]["confusion_left_out"] == 2
