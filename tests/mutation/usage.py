"""Which tests execute a line: measured once for each file of tests, and kept until that file changes.

Lines are kept relative to their function, so that what is measured outlives changes elsewhere in the file. Of a
function that has changed itself, every test counts that executed any of it.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import coverage

from tests.engines import ROOT
from tests.mutation import plugin, seen
from tests.mutation.mutants import WITH_SQL, Mutant, files

CACHE = ROOT / ".mutation_cache"
#: What lasts minutes, or starts the whole platform: too long for one mutant after the other.
LONG = ("tests/chaos", "tests/local", "tests/clients", "tests/mutation")
MEASURES = [Path(module.__file__ or "") for module in (plugin, seen)]


@dataclass(frozen=True)
class Function:
    """A function or method of a file; nested ones belong to it. What stands before `body` is executed at import."""

    name: str
    first: int
    body: int
    last: int
    digest: str


@cache
def functions(path: str) -> list[Function]:
    source = (ROOT / path).read_text()
    lines = source.splitlines()

    def inside(body: Iterable[ast.stmt], prefix: str) -> Iterator[Function]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
                last = node.end_lineno or node.lineno
                text = "\n".join(lines[first - 1 : last])
                yield Function(
                    prefix + node.name, first, node.body[0].lineno, last, hashlib.sha256(text.encode()).hexdigest()[:12]
                )
            elif isinstance(node, ast.ClassDef):
                yield from inside(node.body, f"{prefix}{node.name}.")

    return list(inside(ast.parse(source).body, ""))


def digest(test_file: str) -> str:
    """Of a file of tests, of what its room shares, and of what measures."""
    beside = [ROOT / "tests/conftest.py", (ROOT / test_file).parent / "conftest.py", ROOT / test_file, *MEASURES]
    return hashlib.sha256(b"".join(path.read_bytes() for path in beside if path.exists())).hexdigest()[:16]


def test_files(rooms: Iterable[str], only: tuple[str, ...]) -> list[str]:
    """Those that are measured, of some folders if any are named; what is long only where its own room is asked for."""
    long = tuple(name for name in LONG if name.removeprefix("tests/") not in rooms)
    found = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
    return [name for name in found if not name.startswith(long) and (not only or name.startswith(only))]


def _kept_at(test_file: str) -> Path:
    return CACHE / f"{test_file.replace('/', '.')}.json"


def kept(test_file: str) -> dict[str, Any] | None:
    path = _kept_at(test_file)
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found if found and found["digest"] == digest(test_file) else None


def keep(test_file: str, answer: dict[str, Any], data: Path) -> dict[str, Any]:
    """Bring together what a file's tests and the processes that they started have executed."""
    ended = answer["ended"]
    passed = {item["test"]: item["seconds"] for item in ended if item["outcome"] == "passed"}
    places = {name: [place] for place, name in enumerate(passed)}
    places |= {plugin.WHOLE_FILE: list(range(len(passed))), plugin.FILLING: [-1]}
    lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for context, path, numbers in itertools.chain(_covered(data), answer["children"]):
        inside = _by_line(path)
        for line in numbers:
            if (function := inside.get(line)) is not None:
                lines[path][f"{function.name} {function.digest} {line - function.first}"].update(
                    places.get(context, [])
                )
    made = {
        "digest": digest(test_file),
        "seconds": passed,
        "shared_s": sum(item["shared_s"] for item in ended),
        "lines": {path: {line: sorted(who) for line, who in found.items() if who} for path, found in lines.items()},
    }
    CACHE.mkdir(exist_ok=True)
    _kept_at(test_file).write_text(json.dumps(made))
    return made


def _covered(data: Path) -> Iterator[tuple[str, str, list[int]]]:
    """Whom for, which file and which lines of it, by pytest's own process."""
    for file in data.parent.glob(f"{data.name}.*"):
        found = coverage.CoverageData(str(file))
        found.read()
        for path in found.measured_files():
            for line, contexts in found.contexts_by_lineno(path).items():
                for context in contexts:
                    yield context, path, [line]
        file.unlink()


