"""A draft as the text of model.yaml, with a sentence beside each line that wants a person."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml

from inference.drafts.draft import Draft

HEAD = "# Drawn up from {source}. A comment asks something of you; docs/models.md has all keys."


class _Dumper(yaml.SafeDumper):
    """With what is not printable in double quotes, where it is escaped."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, None if text.isprintable() else '"'),
)


def text(draft: Draft, source: str) -> str:
    """The whole file; `source` is what it was drawn up from."""
    return "".join(f"{line}\n" for line in _lines(draft, source))


def _lines(draft: Draft, source: str) -> Iterator[str]:
    yield HEAD.format(source=_plain(source))
    for key, value in draft.says.items():
        note = draft.notes.get(key, "")
        if key not in ("options", "fields", "golden"):
            yield _noted(f"{key}: {_flow(value)}", note)
            continue
        yield _noted(f"{key}:", note)
        if key == "options":
            for name, said in value.items():
                yield _noted(f"  {name}: {_flow(said)}", draft.notes.get(f"options.{name}", ""))
            continue
        if key == "fields":
            for field, about in zip(value, draft.of_fields, strict=True):
                yield _noted(f"  - {_flow(field)}", about)
            continue
        for golden in value:
            for place, (name, said) in enumerate(golden.items()):
                yield f"  {' ' if place else '-'} {name}: {_flow(said)}"


def _noted(line: str, note: str) -> str:
    return f"{line}  # {_plain(note)}" if note else line


def _plain(note: str) -> str:
    """On one line, and nothing that YAML would refuse."""
    return "".join(char if char.isprintable() else " " for char in note)


def _flow(value: Any) -> str:
    """On one line."""
    dumped: str = yaml.dump(
        [value], Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return dumped.strip()[1:-1]
