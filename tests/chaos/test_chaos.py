from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import show

SEED = 20261124
MINUTES = 1.0


@pytest.mark.timeout(900)
def test_nothing_accepted_is_lost_or_done_twice_whatever_is_killed(tmp_path: Path) -> None:
    report = show.run(tmp_path, seed=SEED, minutes=MINUTES, every_s=2.0, lease_s=5, say=print)
    print(report.table())
    assert report.verdict.faults == {}
    assert report.verdict.accepted > 100
    assert report.nemesis.kills > 5
