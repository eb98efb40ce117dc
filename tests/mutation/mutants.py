"""Small changes of the project's Python, most of them mutmut's, and of the SQL in it, which are our own."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation import mutators

from tests.engines import ROOT
from tests.mutation import sql
from tests.mutation.rules import tells_nothing

#: Migrations count for their triggers alone.
ROOMS = (
    "access",
    "api",
    "cli",
    "core",
    "inference",
    "jobs",
    "local",
    "registry",
    "rpc",
    "serving",
    "storage",
    "webhooks",
    "wiring",
    "workers",
)
WITH_SQL = (*ROOMS, "migrations")


_MADE = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (?:public\.)?(\w+)")


@dataclass(frozen=True)
class Mutant:
    """`start` to `end` of a file's text becomes `new`; the lines are those of the statement around it. `sql`: it is in
    a statement for the database, which nobody but those who send it reads."""

    path: str
    start: int
    end: int
    new: str
    first_line: int
    last_line: int
    what: str
    sql: bool = False

    def applied(self, source: str) -> str:
        return source[: self.start] + self.new + source[self.end :]

    def shown(self, source: str) -> tuple[int, str, str]:
        """The line that changes, as it was and as it is."""
        begin = source.rfind("\n", 0, self.start) + 1
        finish = source.find("\n", self.end)
        finish = len(source) if finish < 0 else finish
        after = source[begin : self.start] + self.new + source[self.end : finish]
        return source.count("\n", 0, self.start) + 1, source[begin:finish].strip(), after.strip()


def in_sql(path: str) -> list[Mutant]:
    source = (ROOT / path).read_text()
    lines = [0, *(match.end() for match in re.finditer("\n", source))]
    found = []
    for node, statement in _strings(ast.parse(source)):
        text = _between(source, lines, node)
        literal = re.match(r'[rfRF]{0,2}("""|\'\'\'|"|\')', text)
        if not literal or not sql.is_sql(text) or text.count(literal[1]) != 2 or _is_gone(path, text):
            continue
        start = _offset(source, lines, node.lineno, node.col_offset) + literal.end()
        inner = text[literal.end() : -len(literal[1])]
        found += [
            Mutant(path, start + change.start, start + change.end, change.new, *statement, change.what, sql=True)
            for change in sql.changes(inner)
        ]
    return found


def _is_gone(path: str, text: str) -> bool:
    """Whether no database has the functions that a migration makes in it: a later one has made them anew, or they are
    for the way back."""
    made = _MADE.findall(text)
    return bool(made) and all(last_made().get(name) != path for name in made)


@functools.cache
def last_made() -> dict[str, str]:
    """Of each function that there is, the migration that has made it."""
    there = set(_MADE.findall((ROOT / "tests/migrations/schema.txt").read_text()))
    files = sorted((ROOT / "migrations/versions").glob("*.py"))
    made = {name: str(file.relative_to(ROOT)) for file in files for name in _MADE.findall(file.read_text())}
    return {name: path for name, path in made.items() if name in there}


def _strings(tree: ast.Module) -> Iterator[tuple[ast.expr, tuple[int, int]]]:
    """Each string that is no docstring, with the lines of the statement around it."""

    def visit(node: ast.AST, lines: tuple[int, int]) -> Iterator[tuple[ast.expr, tuple[int, int]]]:
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            lines = (node.lineno, node.end_lineno or node.lineno)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node, lines if lines[0] else (node.lineno, node.end_lineno or node.lineno)
            return
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lines)

    yield from visit(tree, (0, 0))


def _offset(source: str, lines: list[int], line: int, column: int) -> int:
    """Columns of ast are bytes."""
    start = lines[line - 1]
    return start + len(source[start : start + column].encode()[:column].decode(errors="ignore"))


def _between(source: str, lines: list[int], node: ast.expr) -> str:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    first = _offset(source, lines, node.lineno, node.col_offset)
    return source[first : _offset(source, lines, node.end_lineno, node.end_col_offset)]


# --- Python -------------------------------------------------------------------------------------------------------


def _string(node: cst.BaseString) -> Iterable[cst.CSTNode]:
    return itertools.islice(mutators.operator_string(node), 1)


def _whole_number(node: cst.Integer) -> Iterable[cst.CSTNode]:
    return mutators.operator_number(node)


def _operand(node: cst.BooleanOperation) -> Iterable[cst.CSTNode]:
    """`a and b` becomes `a`, and `b`."""
    yield node.left
    yield node.right


def _negated(node: cst.If | cst.While) -> Iterable[cst.CSTNode]:
    if m.matches(node.test, m.Comparison() | m.UnaryOperation(m.Not())):  # which others turn round
        return
    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_deep_changes(node, test=cst.UnaryOperation(cst.Not(), inner))


