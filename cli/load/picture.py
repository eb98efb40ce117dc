"""A load as a picture: latencies over time, and by route, on a scale of powers of ten."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, HIGH, TOP, ROW = 900, 270, 40, 260, 60, 34
#: Okabe and Ito's, told apart by those who see few colours; and by their dashes and marks.
STYLES = {"p50": ("#0072B2", ""), "p99": ("#E69F00", "8 4"), "p99_9": ("#000000", "2 3")}
SHOWN = {"p50": "p50", "p99": "p99", "p99_9": "p99.9"}


def svg(said: Mapping[str, Any]) -> str:
    """One SVG document that needs nothing else."""
    routes, moments = said["routes"], said["moments"]
    values = [value for row in [*routes, *moments] for name in STYLES if (value := row[name])]
    least = math.floor(math.log10(min(values, default=1.0)))
    most = max(math.ceil(math.log10(max(values, default=10.0))), least + 1)
    height = TOP + HIGH + 90 + ROW * len(routes)
    about = f"{said['model']} {said['model_version']}, {said['asked_per_s']:g} requests a second"
    tickets = ", ".join(f"{name} {number}" for name, number in said["tickets"].items())
    told = "; ".join(f"{row['route']}: p50 {row['p50']} ms, p99 {row['p99']} ms" for row in routes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title desc" font-family="sans-serif" font-size="12">',
        f'<title id="title">{escape(f"Latencies under load: {about}")}</title>',
        f'<desc id="desc">{escape(f"{told}. Tickets: {tickets}")}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(20, 24, f"Latency from when a request was due: {about}", size=15),
        *_legend(),
        *_over_time(moments, said["seconds"], least, most),
        *_by_route(routes, least, most),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> Iterator[str]:
    for place, (name, (colour, dashes)) in enumerate(STYLES.items()):
        x = LEFT + 90 * place
        yield _line(x, 44, x + 30, 44, colour, dashes, width=2)
        yield _text(x + 36, 48, SHOWN[name])


def _over_time(moments: Sequence[Mapping[str, Any]], seconds: float, least: int, most: int) -> Iterator[str]:
    bottom, across = TOP + HIGH, WIDTH - LEFT - RIGHT
    for power in range(least, most + 1):
        y = bottom - HIGH * (power - least) / (most - least)
        yield _line(LEFT, y, WIDTH - RIGHT, y, "#ddd")
        yield _text(LEFT - 8, y + 4, f"{10.0**power:g} ms", anchor="end")
    for name, (colour, dashes) in STYLES.items():
        points = " ".join(
            f"{LEFT + across * (place + 0.5) / len(moments):.1f},{bottom - HIGH * _share(row[name], least, most):.1f}"
            for place, row in enumerate(moments)
            if row[name]
        )
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
    yield _text(LEFT, bottom + 18, "0 s")
    yield _text(WIDTH - RIGHT, bottom + 18, f"{seconds:g} s", anchor="end")


def _by_route(routes: Sequence[Mapping[str, Any]], least: int, most: int) -> Iterator[str]:
    across = WIDTH - LEFT - RIGHT
    for place, row in enumerate(routes):
        y = TOP + HIGH + 56 + ROW * place
        yield _text(LEFT - 8, y + 4, str(row["route"]), anchor="end")
        yield _line(LEFT, y, WIDTH - RIGHT, y, "#ddd")
        for radius, (name, (colour, _)) in zip((4, 6, 8), STYLES.items(), strict=True):
            if row[name]:
                x = LEFT + across * _share(row[name], least, most)
                mark = f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="none" stroke="{colour}" stroke-width="2">'
                yield f"{mark}<title>{SHOWN[name]}: {row[name]:g} ms</title></circle>"
    for power in range(least, most + 1):
        x = LEFT + across * (power - least) / (most - least)
        yield _text(x, TOP + HIGH + 56 + ROW * len(routes), f"{10.0**power:g} ms", anchor="middle")


def _share(value: float, least: int, most: int) -> float:
    return (math.log10(value) - least) / (most - least)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "", width: int = 1) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="#222">{escape(text)}</text>'
