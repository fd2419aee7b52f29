"""The runbook as a checklist of lines for a terminal."""

from __future__ import annotations

from .page import MARKS
from .run import Host, Run

GREEN, RED, YELLOW, DIM, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
COLOURS = {"done": GREEN, "missing": RED, "failed": RED, "running": YELLOW, "awaited": DIM, "skipped": DIM}

Line = tuple[str, str]  # mark's name, text


def lines(run: Run, now: float, width: int, height: int) -> list[str]:
    """What is done, what runs and for how long, and what is to come, cut to a terminal of this size."""
    hosts = [host for host in list(run.hosts.values()) if host.tasks]
    done, running, awaited = _done(hosts, len(run.hosts)), _running(hosts, now), _awaited(hosts)
    room = max(height - len(running) - 4, 2)
    done = done[-max(room - len(awaited), room // 2) :]
    awaited = awaited[: room - len(done)]
    return [_line(mark, text, width) for mark, text in (*done, *running, *awaited)]


def _done(hosts: list[Host], of: int) -> list[Line]:
    if len(hosts) == 1 == of:
        return [(step.outcome, f"{step.name}: {step.did}") for step in hosts[0].steps]
    marks: dict[str, list[str]] = {}
    for host in hosts:
        for step in host.steps:
            marks.setdefault(step.name, []).append(step.outcome)
    worst = [*("missing", "done", "planned", "unchanged", "skipped")]
    return [(min(each, key=worst.index), f"{name}  {len(each)}/{of}") for name, each in marks.items()]


def _running(hosts: list[Host], now: float) -> list[Line]:
    """One line for each task that runs somewhere, with the time since it began first, and the hosts that failed."""
    tasks: dict[str, list[Host]] = {}
    for host in hosts:
        if host.running is not None:
            tasks.setdefault(host.running.name, []).append(host)
    failed = [("failed", f"{host.failures[0].task}: {host.name}") for host in hosts if host.failures]
    return failed + [("running", _elapsed(name, those, now)) for name, those in tasks.items()]


def _elapsed(name: str, hosts: list[Host], now: float) -> str:
    since = min(host.running.began for host in hosts if host.running is not None)
    where = f" ({', '.join(host.name for host in hosts)})" if len(hosts) > 1 else ""
    return f"{name}{where}  {int(now - since)} s"


def _awaited(hosts: list[Host]) -> list[Line]:
    names = {name: None for host in hosts for name in list(host.awaited.values())}
    return [("awaited", name) for name in names]


def _line(mark: str, text: str, width: int) -> str:
    shown = text if len(text) <= width - 5 else f"{text[: width - 6]}…"
    colour = COLOURS.get(mark, "")
    if mark in ("running", "awaited"):
        return f" {colour}{MARKS[mark]} {shown}{PLAIN}"
    return f" {colour}{MARKS[mark]}{PLAIN} {shown}"
