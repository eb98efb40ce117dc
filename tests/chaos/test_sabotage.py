"""The checks, checked: each of these runs is against a platform that is broken on purpose, and must say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import show

#: What is broken → the lease, what is done, and what must be said about it.
CASES = {
    # What is told apart by where it shows is told in one run.
    ("no fence", "last digit", "called twice"): (
        5,
        ["a write comes late"],
        ["the result is of attempt 1, the job at 2", "has another result than its inputs alone", "was called 2 times"],
    ),
    ("no sweep",): (5, ["a wake-up is lost"], ["a job whose wake-up was lost did not end"]),
    ("lost wake-up",): (5, ["a wake-up is lost"], ["a job whose wake-up was lost did not end"]),
    ("no lease",): (3, ["a lease runs out"], ["a frozen child's job was not free again"]),
    # Under a lease that does not run out meanwhile, however busy the machine is.
    ("slow rescue",): (600, ["a child is killed"], ["a killed child's job was not free again"]),
    ("tired worker",): (3, ["the database is away", "work goes on"], ["a burst did not end"]),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("broken", CASES, ids=" ".join)
def test_a_run_against_a_broken_platform_fails(tmp_path: Path, broken: tuple[str, ...]) -> None:
    lease_s, scenes, said = CASES[broken]
    report = show.run(
        tmp_path, seed=1, minutes=0, every_s=1, lease_s=lease_s, scenes=scenes, sabotages=broken, say=print
    )
    told = [fault for faults in report.verdict.faults.values() for fault in faults]
    assert [words for words in said if not any(words in fault for fault in told)] == [], told