def _inside_function(mutant: Mutant) -> bool:
    return any(item.body <= mutant.first_line <= item.last for item in functions(mutant.path))


def _by_line(path: str) -> dict[int, Function]:
    return {line: item for item in functions(path) for line in range(item.first, item.last + 1)}


@dataclass
class Usage:
    """Everything that is kept, to be asked about mutants."""

    seconds: dict[str, float] = field(default_factory=dict)
    #: What the fixtures take that a file's tests share, by file.
    shared_s: dict[str, float] = field(default_factory=dict)
    #: By file and function: the function's digest when it was measured, and who executed which of its lines.
    ran: dict[tuple[str, str], list[tuple[str, int, set[str]]]] = field(default_factory=lambda: defaultdict(list))

    #: By file, the tests that have noticed a change of it.
    noticed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, found: dict[str, Any]) -> None:
        self.seconds |= found["seconds"]
        self.shared_s |= {name.split("::")[0]: found["shared_s"] for name in found["seconds"]}
        tests = [*found["seconds"], plugin.FILLING]
        for path, lines in found["lines"].items():
            for key, who in lines.items():
                name, its_digest, line = key.split()
                self.ran[path, name].append((its_digest, int(line), {tests[place] for place in who}))

    def tests(self, mutant: Mutant) -> set[str]:
        """The tests that execute what changes, and FILLING if every test's beginning does."""
        if mutant.path.startswith("migrations/"):
            return {plugin.FILLING, *self.seconds}
        found = self.named(mutant)
        if mutant.sql or _inside_function(mutant):
            return found
        # What is made at import, such as the fields of a schema, is read by ways that no name tells.
        room = f"tests/{mutant.path.split('/', maxsplit=1)[0]}/"
        return found | {name for name in self.seconds if name.startswith(room)}

    def named(self, mutant: Mutant) -> set[str]:
        """Those of them that execute its line or, where that is executed at import, one with a name that it gives."""
        return self._of_lines(mutant.path, mutant.first_line, mutant.last_line, 0)

    def _of_lines(self, path: str, first: int, last: int, depth: int) -> set[str]:
        around = [item for item in functions(path) if item.first <= first <= item.last]
        if around:
            return self._of_function(path, around[0], first, last)
        found: set[str] = set()
        for name in _names(path, first) if depth < 3 else ():
            for user, line in _words()[name]:
                if (user == path or not name.startswith("_")) and not (user == path and first <= line <= last):
                    found |= self._of_lines(user, *_statement(user, line), depth + 1)
        if not found and depth == 0:
            found = set().union(*(self._of_function(path, item, item.first, item.last) for item in functions(path)))
        return found

    def _of_function(self, path: str, function: Function, first: int, last: int) -> set[str]:
        ran = self.ran[path, function.name]
        whole = first < function.body or any(its_digest != function.digest for its_digest, _, _ in ran)
        at = range(first - function.first, last - function.first + 1)
        return set().union(*(who for _, line, who in ran if whole or line in at))


@cache
def _names(path: str, line: int) -> list[str]:
    """What a line outside of functions gives a name to: a constant, or a class with its fields."""
    for node in ast.parse((ROOT / path).read_text()).body:
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            if isinstance(node, ast.ClassDef):
                return [node.name]
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            return [item.id for target in targets if target for item in ast.walk(target) if isinstance(item, ast.Name)]
    return []


@cache
def _words() -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for path in files([], WITH_SQL):
        for number, text in enumerate((ROOT / path).read_text().splitlines(), 1):
            for word in set(re.findall(r"[A-Za-z_]\w*", text)):
                found[word].append((path, number))
    return found


@cache
def _statement(path: str, line: int) -> tuple[int, int]:
    """The lines of the statement without a body that a line is in, else the line alone."""
    for node in _simple(path):
        if node[0] <= line <= node[1]:
            return node
    return line, line


@cache
def _simple(path: str) -> list[tuple[int, int]]:
    tree = ast.parse((ROOT / path).read_text())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body"))
    return [(node.lineno, node.end_lineno or node.lineno) for node in found]
