"""Processes as Linux shows them under /proc: who is alive, who descends from whom, one variable of one process."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Running:
    """One process, told apart from a later one with the same number by its start time (clock ticks since boot)."""

    pid: int
    parent: int
    started: int
    command: str  # the kernel's short name only: a command line may hold secrets


def find(pid: int) -> Running | None:
    """The process with that number; None when there is none, or when it has ended (a zombie)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except (OSError, ValueError):
        return None
    # The name is in brackets and may itself hold brackets and blanks: split behind the last one.
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return None if fields[0] in "ZX" else Running(pid, int(fields[1]), int(fields[19]), name)


def pids() -> list[int]:
    """Every process of the host."""
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]


def opened(pid: int) -> list[str]:
    """The paths that a process has open; empty when it has ended, or is another user's."""
    try:
        return [os.readlink(link) for link in (_PROC / str(pid) / "fd").iterdir()]
    except OSError:
        return []


def arguments(pid: int) -> set[str]:
    """What it was started with, as paths seen from its working folder. Never to be shown: they may hold secrets."""
    folder = _PROC / str(pid)
    try:
        words = (folder / "cmdline").read_bytes().split(b"\0")
        here = os.readlink(folder / "cwd")
    except OSError:
        return set()
    # A process that renamed itself, as pm2's do, is one word with blanks.
    words = words[0].split(b" ") if len([word for word in words if word]) == 1 else words
    return {os.path.realpath(os.path.join(here, os.fsdecode(word))) for word in words if word}


def program(pid: int) -> str:
    """The name of the file that it runs; the kernel's name of the process is what it calls itself, as MainThread.

    Empty when it has ended, or is another user's.
    """
    try:
        return os.path.basename(os.readlink(_PROC / str(pid) / "exe"))
    except OSError:
        return ""


def alive(process: Running) -> bool:
    """True while the very same process (not a later one with its number) runs."""
    now = find(process.pid)
    return now is not None and now.started == process.started


def with_descendants(ancestors: Iterable[int]) -> list[Running]:
    """These processes and everything below them, read in one pass over /proc."""
    children: dict[int, list[Running]] = defaultdict(list)
    by_pid: dict[int, Running] = {}
    for pid in pids():
        if process := find(pid):
            children[process.parent].append(process)
            by_pid[process.pid] = process
    family: dict[int, Running] = {}
    waiting = [by_pid[pid] for pid in ancestors if pid in by_pid]
    while waiting:
        process = waiting.pop()
        if process.pid not in family:
            family[process.pid] = process
            waiting.extend(children[process.pid])
    return list(family.values())


def wait_gone(processes: Iterable[Running], timeout: float, interval: float = 0.01) -> list[Running]:
    """Wait until all have ended, at most ``timeout`` seconds; returns those that still run."""
    left = [process for process in processes if alive(process)]
    deadline = time.monotonic() + timeout
    while left and time.monotonic() < deadline:
        time.sleep(interval)
        left = [process for process in left if alive(process)]
    return left


def variable(pid: int, name: str) -> str | None:
    """One variable of the environment that the process was started with; None: unset, or not readable."""
    try:
        content = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    wanted = name.encode() + b"="
    for entry in content.split(b"\0"):
        if entry.startswith(wanted):
            return entry[len(wanted) :].decode("utf-8", "replace")
    return None
