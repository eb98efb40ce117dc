"""What is not changed, because no test should notice: what people read, what only mypy reads, what means the same."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
from libcst import matchers as m

#: Arguments that people read.
_READ = ("description", "detail", "help", "message", "metavar", "summary", "title", "example", "examples")
_LOGS = m.Call(func=m.Attribute(value=m.Name("log") | m.Name("logger") | m.Name("_log")))
_FOR_MYPY = m.Call(func=m.Name("cast") | m.Name("TypeVar") | m.Name("NewType") | m.Name("ParamSpec"))
_DATACLASS = m.Decorator(m.Call(func=m.Name("dataclass")) | m.Name("dataclass"))
_ALL = m.Assign(targets=[m.AssignTarget(m.Name("__all__") | m.Name("__slots__"))])
_TYPE_CHECKING = m.If(test=m.Name("TYPE_CHECKING"))
_DOCSTRING = m.Expr(m.SimpleString() | m.ConcatenatedString())
#: Python opens a text file as UTF-8 on every machine that we run on.
_ENCODING = m.Arg(keyword=m.Name("encoding") | m.Name("errors") | m.Name("strict"))
_SAID = m.Arg(keyword=m.OneOf(*(m.Name(name) for name in _READ)))
_NOTHING = (
    cst.Annotation, cst.Import, cst.ImportFrom, cst.Assert, cst.Global, cst.Nonlocal, cst.TypeAlias,
)  # fmt: skip


def tells_nothing(line: Sequence[cst.CSTNode]) -> bool:
    """Whether a node (the first of the line, its ancestors behind it) is left as it is, and all that is in it."""
    node, parents = line[0], line[1:]
    if isinstance(node, _NOTHING) or any(
        m.matches(node, rule)
        for rule in (_LOGS, _FOR_MYPY, _DATACLASS, _ALL, _TYPE_CHECKING, _DOCSTRING, _ENCODING, _SAID)
    ):
        return True
    if isinstance(node, cst.SimpleStatementLine) and m.matches(node.body[0], m.Expr(_LOGS)):
        return True
    if isinstance(node, cst.Subscript) and parents and isinstance(parents[0], cst.Arg):
        return False
    if isinstance(node, cst.BaseString):
        return _is_read(node, parents)
    return False


def _is_read(node: cst.BaseString, parents: Sequence[cst.CSTNode]) -> bool:
    """Strings that only people read: an error's words, an argument of such a name; and SQL, which has its own rules."""
    for parent in parents:
        if isinstance(parent, cst.Raise) or (isinstance(parent, cst.Call) and _makes_error(parent)):
            return True
        if isinstance(parent, cst.Arg) and parent.keyword and parent.keyword.value in _READ:
            return True
        if isinstance(parent, cst.BaseStatement):
            break
    text = node.value if isinstance(node, cst.SimpleString) else ""
    return " " in text or text.startswith(('"""', "'''"))


def _makes_error(call: cst.Call) -> bool:
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else getattr(call.func, "value", "")
    module = call.func.value if isinstance(call.func, cst.Attribute) else None
    return m.matches(module, m.Name("errors")) if module else str(name).endswith(("Error", "Invalid", "Exception"))
