"""A probability for each of some tags, of which any number may be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from inference import faults, keys
from inference.answers.labels import TOLERANCE
from inference.answers.single import Scores
from inference.faults import Fault
from inference.given import Floats
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Said
from inference.output import Tags as Found

AT_LEAST = 0.5


def _at_least(manifest: Manifest) -> float:
    return AT_LEAST if manifest.at_least is None else manifest.at_least


class Tags(Scores):
    """Floats [rows, tags] from 0 to 1, each by itself: an answer is those of at least `at_least`. A golden example says
    all of these with their scores."""

    key = "tags"
    own_keys: ClassVar[Mapping[str, Key]] = {
        "tags": keys.listed(keys.text(), least=1),
        "at_least": keys.number(0, 1, allow_none=True),
    }
    golden_keys: ClassVar[Mapping[str, Key]] = {"tags": keys.mapping(required=True)}
    probabilities = True
    said_as = Found

    @property
    def width(self) -> int:
        return len(self.manifest.tags)

    @property
    def wanted(self) -> str:
        return f"floats [rows, {self.width}], one for each of the tags of model.yaml ({', '.join(self.manifest.tags)})"

    def row(self, value: Any) -> Any:
        return self.by_name(value, self.manifest.tags)

    def of(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        least, found = _at_least(self.manifest), list[Said]()
        for values in np.round(matrix.astype(float), 6).tolist():
            scores = dict(zip(self.manifest.tags, values, strict=True))
            likely = [tag for tag, score in scores.items() if score >= least]
            found.append(Found(sorted(likely, key=lambda tag: -scores[tag]), scores))
        return found

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        least = _at_least(manifest)
        for tag, score in golden.answer["tags"].items():
            if tag not in manifest.tags:
                yield Fault(("tags", tag), f"is none of the tags: {faults.some(manifest.tags)}")
            elif type(score) not in (int, float) or not least <= score <= 1:
                yield Fault(("tags", tag), f"must be a number from {least:g} to 1")

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        wanted = golden.answer["tags"]
        for tag, score in wanted.items():
            if abs(found.scores[tag] - score) > TOLERANCE:
                return f"must give {tag} {score}, but gives it {found.scores[tag]}"
        others = [tag for tag in found.tags if tag not in wanted]
        return f"must not give {others[0]}, but gives it {found.scores[others[0]]}" if others else None

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        return {"tags": {tag: found.scores[tag] for tag in found.tags}}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        each = {
            "type": "object",
            "properties": {
                "label": {"type": "string", "enum": [*manifest.tags]},
                "confidence": {"type": "number", "minimum": _at_least(manifest), "maximum": 1},
            },
            "required": ["label", "confidence"],
        }
        tags = {"type": "array", "items": each, "maxItems": len(manifest.tags)}
        return {"type": "object", "properties": {"tags": tags}, "required": ["tags"]}
