"""A number, or several of them with a name each: what regression gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from core import errors
from inference import keys, nodes
from inference.answers.answer import near
from inference.answers.single import Scores, rounded
from inference.faults import Fault
from inference.given import Floats
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Numbers as Found
from inference.output import Said

#: Golden numbers may differ by this much of their size, and small ones by this much, between machines and providers.
TOLERANCE = 0.001
MOST = 1000
_NUMBER = {"name": keys.text(required=True), "unit": keys.short(), "description": keys.short()}


class Numbers(Scores):
    """Floats [rows, numbers], or [rows] of one."""

    key = "numbers"
    own_keys: ClassVar[Mapping[str, Key]] = {"numbers": keys.listed(keys.mapping(_NUMBER), least=1)}
    golden_keys: ClassVar[Mapping[str, Key]] = {"prediction": keys.anything()}
    said_as = Found

    @property
    def width(self) -> int:
        return len(self.manifest.numbers)

    @property
    def wanted(self) -> str:
        names = ", ".join(number.name for number in self.manifest.numbers)
        return f"floats [rows, {self.width}], one for each of the numbers of model.yaml ({names})"

    def fits(self, item: Any) -> bool:
        # skl2onnx says [rows, 1] of every tree and forest, however many numbers it gives.
        return self.fits_exactly(item) or nodes.is_number(item)

    def row(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return [value] if np.ndim(value) == 0 else value
        names = [number.name for number in self.manifest.numbers]
        if value.keys() != set(names):
            gave, known = ", ".join(map(str, value)) or "nothing", ", ".join(names)
            raise errors.ModelError(f"{self.manifest.name} gave {gave}, but its numbers are {known}")
        return [value[name] for name in names]

    def of(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        names = [number.name for number in self.manifest.numbers]
        return [Found(dict(zip(names, values, strict=True))) for values in rounded(matrix)]

    @classmethod
    def broken(cls, manifest: Manifest) -> Iterator[Fault]:
        if len(manifest.numbers) > MOST:
            yield Fault(("numbers",), f"must have at most {MOST} entries; an embedding may be longer")

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        said, names = golden.answer.get("prediction"), [number.name for number in manifest.numbers]
        if len(names) == 1:
            if not _is_number(said):
                yield Fault(("prediction",), "must be a number")
        elif not isinstance(said, dict) or said.keys() != set(names) or not all(map(_is_number, said.values())):
            yield Fault(("prediction",), f"must be a mapping with a number for each of {', '.join(names)}")

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        said = golden.answer["prediction"]
        wanted = said if isinstance(said, dict) else dict.fromkeys(found.values, said)
        off = [name for name, value in found.values.items() if not near(wanted[name], value, TOLERANCE)]
        if not off:
            return None
        return f"must give {off[0]} {wanted[off[0]]}, but gives {found.values[off[0]]}"

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        values = dict(found.values)
        return {"prediction": next(iter(values.values())) if len(values) == 1 else values}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        each = {
            number.name: {"type": "number", **_facts(unit=number.unit, description=number.description)}
            for number in manifest.numbers
        }
        whole = {"type": "object", "properties": each, "required": [*each]}
        prediction = next(iter(each.values())) if len(each) == 1 else whole
        return {"type": "object", "properties": {"prediction": prediction}, "required": ["prediction"]}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _facts(**facts: str) -> dict[str, str]:
    """Those that were said; JSON Schema has no unit, and lets tools read what they do not know."""
    return {name: value for name, value in facts.items() if value}
