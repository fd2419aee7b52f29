"""A plot of seconds by number of files, both axes logarithmic, as SVG."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10

Lines = dict[str, dict[int, float]]  # name -> {files: seconds}

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 96, 44
_COLOURS = ("#1f6feb", "#d1495b", "#2e8b57")


def svg(lines: Lines) -> str:
    """The picture; its text follows the reader's own font."""
    sizes = sorted({size for line in lines.values() for size in line})
    times = [seconds for line in lines.values() for seconds in line.values()]
    x_from, x_to = log10(sizes[0]) - 0.1, log10(sizes[-1]) + 0.1
    y_from, y_to = floor(log10(min(times))), ceil(log10(max(times)))

    def x(size: float) -> float:
        return _LEFT + (log10(size) - x_from) / (x_to - x_from) * (_WIDTH - _LEFT - _RIGHT)

    def y(seconds: float) -> float:
        return _HEIGHT - _BOTTOM - (log10(seconds) - y_from) / (y_to - y_from) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for power in range(y_from, y_to + 1):
        place = y(10.0**power)
        parts.append(f'<path d="M{_LEFT} {place:.1f}H{_WIDTH - _RIGHT}" stroke="#8884"/>')
        parts.append(_text(_LEFT - 8, place + 4, f"{10.0**power:g} s", "end"))
    for size in sizes:
        parts.append(f'<path d="M{x(size):.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#8884"/>')
        parts.append(_text(x(size), _HEIGHT - _BOTTOM + 20, f"{size:,} files", "middle"))
    for place, (colour, (name, line)) in enumerate(zip(_COLOURS, lines.items(), strict=True)):
        points = [(x(size), y(seconds)) for size, seconds in sorted(line.items())]
        path = "L".join(f"{left:.1f} {top:.1f}" for left, top in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{colour}"/>' for left, top in points]
        height = 24 + 22 * place
        parts.append(f'<path d="M{_LEFT} {height - 4}h28" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(_text(_LEFT + 36, height, name.replace("`", ""), "start"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        f' font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(left: float, top: float, text: str, anchor: str) -> str:
    return f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}" fill="#333">{escape(text)}</text>'
