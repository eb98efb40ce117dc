from __future__ import annotations

from pathlib import Path

import pytest

from core import processors
from core.processors import Processors


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "LOOK_S", 0.0)


def count(path: Path, *ticks: int) -> None:
    """As Linux has it: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice."""
    path.write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 1 1 1 1 1 1 1 1 1\n")


def test_it_is_the_part_of_what_passed_since_it_was_asked_before(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    count(path, 1000, 0, 0, 9000, 0, 0, 0, 0, 500, 0)
    found = Processors(path)
    count(path, 1060, 5, 5, 9020, 5, 1, 2, 2, 560, 0)  # a guest's time is the user's already
    assert found.idle() == 0.25
    count(path, 1060, 5, 5, 9120, 5, 1, 2, 2, 560, 0)
    assert found.idle() == 1.0


def test_what_was_told_a_moment_ago_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stat"
    count(path, 0, 0, 0, 0, 0, 0, 0, 0)
    found = Processors(path)
    count(path, 8, 0, 0, 2, 0, 0, 0, 0)
    assert found.idle() == 0.2
    assert found.idle() == 0.2  # not a tick has passed
    monkeypatch.setattr(processors, "LOOK_S", 60.0)
    count(path, 8, 0, 0, 12, 0, 0, 0, 0)
    assert found.idle() == 0.2


def test_where_nobody_counts_all_of_it_is_idle(tmp_path: Path) -> None:
    assert Processors(tmp_path / "stat").idle() == 1.0


def test_this_machine_is_read() -> None:
    found = Processors()
    assert 0.0 <= found.idle() <= 1.0
    assert found._before[1] > found._before[0] > 0
