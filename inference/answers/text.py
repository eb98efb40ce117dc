"""A text for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from core import errors
from inference import given, keys, tensors
from inference.answers.single import Single
from inference.given import Array
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Said
from inference.output import Text as Found

#: Characters of one answer.
MOST = 1 << 20
#: So much of two texts is shown where they differ, and so much before.
SHOWN, BEFORE = 60, 20


class Text(Single):
    """Strings [rows] or [rows, 1]. A golden example says the whole text."""

    key = "text"
    own_keys: ClassVar[Mapping[str, Key]] = {"text": keys.flag()}
    golden_keys: ClassVar[Mapping[str, Key]] = {"text": keys.text(None, required=True)}
    said_as = Found

    @property
    def wanted(self) -> str:
        return "strings [rows], a text for each"

    def fits_exactly(self, item: Any) -> bool:
        return item.type == "tensor(string)" and item.shape[1:] in ([], [1])

    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        [texts], [output], model = values, self.outputs, self.manifest.name
        if texts.shape not in ((count,), (count, 1)):
            issue = f"gave '{output}' as {given.described(texts)}, but must give text [{count}]"
            raise errors.ModelError(f"{model} {issue}")
        if (longest := max(map(len, texts.flat))) > MOST:
            raise errors.ModelError(f"{model} gave '{output}' with a text of {longest} characters; it may have {MOST}")
        return [texts.reshape(count)]

    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        for row in rows:
            if not isinstance(row, str) or not tensors.is_text(row):
                what = "a lone surrogate, which is no character" if isinstance(row, str) else f"a {type(row).__name__}"
                raise errors.ModelError(f"{self.manifest.name} gave {what}, but must give texts")
        return [np.array(rows, dtype=object)]

    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        return [Found(text) for [texts] in runs for text in texts]

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        wanted, gives = golden.answer["text"], found.text
        if gives == wanted:
            return None
        pairs = enumerate(zip(wanted, gives, strict=False))
        at = next((place for place, (one, other) in pairs if one != other), min(len(wanted), len(gives)))
        part = slice(max(0, at - BEFORE), at + SHOWN - BEFORE)
        return f"must give the text {wanted[part]!r}, but gives {gives[part]!r}, different from character {at + 1} on"

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        return {"text": found.text}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:  # noqa: ARG003 - all texts are alike
        return {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
