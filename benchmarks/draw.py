"""Curves as SVG, by hand: a dependency for one picture is not worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, EDGE = 640, 400, 60
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910")

Curve = Sequence[tuple[float, float]]


def draw(title: str, x_title: str, y_title: str, curves: Mapping[str, Curve]) -> str:
    """An SVG document with both axes logarithmic; every value must be greater than 0."""
    points = [point for curve in curves.values() for point in curve]
    x_range = _decades([x for x, _ in points])
    y_range = _decades([y for _, y in points])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 20, title, size=15),
        _text(WIDTH / 2, HEIGHT - 10, x_title),
        f'<g transform="translate(15,{HEIGHT / 2}) rotate(-90)">{_text(0, 0, y_title)}</g>',
    ]
    for exponent in range(x_range[0], x_range[1] + 1):
        x = _place(10**exponent, x_range, EDGE, WIDTH - EDGE)
        parts += [
            _line(x, EDGE / 2, x, HEIGHT - EDGE),
            _text(x, HEIGHT - EDGE + 18, _tick(exponent)),
        ]
    for exponent in range(y_range[0], y_range[1] + 1):
        y = _place(10**exponent, y_range, HEIGHT - EDGE, EDGE / 2)
        parts += [_line(EDGE, y, WIDTH - EDGE, y), _text(EDGE - 18, y + 4, _tick(exponent))]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [
            (
                _place(x, x_range, EDGE, WIDTH - EDGE),
                _place(y, y_range, HEIGHT - EDGE, EDGE / 2),
            )
            for x, y in curve
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(EDGE + 60, EDGE / 2 + 18 * (number + 1), name, colour=colour))
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _place(value: float, decades: tuple[int, int], start: float, end: float) -> float:
    low, high = decades
    return start + (math.log10(value) - low) / (high - low) * (end - start)


def _tick(exponent: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10**exponent:g}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, words: str, *, size: int = 12, colour: str = "black") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size}" '
        f'fill="{colour}">{words}</text>'
    )
