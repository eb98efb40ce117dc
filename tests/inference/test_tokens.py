"""Texts as the tokenizer of a bundle writes them: no longer than the manifest says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from inference import bundle
from inference.kinds.tokens import MAX_TOKENS, Tokens

WORDS = "a good film " * 200


@pytest.mark.parametrize(("options", "most"), [({}, MAX_TOKENS), ({"max_tokens": 7}, 7)])
def test_a_text_is_cut_to_the_tokens_that_a_model_takes_and_a_shorter_one_filled_up(
    options: dict[str, Any], most: int
) -> None:
    found = bundle.load(Path(__file__).parents[2] / "bundles" / "sentiment-2")
    found = dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, options=options))
    encoded = Tokens(found, []).encode([{"text": WORDS}, {"text": "good"}])
    assert [item.shape for item in encoded.values()] == [(2, most)] * 2
    assert encoded["attention_mask"].sum(axis=1).tolist() == [most, 3]
