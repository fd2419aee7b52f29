"""Figures over time as the points of small charts. The template draws them as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT = 300.0, 64.0
UNITS = {"ms": "ms", "seconds": "s", "percent": "%", "mb": "MB"}


@dataclass
class Point:
    """One pass on a chart."""

    x: float
    y: float
    text: str
    good: bool


@dataclass
class Chart:
    """One figure over all passes. `lines`: unbroken runs of points; `bad`: where a pass was not good."""

    name: str
    last: str
    low: str
    high: str
    lines: list[list[Point]]
    bad: list[float]

    @property
    def points(self) -> list[Point]:
        return [point for line in self.lines for point in line]


def charts(passes: list[dict[str, Any]]) -> list[Chart]:
    """A chart for each figure of the last pass, in its order."""
    return [_chart(name, passes) for name in (passes[-1]["figures"] if passes else {})]


def _chart(name: str, passes: list[dict[str, Any]]) -> Chart:
    places = across([each["at"] for each in passes])
    values = [number(each["figures"].get(name)) for each in passes]
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    # From zero, unless that would make a flat line of it.
    floor = 0.0 if low >= 0 and low < high * 0.8 else low
    label, unit = name_and_unit(name)
    lines: list[list[Point]] = [[]]
    for each, x, value in zip(passes, places, values, strict=True):
        if value is None:
            lines.append([])
            continue
        share = (value - floor) / (high - floor) if high > floor else (0.5 if value else 0.0)
        text = f"{each['at']}: {written(value, unit)}" + ("" if each["good"] else f" ({each['says']})")
        lines[-1].append(Point(x, round(HEIGHT - share * HEIGHT, 1), text, each["good"]))
    return Chart(
        label,
        written(values[-1], unit),
        written(floor if known else None, unit),
        written(high if known else None, unit),
        [line for line in lines if line],
        [x for x, each in zip(places, passes, strict=True) if not each["good"]],
    )


def across(times: list[str]) -> list[float]:
    """Where each time stands on the axis, from the first to the last; a lone one at its end."""
    seconds = [datetime.fromisoformat(time).timestamp() for time in times]
    span = seconds[-1] - seconds[0]
    return [round((each - seconds[0]) / span * WIDTH, 1) if span > 0 else WIDTH for each in seconds]


def number(value: Any) -> float | None:
    """A figure, or None where there is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def name_and_unit(name: str) -> tuple[str, str]:
    """``latency_ms`` → ``latency``, ``ms``."""
    rest, _, end = name.rpartition("_")
    if rest and (end in UNITS or end == "bytes"):
        return rest.replace("_", " "), UNITS.get(end, end)
    return name.replace("_", " "), ""


def written(value: float | None, unit: str = "") -> str:
    """A figure as it is read: 1,234 · 3.1 ms · 48.2 MiB."""
    if value is None:
        return "unknown"
    if unit == "bytes":
        for unit in ("bytes", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or unit == "GiB":
                break
            value /= 1024
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()
