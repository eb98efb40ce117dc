from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutation import mutants

Lines = Callable[[str], set[tuple[str, str]]]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The line before and after each change of a source."""
    monkeypatch.setattr(mutants, "ROOT", tmp_path)

    def change(source: str) -> set[tuple[str, str]]:
        (tmp_path / "some.py").write_text(source)
        found = [*(site.mutant() for site in mutants.in_python("some.py")), *mutants.in_sql("some.py")]
        return {mutant.shown(source)[1:] for mutant in found}

    return change


def test_conditions_numbers_calls_and_answers_are_changed(lines: Lines) -> None:
    found = lines("def f(a, b):\n    if a and b < 2:\n        g(a)\n    return a\n")
    assert found == {
        ("if a and b < 2:", "if not (a and b < 2):"),
        ("if a and b < 2:", "if a or b < 2:"),
        ("if a and b < 2:", "if a:"),
        ("if a and b < 2:", "if b < 2:"),
        ("if a and b < 2:", "if a and b <= 2:"),
        ("if a and b < 2:", "if a and b < 3:"),
        ("g(a)", "pass"),
        ("return a", "return None"),
    }


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is for, AND more: SELECT one."""\n',
        "import logging\nlog = logging.getLogger(__name__)\nlog.warning('gone', reason='SELECT 1')\n",
        "a: dict[str, 'Other'] = b\n",
        "__all__ = ['one']\n",
        "assert a is not None\n",
        "a = cast('Some', b)\n",
    ],
)
def test_what_only_people_and_mypy_read_is_left_alone(lines: Lines, source: str) -> None:
    assert lines(source) == set()


def test_an_error_s_words_are_left_alone_and_raising_it_is_not(lines: Lines) -> None:
    assert lines("raise errors.Refused('no', 'limit')\n") == {("raise errors.Refused('no', 'limit')", "pass")}


def test_sql_is_changed_where_it_stands_whatever_is_put_into_it(lines: Lines) -> None:
    source = 'a = text(f"""\nSELECT id\nFROM {TABLE} WHERE a = {A} AND naïve IS NULL\n""")\n'
    assert (
        "FROM {TABLE} WHERE a = {A} AND naïve IS NULL",
        "FROM {TABLE} WHERE a = {A} AND naïve IS NOT NULL",
    ) in lines(source)


def test_functions_that_a_later_migration_has_made_anew_or_that_are_gone_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "tests" / "migrations").mkdir(parents=True)
    (tmp_path / "tests" / "migrations" / "schema.txt").write_text("CREATE OR REPLACE FUNCTION public.kept()")
    for number, name in enumerate(("kept", "gone", "kept")):
        made = f'UP = """\nCREATE FUNCTION {name}() AS $$\nDELETE FROM a WHERE b = 1;\n$$\n"""\n'
        (versions / f"000{number}.py").write_text(made)
    mutants.last_made.cache_clear()
    counts = [len(mutants.in_sql(f"migrations/versions/000{number}.py")) for number in range(3)]
    mutants.last_made.cache_clear()
    assert [count > 0 for count in counts] == [False, False, True]
