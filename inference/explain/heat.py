"""An explanation of a text as a picture: the text as it reads, each word on a ground as deep as it moved the answer."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.explain.picture import DOWN, INK, LINE, MOST_BARS, TOP, UP, WIDTH, framed, plain
from inference.output import Explanation

#: Pixels of a letter, of which some are two wide, of a line, and of the margin.
LETTER, LINE_HEIGHT, MARGIN, GAP = 9, 42, 16, 4
#: How deep the ground of the word is that moved the answer most: black on it can be read.
DEEPEST = 0.55
#: A word has its number under it that moved the answer by so much of what the first did.
TOLD = 0.1


@dataclass(frozen=True)
class _Word:
    """Where a word stands, and what it did."""

    name: str
    score: float
    x: int
    line: int

    @property
    def width(self) -> int:
        return _width(self.name)


def heat(why: Explanation, text: str) -> str | None:
    """The words in their order, blue where they speak for the answer and vermilion where against it; None where these
    are not the words of this text, one after the other."""
    if not _is_read_so(why.features, text):
        return None
    words = list(_placed(why))
    most = max(map(abs, why.scores), default=0.0) or 1.0
    height = TOP + LINE_HEIGHT * (words[-1].line + 1) if words else TOP
    order = sorted(words, key=lambda word: -abs(word.score))
    said = "; ".join(f"{word.name} {word.score:+.3g}" for word in order[:MOST_BARS])
    return framed(why, said, height, (shape for word in words for shape in _drawn(word, word.score / most)))


def _is_read_so(names: Sequence[str], text: str) -> bool:
    place = 0
    for name in names:
        if (found := text.find(name, place)) < 0:
            return False
        place = found + len(name)
    return True


def _placed(why: Explanation) -> Iterator[_Word]:
    """Line by line, as wide as the picture."""
    x, line = MARGIN, 0
    for name, score in zip(map(plain, why.features), why.scores, strict=True):
        # The first fits: a name has MOST_LETTERS at most.
        if x + _width(name) > WIDTH - MARGIN:
            x, line = MARGIN, line + 1
        yield _Word(name, score, x, line)
        x += _width(name) + GAP


def _width(name: str) -> int:
    return LETTER * max(1, sum(map(_cells, name))) + 2 * GAP


def _cells(letter: str) -> int:
    # Accents of their own and joiners stand on or in what is before them.
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _drawn(word: _Word, part: float) -> Iterator[str]:
    y, colour = TOP + LINE_HEIGHT * word.line, UP if part >= 0 else DOWN
    yield f'<rect x="{word.x}" y="{y - 14}" width="{word.width}" height="20" rx="3" fill="{colour}" fill-opacity="{DEEPEST * abs(part):.3f}"/>'  # noqa: E501 - one shape
    # As wide as its ground, whatever font there is.
    yield (
        f'<text x="{word.x + GAP}" y="{y}" font-family="monospace" font-size="14" fill="{INK}" '
        f'textLength="{word.width - 2 * GAP}" lengthAdjust="spacingAndGlyphs">{html.escape(word.name)}</text>'
    )
    if abs(part) >= TOLD:
        yield (
            f'<text x="{word.x + word.width / 2:g}" y="{y + 18}" text-anchor="middle" font-size="10" '
            f'fill="{LINE}">{word.score:+.2g}</text>'
        )