def _dropped(node: cst.SimpleStatementLine) -> Iterable[cst.CSTNode]:
    """A call, a raise, a del or a sum that is not done."""
    if m.matches(node.body[0], m.Expr(m.Call()) | m.Raise() | m.Del() | m.AugAssign()):
        yield node.with_changes(body=[cst.Pass()])


def _nothing(node: cst.Return) -> Iterable[cst.CSTNode]:
    if node.value is not None and not m.matches(node.value, m.Name("None")):
        yield node.with_changes(value=cst.Name("None"))


def _keyword(node: cst.Call) -> Iterable[cst.CSTNode]:
    """A call without one of the arguments that it names: with its default, if it has one."""
    for place, argument in enumerate(node.args):
        if argument.keyword is not None and not tells_nothing([argument]):
            yield node.with_changes(args=[*node.args[:place], *node.args[place + 1 :]])


#: Without mutmut's `x = None` and its dropped arguments without a name: Python itself refuses nearly all of those.
OPERATORS: list[tuple[type[Any], Callable[[Any], Iterable[cst.CSTNode]]]] = [
    (cst.Integer, _whole_number),
    (cst.BaseString, _string),
    (cst.Name, mutators.operator_name),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.Call, mutators.operator_symmetric_string_methods_swap),
    (cst.Call, mutators.operator_unsymmetrical_string_methods_swap),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.Match, mutators.operator_match),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.BooleanOperation, _operand),
    (cst.If, _negated),
    (cst.While, _negated),
    (cst.SimpleStatementLine, _dropped),
    (cst.Return, _nothing),
    (cst.Call, _keyword),
]

#: More than half of the nodes, in which there is nothing to change.
_MARKS = (
    cst.BaseParenthesizableWhitespace, cst.TrailingWhitespace, cst.EmptyLine, cst.Newline, cst.Comma, cst.Dot,
    cst.LeftParen, cst.RightParen, cst.AssignEqual, cst.Colon,
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A node that can be changed; the change is made when it is wanted, as there are thousands."""

    path: str
    module: cst.Module
    node: cst.CSTNode
    new: cst.CSTNode
    first_line: int
    last_line: int

    def mutant(self) -> Mutant:
        before, after = self.module.code, cast("cst.Module", self.module.deep_replace(self.node, self.new)).code
        start = next((i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(after))
        most = min(len(before), len(after)) - start
        same = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
        # Whole words and operators.
        start -= len(re.search(r"[\w!<>=]*$", before[:start])[0])
        same -= len(re.match(r"[\w!<>=]*", before[len(before) - same :])[0])
        end, new = len(before) - same, after[start : len(after) - same]
        what = f"`{_one_line(before[start:end])}` becomes `{_one_line(new)}`" if new else f"no `{before[start:end]}`"
        return Mutant(self.path, start, end, new, self.first_line, self.last_line, what)


def in_python(path: str) -> list[Site]:
    wrapper = MetadataWrapper(cst.parse_module((ROOT / path).read_text()))
    positions, parents = wrapper.resolve(PositionProvider), wrapper.resolve(ParentNodeProvider)
    found: list[Site] = []

    def ancestors(node: cst.CSTNode) -> list[cst.CSTNode]:
        line = [node]
        while line[-1] in parents:
            line.append(parents[line[-1]])
        return line

    def visit(node: cst.CSTNode) -> None:
        line = ancestors(node)
        if tells_nothing(line):
            return
        place = positions[_statement(line)]
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                lines = place.start.line, place.end.line
                found.extend(Site(path, wrapper.module, node, new, *lines) for new in operator(node))
        for child in node.children:
            if not isinstance(child, _MARKS):
                visit(child)

    visit(wrapper.module)
    return found


def _statement(line: list[cst.CSTNode]) -> cst.CSTNode:
    """The statement around a node, of one with a body only what stands before it."""
    if isinstance(line[0], cst.If | cst.While):
        return line[0].test
    for node, around in itertools.pairwise(line):
        if isinstance(node, cst.SimpleStatementLine):
            return node
        if isinstance(around, cst.If | cst.While | cst.For | cst.With | cst.ExceptHandler | cst.Match | cst.MatchCase):
            return node
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            return node
    return line[0]


def _one_line(text: str) -> str:
    found = " ".join(text.split())
    return found if len(found) <= 90 else f"{found[:87]}…"


def files(names: Iterable[str], rooms: Iterable[str]) -> list[str]:
    """The Python files of these rooms, folders or files, or of all the rooms; raises FileNotFoundError."""
    found: set[str] = set()
    for name in list(names) or rooms:
        path = ROOT / name.rstrip("/")
        if not path.exists():
            raise FileNotFoundError(f"there is no {name}")
        inside: list[Path] = [path] if path.is_file() else sorted(path.rglob("*.py"))
        found |= {str(file.relative_to(ROOT)) for file in inside}
    return sorted(found)
