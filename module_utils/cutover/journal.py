"""The journal of cut-overs: one JSON line for each step, on the disk before the step that follows it begins.

`<state_dir>/journal.jsonl`, append-only. A run is its lines from `begin` to `end`; one without an `end` is under way,
or was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..baileys_auth import json_lines
from ..node_host import procs
from ..node_host.problems import Problem

_LAST_STEP = "settle"


@dataclass
class Run:
    """One run as the journal tells it. `steps`: names of those that were done; `doing`: the one that was begun last."""

    id: str
    plan: dict[str, Any]
    pid: int
    started: int
    begun_at: str
    steps: list[str] = field(default_factory=list)
    doing: str | None = None
    end: dict[str, Any] | None = None

    def alive(self) -> bool:
        """Whether its process still runs (and is not a later one with the same number)."""
        process = procs.find(self.pid)
        return process is not None and process.started == self.started

    def unfinished(self) -> bool:
        """Whether it has no end. One killed behind its last step needs none."""
        return self.end is None and (_LAST_STEP not in self.steps or self.alive())

    def broken(self) -> bool:
        """Whether it failed, and could not bring the app back."""
        return self.end is not None and self.end["outcome"] == "broken"

    def cut_off(self) -> str:
        """Where it was when it was killed, for people."""
        step = f"at the step {self.doing}" if self.doing else f"after the step {(self.steps or ['begin'])[-1]}"
        return f"cut off on the way to the {self.plan['to']}, {step}"


class Journal:
    """The journal of one host."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "journal.jsonl"

    def begin(self, run_id: str, plan: dict[str, Any]) -> None:
        """`plan`: what a later run must know of this one. No secrets: the journal is read by people."""
        own = procs.find(os.getpid())
        self.write(run_id, "begin", plan=plan, pid=os.getpid(), started=own.started if own else 0)

    def write(self, run_id: str, event: str, **facts: Any) -> None:
        """One line, synced."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        json_lines.append(self.path, {"run": run_id, "at": now, "event": event, **facts})

    def note(self, run_id: str, event: str, **facts: Any) -> None:
        """One line if it can be written: on the way back the app does not stay down for it."""
        with suppress(OSError):
            self.write(run_id, event, **facts)

    def entries(self, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Every whole line, of one run or of all."""
        return (entry for entry in json_lines.read(self.path) if run_id in (None, entry.get("run")))

    def last(self) -> Run | None:
        run = None
        for entry in self.entries():
            if entry["event"] == "begin":
                run = Run(entry["run"], entry["plan"], entry["pid"], entry["started"], entry["at"])
            elif run is not None and entry["run"] == run.id:
                if entry["event"] == "doing":
                    run.doing = entry["step"]
                elif entry["event"] == "done":
                    run.steps.append(entry["step"])
                    run.doing = None
                elif entry["event"] == "end":
                    run.end = entry
        return run

    def unfinished(self) -> Run | None:
        """The last run, when it has no end."""
        run = self.last()
        return run if run is not None and run.unfinished() else None

    def left_undone(self) -> bool:
        """Whether the last run was killed, or failed and could not bring the app back: the next has to see to it."""
        run = self.last()
        return run is not None and (run.broken() or (run.unfinished() and not run.alive()))

    def owners(self) -> set[str]:
        """The processes that the last run has stopped or started, or was to; none where there was no run."""
        run = self.last()
        if run is None:
            return set()
        answer = (run.end or {}).get("answer", {})
        return {*run.plan.get("processes", ()), *(each["name"] for each in answer.get("processes", ()))}

    def killed(self) -> Problem:
        """What to say where the run was killed while its caller lives."""
        run = self.unfinished()
        return Problem(
            "cutover_killed",
            str(self.path),
            f"the cut-over was {run.cut_off() if run else 'killed before it began'}",
            "Run the same command again: it reads the journal, and finishes or undoes what was begun",
        )

    def under_way(self) -> Problem:
        """What to say where a run of this host still goes on."""
        run = self.unfinished()
        since = f" since {run.begun_at}, step {run.doing}" if run else ""
        return Problem(
            "cutover_under_way",
            str(self.path),
            f"a cut-over is under way on this host{since}",
            "It finishes or reverts by itself. Look at the journal, and run again when it has ended",
        )
