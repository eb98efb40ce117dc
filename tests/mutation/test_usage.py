from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation import mutants, usage
from tests.mutation.mutants import Mutant

SOURCE = '''SQL = text("""
SELECT one FROM two WHERE three
""")
ALL = f"{SQL} AND four"


class Desk:
    places = 3

    def take(self, ours):
        if ours:
            return read(ALL)
        return None


@kept
@named("free")
def free():
    return Desk()
'''
LINES = {"SELECT": 2, "places": 8, "if ours": 11, "return read": 12, "return None": 13, "free": 17, "return Desk": 19}


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> usage.Usage:
    """Of one file, with a test for each of its ways."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "some.py").write_text(SOURCE)
    for module in (usage, mutants):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(usage, "WITH_SQL", ("jobs",))
    for kept in (usage.functions, usage._names, usage._words, usage._statement, usage._simple):
        kept.cache_clear()
    found = usage.Usage()
    take, free = (item.digest for item in usage.functions("jobs/some.py"))
    lines = {
        f"Desk.take {take} 1": [0, 1],
        f"Desk.take {take} 2": [0],
        f"Desk.take {take} 3": [1],
        f"free {free} 3": [2],
    }
    seconds = {"ours": 1.0, "theirs": 1.0, "freed": 1.0}
    found.add({"seconds": seconds, "shared_s": 0.0, "lines": {"jobs/some.py": lines}})
    return found


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("if ours", {"ours", "theirs"}),
        ("return read", {"ours"}),
        ("return None", {"theirs"}),
        ("SELECT", {"ours"}),
        ("places", {"freed"}),
        ("free", {"freed"}),
    ],
)
def test_a_change_is_tried_by_those_who_execute_it_and_a_constant_s_by_those_who_read_it(
    known: usage.Usage, changed: str, tests: set[str]
) -> None:
    line = LINES[changed]
    first, last = usage._statement("jobs/some.py", line)
    assert known.tests(Mutant("jobs/some.py", 0, 0, "", first, last, "")) == tests


def test_of_a_function_that_has_changed_since_whoever_executed_any_of_it_counts(known: usage.Usage) -> None:
    path = usage.ROOT / "jobs" / "some.py"
    path.write_text(SOURCE.replace("if ours:", "if not ours:"))
    usage.functions.cache_clear()
    line = LINES["return read"]
    assert known.tests(Mutant("jobs/some.py", 0, 0, "", line, line, "")) == {"ours", "theirs"}


def test_what_is_made_at_import_is_read_by_ways_that_no_name_tells_but_sql_is_not(known: usage.Usage) -> None:
    known.add({"seconds": {"tests/jobs/test_some.py::test_all": 1.0}, "shared_s": 0.0, "lines": {}})
    first, last = usage._statement("jobs/some.py", LINES["places"])
    fields = Mutant("jobs/some.py", 0, 0, "", first, last, "")
    assert known.tests(fields) == {"freed", "tests/jobs/test_some.py::test_all"}
    assert known.named(fields) == {"freed"}
    decorator = Mutant("jobs/some.py", 0, 0, "", LINES["free"], LINES["free"], "")
    assert known.tests(decorator) == {"freed", "tests/jobs/test_some.py::test_all"}
    first, last = usage._statement("jobs/some.py", LINES["SELECT"])
    assert known.tests(Mutant("jobs/some.py", 0, 0, "", first, last, "", sql=True)) == {"ours"}
