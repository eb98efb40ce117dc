"""Mistakes in model.yaml as sentences: where, what is wanted, what was found, and what usually helps."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from core import errors

#: How the schema says that a key is unknown; behind it come the known ones.
UNKNOWN = "is unknown; there are: "
#: So much of a value is shown.
MAX_SHOWN = 60
#: What one of these lists is called.
ONE = {
    "fields": "field",
    "labels": "label",
    "tags": "tag",
    "tensors": "tensor",
    "boxes": "box",
    "numbers": "number",
    "golden": "golden example",
    "segments": "segment",
    "lines": "line",
    "enum": "enum value",
}
#: What other tools call a type or a kind, and what to do about it.
INSTEAD = {
    **dict.fromkeys(("float", "double", "float32", "float64", "decimal", "numeric"), "; write number"),
    **dict.fromkeys(("int", "int32", "int64", "long"), "; write integer"),
    **dict.fromkeys(("str", "text", "varchar", "category", "enum"), "; write string"),
    "bool": "; write boolean",
    **dict.fromkeys(("classification", "classifier", "table", "csv"), "; write tabular, or text for one text a row"),
    **dict.fromkeys(("sklearn", "scikit-learn", "pytorch", "torch", "joblib", "pickle"), "; write python"),
    **dict.fromkeys(("regression", "regressor"), "; write tabular, and numbers in place of labels"),
}
_NOTHING = object()


class Fault(NamedTuple):
    """What is wrong with the value at `path`: keys, and indexes of lists."""

    path: tuple[str | int, ...]
    issue: str


def of(messages: Any, path: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """Those that a schema found."""
    if not isinstance(messages, Mapping):
        yield Fault(path, str(messages[0]))
        return
    for key, inner in messages.items():
        yield from of(inner, path if key == "_schema" else (*path, key))


def either(names: Sequence[str]) -> str:
    """One of at least two, in words."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def some(names: Sequence[str]) -> str:
    """As many of them, and as much of each, as a sentence bears."""
    shown = [_cut(name) for name in names[: errors.MAX_FAULTS]]
    return ", ".join([*shown, "…"] if len(names) > len(shown) else shown)


def told(where: object, raw: Mapping[str, Any], found: Sequence[Fault]) -> str:
    """A sentence for each, at most MAX_FAULTS of them."""
    meant = {(*fault.path[:-1], near) for fault in found if (near := _near(fault))}
    # What is there under a name that is nearly right is not missing as well.
    found = [fault for fault in found if not (fault.issue.startswith("is missing") and fault.path in meant)]
    sentences = [_sentence(raw, fault) for fault in found[: errors.MAX_FAULTS]]
    if more := len(found) - len(sentences):
        sentences.append(f"and {more} more")
    return f"{where}: {sentences[0]}" if len(sentences) == 1 else "\n  ".join([f"{where}:", *sentences])


def _sentence(raw: Mapping[str, Any], fault: Fault) -> str:
    place, issue = _place(raw, fault.path), fault.issue
    if issue.startswith(UNKNOWN):
        if near := _near(fault):
            return f"{place} is unknown; did you mean {near}?"
        return f"{place} {issue if issue != UNKNOWN else 'is unknown'}"
    value = _value(raw, fault.path)
    if value is _NOTHING or not issue.startswith("must be "):
        return f"{place} {issue}"
    return f"{place} {issue}, but is {_shown(value)}{_hint(issue, value)}"


def _near(fault: Fault) -> str | None:
    """The key that an unknown one was probably to be."""
    if not fault.issue.startswith(UNKNOWN):
        return None
    known = fault.issue.removeprefix(UNKNOWN).split(", ")
    return next(iter(difflib.get_close_matches(str(fault.path[-1]).lower(), known, 1)), None)


def _place(raw: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """From the inside out, as one says it: minimum of field 2 (age)."""
    words: list[str] = []
    for at, key in enumerate(path):
        if isinstance(key, str):
            words.insert(0, _cut(key))
            continue
        name = _value(raw, (*path[: at + 1], "name"))
        words[0] = f"{ONE.get(words[0], words[0])} {key + 1}{f' ({_cut(name)})' if isinstance(name, str) else ''}"
    return " of ".join(words) or "it"


def _value(raw: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        try:
            raw = raw[key]
        except (LookupError, TypeError):
            return _NOTHING
    return raw


def _shown(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{_cut(value)}'"
        case list():
            return "a list"
        case dt.date():
            return f"the date {value}"
    return "a mapping"


def _hint(issue: str, value: object) -> str:
    match issue, value:
        case "must be a text", bool():
            return "; YAML reads yes, no, on and off as true and false: put it in quotes"
        case "must be a text", int() | float() | dt.date():
            return "; put it in quotes"
        case "must be a number", str() if (number := _number(value)) is not None:
            return f"; YAML takes it for a text: write {number}"
        case str(), str() if issue.startswith("must be one of ") and value in INSTEAD:
            return INSTEAD[value]
        case "must be a list", str():
            return f"; write [{_cut(value)}]"
    return ""


def _number(text: str) -> str | None:
    """How YAML 1.1 has to be told this number, if it is one."""
    try:
        shown = repr(float(text))
    except ValueError:
        return None
    return shown if "." in shown else shown.replace("e", ".0e")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
