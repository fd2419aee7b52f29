"""Figures over time."""

from __future__ import annotations

import pytest
from runbook_report import plot
from runbook_report.plot import HEIGHT, WIDTH


def passes(*values: object, name: str = "rows", bad: tuple[int, ...] = ()) -> list[dict]:
    return [
        {"at": f"2026-11-24T0{hour}:00:00Z", "good": hour not in bad, "says": "said", "figures": {name: value}}
        for hour, value in enumerate(values)
    ]


def test_points_stand_where_their_values_and_times_put_them() -> None:
    (chart,) = plot.charts(passes(0, 5, 10))
    assert [(point.x, point.y) for point in chart.points] == [(0, HEIGHT), (WIDTH / 2, HEIGHT / 2), (WIDTH, 0)]
    assert (chart.low, chart.high, chart.last) == ("0", "10", "10")


def test_times_that_are_not_even_are_not_drawn_even() -> None:
    times = ["2026-11-24T00:00:00Z", "2026-11-24T02:00:00Z", "2026-11-25T02:00:00+00:00"]
    assert plot.across(times) == [0.0, pytest.approx(WIDTH * 2 / 26, abs=0.1), WIDTH]


def test_a_gap_breaks_the_line_and_is_not_drawn_as_nought() -> None:
    (chart,) = plot.charts(passes(1, None, 3, "nothing", 5))
    assert [[point.x for point in line] for line in chart.lines] == [[0], [WIDTH / 2], [WIDTH]]


def test_bad_passes_are_marked_also_where_they_have_no_figure() -> None:
    (chart,) = plot.charts(passes(1, None, 3, bad=(1, 2)))
    assert chart.bad == [WIDTH / 2, WIDTH]
    assert chart.points[-1].text == "2026-11-24T02:00:00Z: 3 (said)"


def test_a_single_pass_and_a_flat_line_have_a_place() -> None:
    assert [point.x for point in plot.charts(passes(80))[0].points] == [WIDTH]
    assert {point.y for point in plot.charts(passes(80, 80))[0].points} == {HEIGHT / 2}
    assert {point.y for point in plot.charts(passes(0, 0))[0].points} == {HEIGHT}


def test_a_small_change_of_a_large_figure_is_seen() -> None:
    (chart,) = plot.charts(passes(1000, 1001))
    assert [point.y for point in chart.points] == [HEIGHT, 0]
    assert chart.low == "1,000"


def test_without_passes_there_are_no_charts() -> None:
    assert plot.charts([]) == []


@pytest.mark.parametrize(
    ("name", "value", "label", "text"),
    [
        ("latency_ms", 3.14159, "latency", "3.14 ms"),
        ("messages_sent", 12345, "messages sent", "12,345"),
        ("memory_bytes", 50_593_792, "memory", "48.2 MiB"),
        ("memory_bytes", 12, "memory", "12 bytes"),
        ("cleanup_age_seconds", 21600, "cleanup age", "21,600 s"),
        ("rows", None, "rows", "unknown"),
    ],
)
def test_figures_are_written_with_their_unit(name: str, value: float | None, label: str, text: str) -> None:
    (chart,) = plot.charts(passes(value, name=name))
    assert (chart.name, chart.last) == (label, text)
