"""Kinds whose models take a whole file, with the manifest's fields as parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from inference import keys
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.kind import Kind
from inference.manifest import Manifest

#: Of a golden example, beside the answer.
GOLDEN: Mapping[str, Key] = {"file": keys.text(required=True), "inputs": keys.mapping()}


class FileKind(Kind):
    """`parameters` are the types, by their names, of all the fields that a manifest of the kind has."""

    parameters: ClassVar[Mapping[str, str]]

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        found = {field.name: field.type for field in manifest.fields if field.always}
        if found != self.parameters or len(found) != len(manifest.fields):
            named = ", ".join(f"{name} ({type_})" for name, type_ in self.parameters.items())
            yield Fault(("fields",), f"must hold {named}, each required or with a default")
