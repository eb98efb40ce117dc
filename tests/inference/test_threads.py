"""How many threads a session may use: never more than there are CPUs, or than the cgroup gives time to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference import bundle, model, threads

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        (None, 8), ("", 8), ("max", 8), ("max 100000", 8), ("1 2 3", 8),
        ("50000 100000", 1), ("100000 100000", 1), ("199999 100000", 1), ("200000 100000", 2), ("150000 50000\n", 3),
        ("800000 100000", 8), ("900000 100000", 8),
    ],
)  # fmt: skip
def test_threads_are_as_many_as_the_cgroup_gives_time_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(threads, "CPU_MAX", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert threads.available() == count


@pytest.mark.parametrize(
    ("name", "one_thread", "arena"),
    [
        ("tumor", True, True), ("sentiment-1", False, True), ("sentiment-2", False, True), ("speech", True, True),
        ("extra/documents", False, False),
    ],
)  # fmt: skip
def test_a_session_has_the_threads_that_its_kind_has_use_for_and_none_that_waits_in_a_loop(
    monkeypatch: pytest.MonkeyPatch, name: str, one_thread: bool, arena: bool
) -> None:
    monkeypatch.setattr(threads, "available", lambda: 5)
    for asked, given in ((0, 5), (3, 3)):
        for _, session in model.open_model(bundle.load(BUNDLES / name), threads=asked).graphs:
            options = session.get_session_options()
            assert options.intra_op_num_threads == (1 if one_thread else given)
            assert options.inter_op_num_threads == 1
            assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
            assert options.enable_cpu_mem_arena is arena
            assert options.log_severity_level == 4
            assert session.get_providers() == ["CPUExecutionProvider"]
