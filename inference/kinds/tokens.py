"""Text for transformers: token ids by the bundle's own tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference import keys
from inference.keys import Key
from inference.kinds import text

if TYPE_CHECKING:
    from inference.bundle import Bundle

TOKENIZER = "tokenizer.json"
MAX_TOKENS = 128
#: Which of two texts a token is of, as BERT's graphs ask; here there is one.
TYPE_IDS = "token_type_ids"


class Tokens:
    """`input_ids`, `attention_mask` and, for a graph that takes them, `token_type_ids`: int64 [N, longest], at most
    `options.max_tokens`."""

    def __init__(self, bundle: Bundle, takes: Sequence[Any]) -> None:
        # Loaded where there is such a model: it is 3 MB.
        import tokenizers

        self._types = any(item.name == TYPE_IDS for item in takes)
        self._field = text.read(bundle.manifest)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(bundle.folder / TOKENIZER))
        self._tokenizer.enable_truncation(int(bundle.manifest.options.get("max_tokens", MAX_TOKENS)))
        self._tokenizer.enable_padding()

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        encoded = self._tokenizer.encode_batch_fast([row[self._field] for row in rows])
        found = {
            "input_ids": np.array([item.ids for item in encoded], dtype=np.int64),
            "attention_mask": np.array([item.attention_mask for item in encoded], dtype=np.int64),
        }
        if self._types:
            found[TYPE_IDS] = np.array([item.type_ids for item in encoded], dtype=np.int64)
        return found


class TokensKind(text.TextKind):
    """Texts as well, and a tokenizer beside the graph."""

    files = (TOKENIZER,)
    option_keys: ClassVar[Mapping[str, Key] | None] = {"field": keys.text(), "max_tokens": keys.whole(1, 1 << 20)}

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Tokens:
        return Tokens(bundle, takes)
