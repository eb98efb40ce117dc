from __future__ import annotations

from typing import Any

import pytest

from tests.mutation import mutants, trial
from tests.mutation.usage import Usage

TESTS = {
    "tests/api/test_a.py::test_other": 1.0,
    "tests/jobs/test_b.py::test_kin[1]": 5.0,
    "tests/jobs/test_b.py::test_kin[2]": 5.1,
    "tests/jobs/test_b.py::test_kin[3]": 5.2,
    "tests/api/test_a.py::test_slow": 9.0,
}
SHARED_S = {"tests/api/test_a.py": 0.0, "tests/jobs/test_b.py": 0.0}


def order(noticed: set[str], budget_s: float = 100.0) -> list[str]:
    found = trial.within("jobs/settle.py", TESTS, SHARED_S, noticed, budget_s)
    return [name.partition("test_")[2].partition("::test_")[2] for name in found]


def test_the_quick_come_first_of_them_the_room_s_own_and_a_test_s_other_cases_later() -> None:
    assert order(set()) == ["kin[1]", "kin[2]", "other", "kin[3]", "slow"]


def test_who_has_noticed_a_change_of_the_file_comes_before_those_who_have_not() -> None:
    assert order({"tests/api/test_a.py::test_slow"}) == ["kin[1]", "kin[2]", "slow", "other", "kin[3]"]


def test_no_more_are_run_than_the_budget_allows_and_one_at_least() -> None:
    assert order(set(), 10.2) == ["kin[1]", "kin[2]"]
    assert order(set(), 0.1) == ["kin[1]"]


def test_a_slow_one_of_the_room_is_not_left_out_for_thousands_of_quicker_ones() -> None:
    slow, quick = "tests/test_migrations.py::test_a", [f"tests/api/test_a.py::test_{number}" for number in range(1000)]
    seconds = {slow: 16.0, **dict.fromkeys(quick, 0.1)}
    shared_s = {"tests/test_migrations.py": 1.0, "tests/api/test_a.py": 0.0}
    found = trial.within("migrations/versions/0013_a.py", seconds, shared_s, (), 60.0)
    assert slow in found
    assert 58 < sum(found.values()) <= 60.0
    assert slow not in trial.within("migrations/versions/0013_a.py", seconds, shared_s, (), 50.0)


PASSED = {"test": "tests/jobs/test_b.py::test_kin[1]", "outcome": "passed", "why": ""}
FAILED = PASSED | {"outcome": "failed", "why": "no"}


@pytest.mark.parametrize(
    ("code", "ended", "killer"),
    [
        (0, [PASSED], None),
        (1, [FAILED], FAILED["test"]),
        (1, [PASSED], None),  # pytest complained when all had passed
        (trial.NOTHING_CHOSEN, [], None),
        (1, [], "nothing runs"),  # what -x says of files that cannot be imported
        (2, [], "nothing runs"),
        (-11, [], "nothing runs"),
        (None, [], trial.TOO_LONG),
    ],
)
def test_a_change_is_noticed_by_who_fails_by_all_that_cannot_run_and_by_time(
    code: int | None, ended: list[dict[str, Any]], killer: str | None
) -> None:
    mutant = next(iter(mutants.in_sql("migrations/versions/0001_first_tables.py")))
    usage = Usage(seconds=TESTS, shared_s=SHARED_S)
    verdict = trial.judge(mutant, usage, 0.1, lambda _: {"code": code, "ended": ended, "log": "what pytest wrote"})
    assert (verdict.how, verdict.killer) == (("killed", killer) if killer else ("survived", ""))
