"""What goes into each network is what it was trained on, by the word of the package that it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from inference import bundle, model, schema
from inference.audio import Listener
from inference.interrupt import Interrupt
from inference.kinds.tokens import Tokens
from inference.model import Model
from tests import graphs

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
CLS, SEP = 101, 102


def opened(name: str) -> Any:
    return model.open_model(bundle.load(BUNDLES / name))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("I LOVED it!", [1045, 3866, 2009, 999]),
        ("naïve  café", [15743, 7668]),
        ("unbelievably good", [4895, 8671, 2666, 3567, 6321, 2204]),
        ("[SEP] hi", [SEP, 7632]),
    ],
    ids=["case", "accents and spaces", "pieces", "special"],
)
def test_the_transformer_gets_the_tokens_of_transformers_tokenizer(text: str, ids: list[int]) -> None:
    """Of `AutoTokenizer` for all-MiniLM-L6-v2, which agreed on 12,893 texts."""
    encoded = Tokens(bundle.load(BUNDLES / "sentiment-2"), ()).encode([{"text": text}])
    assert encoded["input_ids"].tolist() == [[CLS, *ids, SEP]]
    assert encoded["attention_mask"].tolist() == [[1] * (len(ids) + 2)]


@pytest.mark.parametrize("count", [125, 126, 127, 900])
def test_a_long_text_is_cut_at_128_tokens_and_still_ends_as_texts_do(count: int) -> None:
    [ids] = Tokens(bundle.load(BUNDLES / "sentiment-2"), ()).encode([{"text": "so " * count}])["input_ids"].tolist()
    assert (ids[0], ids[-1], len(ids)) == (CLS, SEP, min(count + 2, 128))


@pytest.mark.parametrize(
    ("asked", "edges"),
    [
        ({}, [(0.834, 3.134), (3.458, 4.606), (4.738, 6.046), (7.586, 9.438)]),
        (
            {"threshold": 0.8, "min_speech_ms": 100, "min_silence_ms": 40, "speech_pad_ms": 200},
            [(0.824, 3.272), (3.288, 4.656), (4.656, 6.184), (7.416, 9.608)],
        ),
        (
            {"threshold": 0.2, "min_speech_ms": 0, "min_silence_ms": 0, "speech_pad_ms": 0},
            [(0.832, 0.928), (0.96, 3.136), (3.456, 4.608), (4.768, 6.016), (7.584, 8.064), (8.096, 9.44)],
        ),
    ],
    ids=["default", "strict", "eager"],
)
def test_speech_is_where_the_package_of_the_network_finds_it(
    asked: dict[str, Any], edges: list[tuple[float, float]]
) -> None:
    """By `get_speech_timestamps` of silero-vad 6.2.3, which runs its default graph a frame at a time."""
    listener: Listener = opened("speech")
    inputs = schema.validate_inputs(listener.bundle.manifest, asked)
    golden = BUNDLES / "speech" / "golden.flac"
    found = listener.answer(golden, inputs, progress=lambda _: None, interrupt=Interrupt())
    assert [(item["start"], item["end"]) for item in found["segments"]] == edges


def test_tumours_are_told_apart_as_well_as_the_card_says() -> None:
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    labels = data.target_names[data.target].tolist()
    _, rows, _, truth = train_test_split(
        data.data.astype(np.float32), labels, test_size=0.25, stratify=labels, random_state=0
    )
    tumor: Model = opened("tumor")
    inputs = [
        schema.validate_inputs(tumor.bundle.manifest, dict(zip(names, row.tolist(), strict=True))) for row in rows
    ]
    right = sum(found.label == label for found, label in zip(graphs.labels(tumor, inputs), truth, strict=True))
    assert (right, len(truth)) == (139, 143)


@pytest.mark.parametrize("text", ["A GOOD Film", "a good\u00a0film", " a  good\nfilm\t", "a good\0film"])
def test_word_weights_see_neither_case_nor_kinds_of_white_space(text: str) -> None:
    sentiment: Model = opened("sentiment-1")
    one, other = ({"text": each, "confidence_threshold": 0.0} for each in (text, "a good film"))
    assert sentiment.predict([one]) == sentiment.predict([other])
