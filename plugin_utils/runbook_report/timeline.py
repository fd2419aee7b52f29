"""The runbook's lines as rows of a timeline, and the journal of a cut-over as another."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from .run import RUNNING, SKIPPED, CutOver, Failure, Host, Step

# The steps of the cut-over's journal, as an operator calls them. The freeze ends with `healthy`.
JOURNAL = {
    "stop": "Owners stopped",
    "rest": "Seen that nothing writes any more",
    "copy": "Copied what changed, verified the whole",
    "release": "New code put in place",
    "flag": "Flag switched",
    "start": "Started again",
    "healthy": "Answers on its store, same identity",
    "settle": "Recorded which store owns the login",
}
LAST_OF_FREEZE = "healthy"


@dataclass
class Row:
    """A bar and its lines. `left`, `width`: percent of the axis; `freeze`: the part of it with the bot down."""

    lines: list[Step]
    kind: str
    seconds: float
    left: float = 0.0
    width: float = 0.0
    freeze: tuple[float, float] | None = None


@dataclass
class Timeline:
    """Rows in order, and the axis below them. `about`: what the run says of itself before it does anything."""

    seconds: float
    about: str = ""
    rows: list[Row] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)


def of_host(host: Host) -> Timeline:
    """Every line of the runbook on one host, what failed, what still runs, and what was not reached."""
    done = [task for task in host.tasks if task.outcome != SKIPPED]
    if not done:
        return Timeline(0.0)
    start, end = done[0].began, max(task.ended or task.began for task in done)
    line = Timeline(round(end - start, 2), ticks=ticks(end - start))
    since = start
    for event, worked in _events(host):
        if isinstance(event, Step) and not worked and not line.rows:
            line.about = event.did
            continue
        kind = "failed" if isinstance(event, Failure) else "step"
        if kind == "step" and line.rows and line.rows[-1].kind == "step" and not worked:
            line.rows[-1].lines.append(event)
            continue
        shown = Step(event.task, event.message, "failed", event.at) if isinstance(event, Failure) else event
        line.rows.append(_row(host, kind, [shown], since, event.at, (start, end)))
        since = event.at
    if host.running is not None:
        waiting = Step(host.running.name, "", RUNNING, end)
        line.rows.append(_row(host, "running", [waiting], since, end, (start, end)))
    line.rows += [Row([Step(name, "", "awaited", end)], "awaited", 0.0) for name in list(host.awaited.values())]
    return line


def _events(host: Host) -> list[tuple[Step | Failure, bool]]:
    """Lines and failures in order, and whether any work was done before each since the one before.

    The failure that only ends the run in words, after one that was shown already, is no event of its own.
    """
    shown = len(host.failures) > 1 or any(step.outcome == "missing" for step in host.steps)
    told = host.failures[-1:] if shown and _only_tells(host) else []
    events = sorted([*host.steps, *(each for each in host.failures if each not in told)], key=lambda each: each.at)
    ends = [task.ended for task in host.tasks if task.ended and not task.is_line and task.outcome != SKIPPED]
    before = [0.0, *(each.at for each in events)]
    return [
        (each, any(since < ended <= each.at for ended in ends)) for each, since in zip(events, before, strict=False)
    ]


def _only_tells(host: Host) -> bool:
    if not host.failures:
        return False
    last = next((task for task in reversed(host.tasks) if task.name == host.failures[-1].task), None)
    return last is not None and last.action.rpartition(".")[2] == "fail"


def _row(host: Host, kind: str, lines: list[Step], since: float, until: float, axis: tuple[float, float]) -> Row:
    row = Row(lines, kind, round(until - since, 2), *_place(since, until, axis))
    for cut in host.cut_overs:
        if since < cut.ended <= until and cut.freeze_seconds:
            ended = cut.ended - sum(each["seconds"] for each in cut.steps if not in_freeze(each["name"], cut))
            row.freeze = _place(max(ended - cut.freeze_seconds, since), ended, axis)
    return row


def _place(since: float, until: float, axis: tuple[float, float]) -> tuple[float, float]:
    whole = (axis[1] - axis[0]) or 1.0
    return round((since - axis[0]) / whole * 100, 2), round((until - since) / whole * 100, 2)


def of_cut_over(cut: CutOver) -> Timeline:
    """The journal's steps, one after the other."""
    seconds = [float(each["seconds"]) for each in cut.steps]
    whole = sum(seconds) or 1.0
    line = Timeline(round(sum(seconds), 3), ticks=ticks(sum(seconds)))
    for step, took, since in zip(cut.steps, seconds, [0.0, *accumulate(seconds)], strict=False):
        kind = "freeze" if in_freeze(step["name"], cut) else "step"
        named = Step(JOURNAL.get(step["name"], step["name"]), "", "done", 0.0)
        line.rows.append(Row([named], kind, took, *_place(since, since + took, (0.0, whole))))
    return line


def in_freeze(name: str, cut: CutOver) -> bool:
    """Whether the bot was down during this step of the journal."""
    names: list[Any] = [each["name"] for each in cut.steps]
    return LAST_OF_FREEZE not in names or names.index(name) <= names.index(LAST_OF_FREEZE)


def ticks(seconds: float) -> list[tuple[float, str]]:
    """Up to six round marks on an axis: percent, and what stands there."""
    if seconds <= 0:
        return []
    steps = [base * 10**power for power in range(-2, 5) for base in (1, 2, 5)]
    step = next((each for each in steps if seconds / each <= 6), steps[-1])
    marks = [number * step for number in range(int(seconds / step) + 1)]
    return [(round(mark / seconds * 100, 2), f"{mark:g} s") for mark in marks if mark <= seconds * 0.95]
