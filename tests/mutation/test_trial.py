from __future__ import annotations

from tests.mutation import trial

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
    assert order(set()) == ["kin[1]", "other", "kin[2]", "kin[3]", "slow"]


def test_who_has_noticed_a_change_of_the_file_comes_before_those_who_have_not() -> None:
    assert order({"tests/api/test_a.py::test_slow"}) == ["kin[1]", "slow", "other", "kin[2]", "kin[3]"]


def test_no_more_are_run_than_the_budget_allows_and_one_at_least() -> None:
    assert order(set(), 7.0) == ["kin[1]", "other"]
    assert order(set(), 0.1) == ["kin[1]"]
