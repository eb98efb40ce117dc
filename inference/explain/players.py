"""Who shares the credit for an answer: fields by their names, those that belong together as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference.manifest import Manifest


@dataclass(frozen=True)
class Players:
    """Their names, and of each the fields that are its own."""

    names: Sequence[str]
    fields: Sequence[Sequence[str]]

    def of_columns(self, columns: Sequence[str]) -> list[int]:
        """The number of each column's player."""
        number = {field: place for place, fields in enumerate(self.fields) for field in fields}
        return [number[name] for name in columns]


def of(manifest: Manifest, groups: Mapping[str, Sequence[str]]) -> Players:
    """In the order of the manifest's fields; one that is in a group stands where the group's first does."""
    group_of = {field: name for name, fields in groups.items() for field in fields}
    found: dict[str, list[str]] = {}
    for field in manifest.fields:
        found.setdefault(group_of.get(field.name, field.name), []).append(field.name)
    return Players([*found], [*found.values()])
