"""One pass on the controller: the ledger checked, what was seen judged, sealed, written, and summed up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..node_host.problems import HostError, Problem
from . import judge
from .days import CLEANUP, PASS
from .keeper import Keeper
from .ledger import Entry

Answer = dict[str, Any]
# (line, size that the ledger had, bytes of it to keep, whether a new one begins) -> the module's answer
Write = Callable[[str, int, int, bool], Answer]

_LIMITS = {
    "cleanup_hours": {"type": "float", "default": 6.0},
    "latency_ms": {"type": "float", "default": 1000.0},
    "memory_mb": {"type": "float", "default": 0.0},
    "restarts": {"type": "int", "default": 0},
    "quiet_hours": {"type": "float", "default": 0.0},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "seen": {"type": "dict", "required": True},
    "ledger": {"type": "str", "required": True},
    "state_dir": {"type": "path", "required": True},
    "app_dir": {"type": "path", "required": True},
    "controller_dir": {"type": "path", "required": True},
    "key": {"type": "str", "no_log": True},
    "limits": {"type": "dict", "options": _LIMITS, "default": {}},
    "renew": {"type": "bool", "default": False},
}


def record(params: Answer, keeper: Keeper, at: datetime, clock: str, write: Write, *, check_mode: bool) -> Answer:
    """One entry more; in check mode only what it would say."""
    with keeper.alone(writing=not check_mode):
        chain = keeper.read(params["ledger"], make=not check_mode, renew=params["renew"])
        if not params["renew"] and (problems := keeper.clock_back(chain, at)):
            raise HostError(*problems)
        adopted = keeper.anchor() is None and chain.count > 0
        if params["renew"]:  # what was wrong with the old one is kept with it, and said here
            entry = _entry(params, [], [], at, clock) | {"renewed": sorted({each.code for each in chain.faults})}
        else:
            entry = _entry(params, chain.entries, chain.faults, at, clock)
        entry["adopted"] = adopted
        if not check_mode:
            line = keeper.seal(entry, chain, renew=params["renew"])
            answer = write(line, chain.size, chain.keep, params["renew"])
            if answer.get("failed") or answer.get("unreachable"):
                raise HostError(*[Problem(**each) for each in answer.get("problems", [])] or [_not_written(answer)])
            keeper.written(line)
    entries = [*([] if params["renew"] else chain.entries), entry]
    return {
        "changed": not check_mode,
        "verdict": entry["verdict"],
        "findings": entry["findings"],
        "at": entry["at"],
        "clock": clock,
        "since": entry["cut_over"]["since"],
        "age_hours": _hours_since(max(filter(None, entry["cut_over"]["since"].values()), default=None), at),
        "bad_in_a_row": bad_in_a_row(entries),
        "recovered": _recovered(entries),
        "passes": [summary(each) for each in entries if each["kind"] == PASS],
        "cleaned": cleaned(entries),
    }


def _entry(params: Answer, entries: list[Entry], faults: list[Problem], at: datetime, clock: str) -> Entry:
    seen = params["seen"]
    cut_over = {"run": seen["run"], "since": seen["since"]}
    same = [each for each in entries if each["cut_over"]["since"] == cut_over["since"]]
    before = next((each for each in reversed(same) if each["kind"] == PASS), None)
    limits = judge.Limits(**params["limits"])
    memory = judge.remember(before["memory"] if before else {}, seen, at)
    looked = judge.Pass(
        seen=seen,
        before=_latest(same) if before else None,
        hours=_hours_since(before["at"] if before else max(filter(None, seen["since"].values()), default=None), at),
        at=at,
        limits=limits,
        memory=memory,
    )
    verdict, problems = judge.judge(looked)
    if faults:
        verdict = verdict if verdict == judge.UNLINKED else judge.BAD
    return {
        "kind": PASS,
        "at": at.isoformat(timespec="seconds"),
        "clock": clock,
        "cut_over": cut_over,
        "seen": seen,
        "memory": memory,
        "verdict": verdict,
        "findings": [problem.as_dict() for problem in [*faults, *problems]],
    }


def _latest(entries: list[Entry]) -> dict[str, Any]:
    """What was seen last, with the old files as a cleanup since then has left them."""
    seen: dict[str, Any] = {}
    for entry in entries:
        if entry["kind"] == PASS:
            seen = _carried(seen, entry["seen"])
        else:
            companies = {
                company: {**facts, "files": entry["files"].get(company, facts["files"])}
                for company, facts in seen.get("companies", {}).items()
            }
            seen = {**seen, "companies": companies}
    return seen


def _carried(known: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """`seen`, with what a pass without the database, or without a row, could not tell as it was known before.

    Or a login made anew during an outage would be measured by itself.
    """
    companies = {}
    for company, facts in seen["companies"].items():
        former = known.get("companies", {}).get(company, {})
        companies[company] = {**facts, **{name: facts[name] or former.get(name) for name in ("identity", "rows")}}
    return {**seen, "companies": companies}


def _hours_since(then: str | None, at: datetime) -> float:
    return max(0.0, (at - datetime.fromisoformat(then)).total_seconds() / 3600) if then else 0.0


def bad_in_a_row(entries: list[Entry]) -> int:
    """How many passes of this cut-over, up to the last, were bad in a way that a rollback may help.

    It repairs neither a phone that was unlinked nor a ledger that somebody has touched.
    """
    count, since = 0, entries[-1]["cut_over"]["since"]
    for entry in reversed([each for each in entries if each["kind"] == PASS]):
        of_the_bot = [each for each in entry["findings"] if not each["code"].startswith("ledger_")]
        if entry["verdict"] != judge.BAD or not of_the_bot or entry["cut_over"]["since"] != since:
            break
        count += 1
    return count


def cleaned(entries: list[Entry]) -> bool:
    """Whether the old files went by cleanup.yml since the login is on the database: the schedule ends there."""
    since = entries[-1]["cut_over"]["since"]
    done = (each for each in entries if each["kind"] == CLEANUP and each["verdict"] == judge.GOOD)
    return any(each["cut_over"]["since"] == since for each in done)


def _recovered(entries: list[Entry]) -> bool:
    verdicts = [each["verdict"] for each in entries if each["kind"] == PASS][-2:]
    return len(verdicts) == 2 and verdicts[0] in (judge.BAD, judge.UNLINKED) and verdicts[1] == judge.GOOD


def summary(entry: Entry) -> Answer:
    """One pass for the report: its line in words, and its figures."""
    seen, findings = entry["seen"], entry["findings"]
    companies = seen["companies"].values()
    counted = [facts["count"] for facts in companies if facts["count"] is not None]
    return {
        "at": entry["at"],
        "good": entry["verdict"] in (judge.GOOD, judge.ROLLED_BACK),
        "says": says(entry["verdict"], findings),
        "figures": {
            "restarts": sum(each["restarts"] for each in seen["processes"]),
            "errors": sum(seen["logs"]["forbidden"].values()),
            "messages_sent": seen["messages"]["sent"],
            "messages_received": seen["messages"]["received"],
            "rows": sum(counted) if counted else None,
            "expired": sum(facts["expired"] for facts in companies) if counted else None,
            "latency_ms": seen["database"]["latency_ms"],
            "old_files": sum(facts["files"]["count"] for facts in companies),
            "memory_bytes": sum(each["memory_bytes"] for each in seen["processes"]),
        },
    }


def says(verdict: str, findings: list[dict[str, str]]) -> str:
    if verdict == judge.ROLLED_BACK:
        return "the login is on files again: nothing to watch"
    if verdict == judge.GOOD:
        return "all is well"
    return "; ".join(f"{each['where']}: {each['problem']}" for each in findings)


def _not_written(answer: Answer) -> Problem:
    return Problem(
        "ledger_not_written",
        ".auth-state/ledger.jsonl",
        f"the entry could not be written: {answer.get('msg', 'no answer')}",
        "Run it again: ansible-playbook monitor.yml",
    )
