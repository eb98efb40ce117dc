"""An explanation as a picture: SVG that needs nothing else, and says in words what it shows."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from inference.output import Explanation

#: Features with a bar of their own; what is left has one together.
MOST_BARS = 12
#: Of a feature's name, which may be words of a client.
MOST_LETTERS = 32
#: Blue and vermilion, which everybody tells apart; the sign of each number says the same.
UP, DOWN, LINE, INK = "#0072b2", "#d55e00", "#767676", "#1a1a1a"
WIDTH, LEFT, RIGHT, ROW, TOP = 760, 250, 90, 26, 58


@dataclass(frozen=True)
class _Step:
    """One bar, from what all before it come to."""

    name: str
    score: float
    begins: float


def waterfall(why: Explanation) -> str:
    """From the usual value, feature by feature, to that of this input; what moved it most comes first."""
    steps = _steps(why)
    height = TOP + ROW * len(steps) + 16
    ends = [why.base_value, *(step.begins + step.score for step in steps)]
    low, span = min(ends), (max(ends) - min(ends)) or 1.0

    def at(value: float) -> float:
        return LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT)

    said = "; ".join(f"{step.name} {step.score:+.3g}" for step in steps)
    line = f'<path d="M{at(why.base_value):.1f} {TOP - 16}V{height - 12}" stroke="{LINE}" stroke-dasharray="3 3"/>'
    bars = (shape for place, step in enumerate(steps) for shape in _bar(step, TOP + ROW * place, at))
    return framed(why, said, height, [line, *bars])


def framed(why: Explanation, said: str, height: int, shapes: Iterable[str]) -> str:
    """The shapes under a title, with the same in words."""
    title = f"Why {plain(why.output)}: {why.base_value:.3g} usually, {why.value:.3g} here ({why.scale})"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
            ' role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
            f'<title id="t">{html.escape(title)}</title>',
            f'<desc id="d">{html.escape(said)}</desc>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="16" y="24" font-size="15" fill="{INK}">{html.escape(title)}</text>',
            *shapes,
            "</svg>",
        ]
    )


def _steps(why: Explanation) -> Sequence[_Step]:
    order = sorted(zip(why.features, why.scores, strict=True), key=lambda each: -abs(each[1]))
    shown, left = order[:MOST_BARS], order[MOST_BARS:]
    bars = [(plain(name), score) for name, score in shown]
    bars += [(f"{len(left)} others", sum(score for _, score in left))] if left else []
    found, begins = [], why.base_value
    for name, score in bars:
        found.append(_Step(name, score, begins))
        begins += score
    return found


def _bar(step: _Step, y: int, at: Callable[[float], float]) -> Iterator[str]:
    """Its name, itself, and its number where it ends."""
    from_, to = sorted((at(step.begins), at(step.begins + step.score)))
    width, colour = max(1.0, to - from_), UP if step.score >= 0 else DOWN
    yield f'<text x="{LEFT - 12}" y="{y + 14}" text-anchor="end" fill="{INK}">{html.escape(step.name)}</text>'
    yield f'<rect x="{from_:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>'
    yield f'<text x="{to + 6:.1f}" y="{y + 14}" fill="{INK}">{step.score:+.3g}</text>'


def plain(name: str) -> str:
    """Short, in one line, and of characters that XML has."""
    line = " ".join(name.split()) or name
    shown = "".join(letter if _is_shown(letter) else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return shown if len(shown) <= MOST_LETTERS else f"{shown[: MOST_LETTERS - 1]}…"


def _is_shown(letter: str) -> bool:
    # Words of Persian and of India, and emoji of several parts, are written with joiners.
    return letter.isprintable() or letter in "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
