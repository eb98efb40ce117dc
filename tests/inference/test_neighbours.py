"""An answer is the row's own: the same to the last digit alone, in any company, and on any number of threads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from inference import bundle, model
from inference.bundle import Bundle
from inference.model import Model
from inference.output import Label
from tests import graphs

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
OF_ROWS = [
    loaded
    for path in sorted(BUNDLES.glob("*/model.yaml"))
    if not (loaded := bundle.load(path.parent)).manifest.takes_file
]
WORDS = [
    "I",
    "it",
    "the",
    "not",
    "very",
    "so",
    "film",
    "food",
    "staff",
    "loved",
    "hated",
    "great",
    "awful",
    "fine",
    "?",
]
ODD = [
    "brilliant!",
    "Great",
    "It is okay I guess",
    "?",
    "😀 ✨",
    "наука",
    "naïve café",
    "a\0b",
    "x" * 1000,
    "so " * 330,
]

Row = Mapping[str, Any]


def texts(draw: random.Random) -> list[Row]:
    lengths = [draw.choice((1, 2, 5, 9, 15, 30, 80)) for _ in range(90)]
    found = [*ODD, *(" ".join(draw.choices(WORDS, k=length)) for length in lengths)]
    return [{"text": text, "language": "en", "confidence_threshold": 0.0} for text in found]


def numbers(loaded: Bundle, draw: random.Random) -> list[Row]:
    """Around and between the golden examples, where the trees disagree most."""
    one, other = (golden.inputs for golden in loaded.manifest.golden)
    between = [{name: draw.uniform(one[name], other[name]) for name in one} for _ in range(3000)]
    return [{name: value * draw.uniform(0.5, 1.5) for name, value in row.items()} for row in between]


def batches(rows: Sequence[int], draw: random.Random) -> Iterator[Sequence[int]]:
    while rows:
        size = draw.choice((1, 2, 3, 7, 16, 32, 100))
        yield rows[:size]
        rows = rows[size:]


def opened(loaded: Bundle, threads: int) -> Model:
    found = model.open_model(loaded, threads=threads)
    assert isinstance(found, Model)
    return found


@pytest.mark.parametrize("loaded", OF_ROWS, ids=lambda loaded: f"{loaded.manifest.name}-{loaded.manifest.version}")
def test_an_answer_does_not_depend_on_its_neighbours_nor_on_the_threads(loaded: Bundle) -> None:
    draw = random.Random(7)
    rows = numbers(loaded, draw) if loaded.manifest.kind == "tabular" else texts(draw)
    alone = [opened(loaded, 1).predict([row])[0] for row in rows]
    for threads in (1, 3):
        shared, order = opened(loaded, threads), list(range(len(rows)))
        draw.shuffle(order)
        found: dict[int, Label] = {}
        for batch in batches(order, draw):
            found.update(zip(batch, graphs.labels(shared, [rows[index] for index in batch]), strict=True))
        assert [found[index] for index in range(len(rows))] == alone
