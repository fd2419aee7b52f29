"""BENCHMARKS.md and its plot, from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import plot
from .command import Cost

# Seconds that the bot may be down beyond a bare restart, with few files and with very many.
_OVER_A_RESTART, _OVER_A_LARGE_ONE = 1.5, 4.0
_WAYS = {
    "a": ("ours", "(a) this project: backup, copy, every value verified"),
    "b": ("original", "(b) the original's way"),
    "c": ("limit", "(c) the limit: `tar`, and one COPY and merge"),
}
_OURS = {
    "whole": "backup, copy and verification in one task",
    "two tasks": "the same as two tasks",
    "backup": "the backup alone",
    "migrate": "copy and verification alone",
    "unchanged": "a second run with nothing changed",
    "changed": "a run with 300 keys changed",
    "back, changed": "the way back, 300 keys changed",
    "back, empty folder": "the way back, into an empty folder",
}


def write(found: dict[str, Any], target: Path, picture: Path) -> None:
    """The whole document."""
    costs = found["costs"]
    lines = {name: {size: ways[way]["whole"].seconds for size, ways in costs.items()} for way, name in _WAYS.values()}
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(plot.svg(lines))
    link = picture.relative_to(target.parent)
    target.write_text(_document(found, str(link)))


def table(found: dict[str, Any]) -> str:
    """What is printed at the end."""
    parts = [_side_by_side(found), _steps(found), _aims(found), _stores(found), _freezes(found), _freeze_steps(found)]
    return "\n\n".join(part for part in parts if part)


def _document(found: dict[str, Any], link: str) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return (
        Path(__file__)
        .with_suffix(".md")
        .read_text()
        .format(
            date=found["date"],
            machine=machine,
            rounds=_rounds(found["rounds"]),
            link=link,
            side_by_side=_side_by_side(found),
            steps=_steps(found),
            tasks=_tasks(found),
            aims=_aims(found),
            phases=_phases(found),
            many=_many(found),
            stores=_stores(found),
            freezes=_freezes(found),
            freeze_steps=_freeze_steps(found),
        )
        # Measured apart, by bench.over_ssh.
        + _over_ssh()
    )


def _over_ssh() -> str:
    section = Path(__file__).with_name("over_ssh.md")
    return f"\n{section.read_text()}" if section.exists() else ""


def _rounds(rounds: dict[int, int]) -> str:
    """`3 rounds`, and where there were others: `3 rounds (1 at 100,000 files)`."""
    most = max(rounds.values())
    others = [f"{number} at {size:,} files" for size, number in rounds.items() if number != most]
    return f"{most} rounds" + (f" ({', '.join(others)})" if others else "")


def _phases(found: dict[str, Any]) -> str:
    phases = found["phases"]
    names = list(phases[max(phases)])
    rows = [[f"{size:,}", *(f"{phases[size].get(name, 0):.2f}" for name in names)] for size in phases]
    return _markdown(["files", *names], rows)


def _side_by_side(found: dict[str, Any]) -> str:
    rows = []
    for size, ways in found["costs"].items():
        a, b, c = (ways[way]["whole"] for way, _ in _WAYS.values())
        ratios = [f"{a.seconds / c.seconds:.1f}", f"{b.seconds / a.seconds:.1f}"]
        rows.append([f"{size:,}", *map(_seconds, (a, b, c)), *ratios, f"{a.peak_mib:.0f}", f"{b.peak_mib:.0f}"])
    return _markdown(["files", "(a) s", "(b) s", "(c) s", "a/c", "b/a", "(a) MiB", "(b) MiB"], rows)


def _steps(found: dict[str, Any]) -> str:
    sizes = list(found["costs"])
    rows = []
    for step, name in _OURS.items():
        each = [found["costs"][size]["ours"][step] for size in sizes]
        rows.append([name, *map(_seconds, each), *(f"{cost.peak_mib:.0f}" for cost in each)])
    rows.append(
        [
            "a module that does nothing",
            *[_seconds(found["empty"])] * len(sizes),
            *[f"{found['empty'].peak_mib:.0f}"] * len(sizes),
        ]
    )
    return _markdown(["", *(f"{size:,} files, s" for size in sizes), *(f"{size:,}, MiB" for size in sizes)], rows)


def _tasks(found: dict[str, Any]) -> str:
    tasks = found["tasks"]
    empty = tasks["Empty"]
    return _markdown(
        ["task", "s", "against the empty one"],
        [[name, f"{seconds:.2f}", f"{seconds / empty:.2f}"] for name, seconds in tasks.items()],
    )


def _aims(found: dict[str, Any]) -> str:
    size = max(found["costs"])
    ways = found["costs"][size]
    ours, whole = ways["ours"], ways["ours"]["whole"]
    peak = max(cost.peak_mib for cost in ours.values())
    smaller = sorted(found["costs"])[-2] if len(found["costs"]) > 1 else size
    growth = (whole.seconds / size) / (found["costs"][smaller]["ours"]["whole"].seconds / smaller)
    task = max(seconds for name, seconds in found["tasks"].items() if name != "Empty") / found["tasks"]["Empty"]
    rows = [
        _aim(f"(a) against (c), {size:,} files", whole.seconds / ways["limit"]["whole"].seconds, 2.0),
        _aim(f"(b) against (a), {size:,} files", ways["original"]["whole"].seconds / whole.seconds, 6.0, least=True),
        _aim("unchanged second run against the first", ours["unchanged"].seconds / whole.seconds, 0.4),
        _aim("300 keys changed against the first", ours["changed"].seconds / whole.seconds, 0.5),
        _aim(f"most memory of any step, {size:,} files, MiB", peak, 250),
        _aim(f"seconds for each file, {size:,} against {smaller:,} files", growth, 1.2),
        _aim("a task at 337 files against an empty one", task, 2.0),
    ]
    if "many" in found:
        few, many = (found["many"][number]["ours"]["whole"].peak_mib for number in sorted(found["many"]))
        rows.append(_aim(f"memory, {max(found['many']):,} companies against one", many / few, 1.1))
    return _markdown(["", "measured", "aim", ""], rows)


def _aim(name: str, value: float, aim: float, *, least: bool = False) -> list[str]:
    met = value >= aim if least else value <= aim
    digits = 0 if aim >= 100 else 2
    return [name, f"{value:.{digits}f}", f"{'≥' if least else '≤'} {aim:g}", "met" if met else "**missed**"]


def _many(found: dict[str, Any]) -> str:
    if "many" not in found:
        return ""
    rows = [
        [f"{number:,} of 337 files", *map(_seconds, ways["ours"].values()), f"{ways['ours']['whole'].peak_mib:.0f}"]
        for number, ways in found["many"].items()
    ]
    return f"## Many companies in one call\n\n{_markdown(['companies', 'first, s', 'unchanged, s', 'MiB'], rows)}\n\n"


def _stores(found: dict[str, Any]) -> str:
    rows = []
    for size, operations in found["stores"].items():
        for operation, times in operations.items():
            files, database = times["files"], times["database"]
            speed = (
                f"{files / database:.1f} times faster" if files >= database else f"{database / files:.1f} times slower"
            )
            rows.append([f"{size:,}", operation, f"{files * 1e3:.1f}", f"{database * 1e3:.1f}", speed])
    return _markdown(["files", "", "files, ms", "database, ms", "the database is"], rows)


def _freezes(found: dict[str, Any]) -> str:
    rows = []
    for size, freeze in sorted(found["freezes"].items()):
        seconds = freeze["restart"], freeze["cut_over"]
        aim = _OVER_A_RESTART if size < 10_000 else _OVER_A_LARGE_ONE
        more = _aim("", seconds[1] - seconds[0], aim)[1:]
        rows.append([f"{size:,}", f"{freeze['changed']:,}", *(f"{each:.2f}" for each in seconds), *more])
    return _markdown(["files", "changed", "bare restart, s", "cut-over, s", "more, s", "aim", ""], rows)


def _freeze_steps(found: dict[str, Any]) -> str:
    freezes = sorted(found["freezes"].items())
    names = list(freezes[0][1]["steps"])
    rows = [[f"{size:,}", *(f"{freeze['steps'][name]:.2f}" for name in names)] for size, freeze in freezes]
    return _markdown(["files", *(f"{name}, s" for name in names)], rows)


def _seconds(cost: Cost) -> str:
    return f"{cost.seconds:.2f}"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)
