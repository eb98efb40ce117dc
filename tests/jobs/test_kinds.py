"""What the platform knows of each kind of job without running one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from core.seal import Purpose
from jobs import kinds

USUAL = {
    "batches": False, "hidden": False, "repeats": True, "in_parts": False, "offset_s": 0.0, "leaves_files": False,
    "sealed": {},
}  # fmt: skip
#: What is other than usual about each.
KINDS: dict[str, dict[str, Any]] = {
    "predict": {"batches": True},
    "explain": {"offset_s": 1.0, "leaves_files": True},
    "file": {"leaves_files": True, "sealed": {"url": Purpose.INPUT_URL}},
    "bulk": {
        "in_parts": True, "offset_s": 30.0, "sealed": {"url": Purpose.INPUT_URL, "output_url": Purpose.OUTPUT_URL},
    },
    "chunk": {"hidden": True, "offset_s": 30.0},
    "publish": {"repeats": False},
}  # fmt: skip


def test_each_kind_has_its_name_and_its_ways() -> None:
    found = {name: {way: getattr(kind, way) for way in USUAL} for name, kind in kinds.KINDS.items()}
    assert found == {name: {**USUAL, **ways} for name, ways in KINDS.items()}
    assert {name: kind.name for name, kind in kinds.KINDS.items()} == {name: name for name in KINDS}


def test_what_explains_has_workers_of_its_own_where_it_needs_no_card() -> None:
    pools: dict[str, list[str]] = {name: [] for name in KINDS}
    for name, kind in kinds.KINDS.items():
        for pool in ("cpu", "gpu"):
            manifest: Any = SimpleNamespace(pool=pool)
            pools[name].append(kind.pool(manifest))
    assert pools == {**{name: ["cpu", "gpu"] for name in KINDS}, "explain": ["explain", "gpu"]}


def test_what_is_published_is_counted_under_one_name_and_all_else_by_its_model() -> None:
    counted = {name: kind.counted_as("m") for name, kind in kinds.KINDS.items()}
    assert counted == {**dict.fromkeys(KINDS, "m"), "publish": "(publish)"}


def test_what_is_made_for_a_job_lies_in_a_folder_of_its_own() -> None:
    folders = {name: kind.folder(UUID(int=1)) for name, kind in kinds.KINDS.items()}
    one = f"{0:031}1"
    assert folders == {**dict.fromkeys(KINDS, f"results/{one}/"), "bulk": f"bulk/{one}/"}
