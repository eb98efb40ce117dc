"""Reading model.yaml: plain values, and nothing of YAML that stands for more, or for something else, than it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from core import errors

NAME = "model.yaml"
#: 1:30 is 90, and 010 is 8.
TRAP = re.compile(r".*:.*|[-+]?0[0-9_]+")
#: The largest one.
MAX_BYTES = 1 << 20
#: What YAML's reader says, and what usually helps.
FIXES = {
    "mapping values are not allowed": "put a text with a colon in quotes",
    "but got '?'": "between braces, put a text with a question mark in quotes",
    "cannot start any token": "put it in quotes, and indent with spaces",
    "could not find expected ':'": "is there a space behind each colon?",
}


def read(folder: Path) -> dict[str, Any]:
    """What `folder/model.yaml` says, as JSON has it; raises BundleInvalid with a sentence that names the line."""
    return mapping(folder / NAME)


def mapping(path: Path) -> dict[str, Any]:
    """What a file in YAML says, in the same way."""
    try:
        raw = yaml.load(_text(path), _Plain)  # noqa: S506 - a SafeLoader
        # As it is kept: a lone surrogate is no text there.
        orjson.dumps(raw)
    except RecursionError as error:
        raise errors.BundleInvalid(f"{path} cannot be read: it is nested too deep") from error
    except yaml.YAMLError as error:
        raise errors.BundleInvalid(f"{path}{_told(error)}") from error
    except orjson.JSONEncodeError as error:
        raise errors.BundleInvalid(f"{path} cannot be read: it cannot be kept as JSON: {error}") from error
    if raw is None:
        raise errors.BundleInvalid(f"{path} is empty")
    if not isinstance(raw, dict):
        raise errors.BundleInvalid(f"{path} must be a mapping: lines of `key: value`")
    return raw


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "; rename model.yml" if path.with_suffix(".yml").exists() else ", which says what it takes and gives"
        raise errors.BundleInvalid(f"{path.parent} has no {NAME}{hint}") from error
    except OSError as error:
        raise errors.BundleInvalid(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise errors.BundleInvalid(f"{path} is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.BundleInvalid(
            f"{path} cannot be read: byte {error.start} is not UTF-8; save it as that"
        ) from error


def _told(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        problem = str(error.problem)
        if problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        fix = next((f": {FIXES[part]}" for part in FIXES if part in problem), "")
        return f" cannot be read, line {error.problem_mark.line + 1}: {problem}{fix}"
    # Of a character that may not be in a text.
    problem = " ".join(str(error).split()).replace('in "<unicode string>",', "at")
    return f" cannot be read: {problem}"


class _Plain(yaml.SafeLoader):
    """Without aliases, a few lines of which stand for more than any memory holds, without tags, which call for values
    that the text is not, and without keys that are there twice or are no texts."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ComposerError(None, None, "found an alias or a tag; write the value", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _refused(key, "is no text as a key; put it in quotes")
            if key.value in seen:
                raise _refused(key, "is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise _refused(node, f"looks like a date or a number, but is none ({error}); put it in quotes") from error
        if isinstance(found, (int, float)) and TRAP.fullmatch(str(node.value)):
            raise _refused(node, "would be read to the base of 60, or of 8; put it in quotes, or write the number out")
        if isinstance(found, int) and not -(2**63) <= found < 2**63:
            raise _refused(node, "has more than 64 bits")
        return found

    def construct_undefined(self, node: yaml.Node) -> Any:
        raise _refused(node, "means something of its own in YAML; put it in quotes")


# The one that SafeLoader has for what it does not know is bound to its class.
_Plain.add_constructor(None, _Plain.construct_undefined)


def _refused(node: yaml.Node, issue: str) -> ConstructorError:
    value = str(node.value)
    shown = value if len(value) <= errors.MAX_NAME else f"{value[: errors.MAX_NAME]}…"
    return ConstructorError(None, None, f"{shown!r} {issue}", node.start_mark)
