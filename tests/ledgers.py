"""Ledgers for the tests, sealed as the controller seals them: days of passes without the days."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.watch import ledger
from ansible.module_utils.watch.keeper import Keeper

HOST = "bot-1"
KEY = b"k" * 32


def entry(at: datetime, since: dict[str, str], **more: Any) -> dict[str, Any]:
    """A pass in which all was well."""
    seen = {"processes": [], "logs": {"forbidden": {}}, "messages": {"sent": 1, "received": 1}, "companies": {}}
    seen |= {"database": {"latency_ms": 1.0}, "run": "a", "since": since}
    return {
        "kind": "pass",
        "at": at.isoformat(timespec="seconds"),
        "clock": "real",
        "host": HOST,
        "cut_over": {"run": "a", "since": since},
        "seen": seen,
        "memory": {},
        "verdict": "good",
        "findings": [],
        **more,
    }


def times(since: datetime, until: datetime, gap: timedelta = timedelta(hours=24)) -> list[datetime]:
    """From an hour after the cut-over on, as the schedule has them; the last at `until`."""
    found, at = [], since + timedelta(hours=1)
    while at < until:
        found.append(at)
        at += gap
    return [*found, until]


def text(entries: Iterable[dict[str, Any]], key: bytes = KEY, host: str = HOST) -> str:
    """The ledger that holds these."""
    lines: list[str] = []
    for each in entries:
        chain = ledger.Chain(last=ledger.digest(lines[-1]) if lines else "", count=len(lines))
        lines.append(ledger.seal(each, key, chain))
    return "".join(f"{line}\n" for line in lines)


def keep(folder: Path, entries: Iterable[dict[str, Any]], path: Path, host: str = HOST) -> Keeper:
    """A controller that wrote these entries to the ledger at `path`, and knows its end."""
    keeper = Keeper(folder, host)
    lines: list[str] = []
    for each in entries:
        chain = ledger.Chain(last=ledger.digest(lines[-1]) if lines else "", count=len(lines))
        lines.append(keeper.seal(each, chain))
        keeper.written(lines[-1])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return keeper


def changed(line: str, **fields: Any) -> str:
    """The line with other fields, its seal as it was."""
    return ledger.canonical({**json.loads(line), **fields}).decode()
