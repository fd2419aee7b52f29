"""The record of a host: who did what to it, when, and what came of it. Append-only, and kept for good.

`<state_dir>/record.jsonl`: a line when a run begins, and one when it ends. No secrets, no phone numbers: it is read by
people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..baileys_auth import json_lines
from ..node_host.mask import mask
from .lock import Holder

# What a run comes to. `killed`: it never said; the run that took its lock over wrote that down.
DONE, REVERTED, FAILED, KILLED = "done", "reverted", "failed", "killed"


@dataclass(frozen=True)
class Entry:
    """One run as the record tells it. `end`: the facts of its end, None while it goes on or when it was killed."""

    begin: dict[str, Any]
    end: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        outcome = self.end["outcome"] if self.end else None
        return {**self.begin, **(self.end or {}), "began_at": self.begin["at"], "outcome": outcome}


class Record:
    """The record of one host."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "record.jsonl"

    def begin(self, holder: Holder, facts: dict[str, Any]) -> None:
        by = {"who": f"{holder.who}@{holder.controller}", "playbook": holder.playbook, "why": holder.why}
        self._write(holder.run, "begin", {**by, **facts})

    def end(self, run: str, outcome: str, facts: dict[str, Any]) -> None:
        self._write(run, "end", {"outcome": outcome, **facts})

    def last(self) -> Entry | None:
        """The run that began last."""
        begin = end = None
        for line in json_lines.read(self.path):
            if line.get("event") == "begin":
                begin, end = line, None
            elif begin is not None and line.get("run") == begin["run"]:
                end = line
        return Entry(begin, end) if begin else None

    def _write(self, run: str, event: str, facts: dict[str, Any]) -> None:
        said = {name: _masked(value) for name, value in facts.items() if value not in (None, "", {})}
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        json_lines.append(self.path, {"at": now, "run": run, "event": event, **said})


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _masked(each) for name, each in value.items()}
    return value
