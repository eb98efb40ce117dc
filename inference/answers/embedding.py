"""A vector of so many numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from inference import keys
from inference.answers.answer import FIRST, near
from inference.answers.single import Scores, rounded
from inference.faults import Fault
from inference.given import Floats
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Embedding as Found
from inference.output import Said

#: The numbers of a golden vector may differ by this much between machines and providers.
TOLERANCE = 0.01
MOST = 65_536


class Embedding(Scores):
    """Floats [rows, embedding]. A golden example says the first numbers, as many as it likes."""

    key = "embedding"
    own_keys: ClassVar[Mapping[str, Key]] = {"embedding": keys.whole(1, MOST)}
    golden_keys: ClassVar[Mapping[str, Key]] = {"embedding": keys.listed(keys.number(), least=1, required=True)}
    said_as = Found

    @property
    def width(self) -> int:
        return int(self.manifest.embedding or 0)

    @property
    def wanted(self) -> str:
        return f"floats [rows, {self.width}], the embedding of model.yaml"

    def of(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        return [Found(values) for values in rounded(matrix)]

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        if len(golden.answer["embedding"]) > (manifest.embedding or 0):
            yield Fault(("embedding",), f"must have at most {manifest.embedding} numbers")

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        wanted = golden.answer["embedding"]
        for place, (one, other) in enumerate(zip(wanted, found.vector, strict=False), start=1):
            if not near(one, other, TOLERANCE):
                return f"must give {one} as number {place} of its embedding, but gives {other}"
        return None

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        return {"embedding": list(found.vector[:FIRST])}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        vector = {
            "type": "array",
            "items": {"type": "number"},
            "minItems": manifest.embedding,
            "maxItems": manifest.embedding,
        }
        return {"type": "object", "properties": {"embedding": vector}, "required": ["embedding"]}
