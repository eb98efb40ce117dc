from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.engines import ROOT
from tests.mutation import plugin
from tests.mutation.collected import COLD, changes
from tests.mutation.runner import Helper

SOURCE = """
LIMIT = 3

def least(kind="own"):
    return 2 if kind == "own" else 1

FROM = least()

def wrapped(work):
    def inner(*given):
        return work(*given) + 0
    return inner

class Desk:
    @wrapped
    def take(self, wanted):
        return min(wanted, LIMIT) - sum(1 for _ in range(1))

def never():
    return 5
"""
TESTS = """
import some

def test_one():
    assert some.Desk().take(3) == 2

def test_two():
    assert some.Desk().take(1) == 0
"""


def called(*names: str) -> set[tuple[str, str, int]]:
    lines = {"least": 4, "wrapped": 9}
    return {("some.py", name, lines[name]) for name in names}


@pytest.mark.parametrize(
    ("was", "becomes", "functions"),
    [
        ("min(wanted", "max(wanted", {"Desk.take"}),
        ("for _ in range(1)", "for _ in range(2)", {"Desk.take"}),
        ("sum(1 for", "sum(2 for", {"Desk.take", "Desk.take.<locals>.<genexpr>"}),
        ("work(*given) + 0", "work(*given) - 0", {"wrapped", "wrapped.<locals>.inner"}),
        ("return 5", "return 5.0", {"never"}),
    ],
)
def test_what_functions_do_is_changed_where_they_stand_and_around(was: str, becomes: str, functions: set[str]) -> None:
    found = changes("some.py", SOURCE, SOURCE.replace(was, becomes), called("least", "wrapped"))
    assert found is not None
    assert {name for _, name, _ in found} == functions


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("LIMIT = 3", "LIMIT = 4"), ('kind="own"', 'kind="other"'), ("return 2", "return 3"), ("@wrapped", "@never")],
)
def test_what_is_there_already_when_tests_are_collected_is_no_change_of_what_functions_do(
    was: str, becomes: str
) -> None:
    assert changes("some.py", SOURCE, SOURCE.replace(was, becomes), called("least", "wrapped")) is None


def test_each_change_is_tried_alone_and_what_needs_all_anew_is_said(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(SOURCE)
    (tmp_path / "test_some.py").write_text(TESTS)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    # Whatever lies in the folders above.
    arguments = [f"--rootdir={tmp_path}", "test_some.py", "-q"]
    helper = Helper("tests.mutation.collected", str(tmp_path / "log"), *arguments, cwd=tmp_path, env=env)
    usual = {"test_some.py::test_two": 0.1, "test_some.py::test_one": 0.1}

    def asked(was: str, becomes: str) -> tuple[object, dict[str, str]]:
        report = tmp_path / "report"
        report.unlink(missing_ok=True)
        told = {"usual": usual, "spare_s": 20.0, "report": str(report), "seen": ""}
        task = {"path": "some.py", "before": SOURCE, "source": SOURCE.replace(was, becomes), "limit_s": 60.0}
        (tmp_path / "task.json").write_text(json.dumps(told))
        code = helper.ask(task | {"environ": {plugin.TASK: str(tmp_path / "task.json")}})
        ended = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        return code, {item["test"].split("::")[1]: item["outcome"] for item in ended}

    try:
        assert asked("min(wanted", "max(wanted") == (1, {"test_two": "failed"})
        assert asked("work(*given) + 0", "work(*given) + 1") == (1, {"test_two": "failed"})
        assert asked("range(1)", "range(2)") == (1, {"test_two": "failed"})
        assert asked("min(wanted, LIMIT)", "wanted") == (0, {"test_two": "passed", "test_one": "passed"})
        assert asked("LIMIT = 3", "LIMIT = 4") == (COLD, {})
        assert asked("return 2", "return 3") == (COLD, {})
    finally:
        helper.end()
