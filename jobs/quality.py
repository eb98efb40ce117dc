"""How often the versions of a model were right, as far as anybody said afterwards what was true."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs.shadows import measures
from jobs.shadows.report import told

#: So many of a model's answers are looked at, those that were judged last.
MOST = 50_000

_READ = text("""
SELECT version, label, confidence, number, true_label, true_number FROM feedback WHERE model = :model
ORDER BY at DESC LIMIT :most
""")


def of(engine: sqlalchemy.Engine, model: str) -> list[dict[str, Any]]:
    """One entry for each version of which there is feedback, by version; raises Unavailable."""
    with database.reading(engine) as connection:
        rows = connection.execute(_READ, {"model": model, "most": MOST}).all()
    by_version = itertools.groupby(sorted(rows, key=lambda row: str(row.version)), key=lambda row: str(row.version))
    return [_version(version, list(found)) for version, found in by_version]


def _version(version: str, rows: Sequence[Any]) -> dict[str, Any]:
    labels = [(row.label == row.true_label, float(row.confidence)) for row in rows if row.label is not None]
    apart = [measures.difference(row.true_number, row.number) for row in rows if row.number is not None]
    return {
        "version": version,
        "judged": len(rows),
        "labels": _labels(labels) if labels else None,
        "numbers": _numbers(apart) if apart else None,
    }


def _labels(answers: Sequence[tuple[bool, float]]) -> dict[str, Any]:
    """Brier's score (1950) and the expected calibration error (Naeini and others, 2015), both of the label that was
    said."""
    count = len(answers)
    bins = [_bin(place, answers) for place in range(measures.BINS)]
    off = [item["count"] * abs(item["accuracy"] - item["confidence"]) for item in bins if item["count"]]
    return {
        "accuracy": told(measures.share(sum(right for right, _ in answers), count)),
        "brier": math.fsum((sure - right) ** 2 for right, sure in answers) / count,
        "calibration_error": math.fsum(off) / count,
        "bins": bins,
    }


def _bin(place: int, answers: Sequence[tuple[bool, float]]) -> dict[str, Any]:
    mine = [(right, sure) for right, sure in answers if measures.bin_of(sure) == place]
    return {
        "from": place / measures.BINS,
        "count": len(mine),
        "confidence": math.fsum(sure for _, sure in mine) / len(mine) if mine else None,
        "accuracy": sum(right for right, _ in mine) / len(mine) if mine else None,
    }


def _numbers(apart: Sequence[float]) -> dict[str, Any]:
    return {
        "mean_absolute_error": measures.average([*map(abs, apart)]),
        "root_mean_square_error": measures.root_mean_square(apart, len(apart)),
        "bias": told(measures.mean(apart)),
    }
