"""Whether the ledger shows the days of good passes after which old files may go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..node_host.problems import Problem
from .ledger import Entry

# No variable: nobody shortens them.
GOOD_DAYS = timedelta(days=7)
PASS, CLEANUP = "pass", "cleanup"
WAIT = "Run cleanup.yml again then; monitor.yml goes on meanwhile"


def refusals(
    entries: list[Entry], now: datetime, clock: str, cut_over: Mapping[str, str], max_gap: timedelta, where: str
) -> list[Problem]:
    """What stands in the way, the ledger's own faults apart; empty when the days are full.

    `cut_over`: since when each company's login has been on the database. `clock`: which clock `now` is from.
    """
    passes = [entry for entry in entries if entry["kind"] == PASS and _same(entry, cut_over)]
    if not passes:
        return [
            Problem(
                "no_passes",
                where,
                "it holds no pass since this cut-over",
                "Let monitor.yml run for seven days: ansible-playbook deploy.yml -e monitor_schedule=true",
            )
        ]
    if clock == "real" and any(entry["clock"] != "real" for entry in passes):
        return [
            Problem("sandbox_clock", where, "its passes are from the sandbox's clock", "They count for nothing here")
        ]
    begin, why = _good_since(passes, max(cut_over.values()), max_gap)
    last = _time(passes[-1]["at"])
    if now - last > max_gap:
        return [
            Problem(
                "gap",
                where,
                f"the last pass was at {_text(last)}, {_hours(now - last)} ago, and {_hours(max_gap)} are allowed",
                f"See why monitor.yml does not run; seven good days are needed from its next pass on. {WAIT}",
            )
        ]
    if begin is None:
        return [Problem("bad_pass", where, why, f"Put it right; seven good days are needed from then on. {WAIT}")]
    if now - begin < GOOD_DAYS:
        return [
            Problem(
                "too_early",
                where,
                f"{_hours(now - begin)} of good passes are on record, and 168 h are needed: {why}",
                f"Wait until {_text(begin + GOOD_DAYS)}. {WAIT}",
            )
        ]
    return []


def _good_since(passes: list[Entry], since: str, max_gap: timedelta) -> tuple[datetime | None, str]:
    """(the beginning of the good days that still go on, None after a bad pass; what they begin with)."""
    before = _time(since)
    begin, why = before, f"they count from the cut-over at {_text(before)}"
    good: datetime | None = begin
    for entry in passes:
        at = _time(entry["at"])
        if at - before > max_gap:
            good, why = at, f"there was no pass between {_text(before)} and {_text(at)}, {_hours(at - before)}"
        if "renewed" in entry or entry.get("adopted"):
            good, why = at, f"what was on record before {_text(at)} cannot be proven any more"
        if entry["verdict"] != "good":
            good, why = None, f"the pass of {_text(at)} was not good: {_first(entry)}"
        elif good is None:
            good = at
        before = at
    return good, why


def _same(entry: Entry, cut_over: Mapping[str, str]) -> bool:
    """Whether the entry was made after this very cut-over of all these companies.

    One that could not tell, as no record could be read, counts against the days where it is not good, never for them.
    """
    have: Mapping[str, Any] = entry["cut_over"]["since"]
    if entry["verdict"] == "good" or _time(entry["at"]) < max(map(_time, cut_over.values())):
        return all(have.get(company) == since for company, since in cut_over.items())
    return all(have.get(company, "") in (since, None) for company, since in cut_over.items())


def _first(entry: Entry) -> str:
    return next((finding["problem"] for finding in entry["findings"]), entry["verdict"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")


def _hours(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
