"""The statements of the product that write, and what a write has changed."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pkgutil
import re
import threading
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import sqlalchemy
from sqlalchemy import TextClause, event

import models
from tests.conftest import Platform

_LOCKS = re.compile(r"FOR (NO KEY )?UPDATE|DO UPDATE")
_WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\b")

#: What was answered at once is written a moment later, whatever a test does meanwhile.
_LATER = {"usage": "(SELECT * FROM usage WHERE kind <> 'inline')"}
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
#: When a key was used last is written a while later, in the middle of whatever is tested then.
_ROW, _KEY = "t::text", "(to_jsonb(t) - 'last_used_at')::text"


def _rows_of(table: str) -> str:
    return _LATER.get(table, f'"{table}"')


def _row_of(table: str) -> str:
    return _KEY if table == "api_keys" else _ROW


#: Rows of each table, as text.
Rows = Mapping[str, frozenset[str]]


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def writes(sql: str) -> bool:
    return _WRITES.search(_LOCKS.sub("", sql)) is not None


def constants(package: ModuleType) -> dict[str, TextClause]:
    """Every statement that a package has as a constant, as `package.module.NAME`."""
    return {
        f"{module.__name__}.{name}": value
        for module in _modules(package)
        for name, value in vars(module).items()
        if isinstance(value, TextClause)
    }


def writing(package: ModuleType) -> dict[str, TextClause]:
    """Those of them that write, as `module.NAME`."""
    of = f"{package.__name__}."
    return {name.removeprefix(of): value for name, value in constants(package).items() if writes(value.text)}


def hidden(package: ModuleType) -> list[str]:
    """Functions that make a statement which writes, where no list of constants would show it."""
    return [
        f"{module.__name__}.{function.name}"
        for module in _modules(package)
        for function in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("text", "sqlalchemy.text")
        if any(writes(ast.unparse(argument)) for argument in node.args)
    ]


def rows(platform: Platform) -> Rows:
    """Everything that the database holds."""
    tables = models.Base.metadata.tables
    each = [f"SELECT '{name}' AS name, {_row_of(name)} FROM {_rows_of(name)} AS t" for name in tables]
    found: dict[str, set[str]] = {name: set() for name in tables}
    with platform.admin.begin() as connection:
        for name, row in connection.exec_driver_sql(" UNION ALL ".join(each)):
            found[name].add(row)
    return {name: frozenset(there) for name, there in found.items()}


def digest(platform: Platform) -> dict[str, object]:
    """Of every table that there is, what is another one when any of its rows is: no two rows of a table are alike, so
    that the bits in which they differ tell of each, in whatever order they come."""
    names = sorted(str(row[0]) for row in platform.rows(_TABLES))
    assert {"jobs", "api_keys", "tiers"} <= set(names)
    each = " UNION ALL ".join(
        f"SELECT '{name}', count(*), bit_xor(hashtextextended({_row_of(name)}, 0)) FROM {_rows_of(name)} AS t"
        for name in names
    )
    return {str(name): (count, bits) for name, count, bits in platform.rows(each)}


def changed(before: Rows, after: Rows) -> dict[str, list[str]]:
    """What is not as it was, by table; nothing when all is."""
    return {name: sorted(before[name] ^ after[name]) for name in before if before[name] != after[name]}


@contextlib.contextmanager
def issued(engine: sqlalchemy.Engine, *, here: bool = False) -> Iterator[list[object]]:
    """The statements that an engine is given meanwhile, perhaps only those of this thread."""
    found: list[object] = []
    mine = threading.get_ident()

    def note(_connection: object, statement: object, *_: Any) -> None:
        if not here or threading.get_ident() == mine:
            found.append(statement)

    event.listen(engine, "before_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_execute", note)
