"""The model that a load is for, and what it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.failures import Failure
from cli.formats import ROWS
from cli.remote import Remote, part
from core import errors

BATCH = 8  #: inputs of a batch
ROWS_IN_FILE = 50


@dataclass(frozen=True)
class Model:
    """A version, and an input that it answers."""

    name: str
    version: str
    example: Mapping[str, Any]

    @property
    def asked(self) -> dict[str, Any]:
        return {"model": self.name, "model_version": self.version}

    @property
    def one(self) -> dict[str, Any]:
        return {**self.asked, "inputs": self.example}

    @property
    def several(self) -> dict[str, Any]:
        return {**self.asked, "inputs": [self.example] * BATCH}

    @property
    def rows(self) -> bytes:
        return (json.dumps(self.example) + "\n").encode() * ROWS_IN_FILE


def found(remote: Remote, name: str | None) -> Model:
    """The stable version of a model that is named; else of the first that answers rows at once, or later. Raises
    Failure where there is none."""
    names = [name] if name else [item["name"] for item in remote.get("/models", "models")["models"]]
    later = None
    for each in names:
        stable = remote.get(f"/models/{part(each)}", "stable_version")["stable_version"]
        seen = remote.get(f"/models/{part(each)}/versions/{part(stable)}", "inline", "example", "file_types")
        if not {*ROWS.values()} & {*seen["file_types"]}:
            continue
        model = Model(each, stable, seen["example"])
        if seen["inline"]:
            return model
        later = later or model
    if later is None:
        said = f"{name} takes a whole file" if name else "There is no model that takes rows"
        raise Failure(f"{said}: a load needs one that takes rows", code=errors.InvalidInput.code)
    return later
