"""Whether the ledger lets old files go, and what a cleanup writes into it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..node_host.problems import HostError, Problem
from . import days
from .keeper import Keeper
from .ledger import Chain, Entry

_MOST_GAP = 50  # hours
Answer = dict[str, Any]


def check(keeper: Keeper, listed: Answer, at: datetime, clock: str, max_gap_hours: Any) -> Chain:
    """The ledger, when it shows the days. Raises HostError with everything that stands in the way."""
    hours = float(max_gap_hours or 26)
    if not 0 < hours <= _MOST_GAP:
        what = f"{hours:g} is no number of hours from 1 to {_MOST_GAP}"
        raise HostError(Problem("max_gap", "cleanup_max_gap_hours", what, "Daily passes need about 26"))
    where = f"{keeper.host}: .auth-state/ledger.jsonl"
    chain = keeper.read(listed["ledger"])
    problems = [*chain.faults, *keeper.clock_back(chain, at)]
    if keeper.anchor() is None:
        what = "this controller has never seen it, so it cannot tell whether its newest entries are there"
        problems.append(Problem("ledger_no_anchor", where, what, "Run monitor.yml from this controller first"))
    problems += days.refusals(chain.entries, at, clock, listed["since"], timedelta(hours=hours), where)
    if problems:
        raise HostError(*problems)
    return chain


def entry(done: Answer, scope: str, at: datetime, clock: str) -> Entry:
    """What the ledger keeps of a cleanup: how much of which type went, and what the folders hold since."""
    return {
        "kind": days.CLEANUP,
        "at": at.isoformat(timespec="seconds"),
        "clock": clock,
        "cut_over": {"run": done["run"], "since": done["since"]},
        "scope": scope,
        "deleted": {company: facts["delete"] for company, facts in done["companies"].items()},
        "files": done["files"],
        "archive": done["archive"],
        # One that was stopped half way has deleted something all the same, and the schedule goes on for the rest.
        "verdict": "bad" if done.get("failed") else "good",
        "findings": done.get("problems", []),
    }


def shown(answer: Answer) -> Answer:
    """The module's answer without the ledger, and with the counts as a diff."""
    lines = [
        f"company {company} {key_type}: {count} file(s)\n"
        for company, facts in answer["companies"].items()
        for key_type, count in {**facts["delete"], "old backups": len(facts["backups"])}.items()
        if count
    ]
    kept = {name: value for name, value in answer.items() if name not in ("ledger", "run")}
    return {**kept, "diff": {"before": "".join(lines), "after": "", "before_header": "old files that go"}}
