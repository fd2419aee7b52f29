"""What makes a pass a bad one, rule by rule; a pass in which all is well is bad by none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible.module_utils.watch import judge

AT = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
IDENTITY = "c5240689c733cee415a56a289405701932cb5332c8894e3f686eace8f81d6442"
WELL: dict[str, Any] = {
    "run": "5f0c",
    "since": {"962302": "2026-11-24T22:00:00+00:00"},
    "store": "database",
    "flag": "true",
    "processes": [{"name": "worker", "status": "online", "pid": 7, "restarts": 2, "memory_bytes": 90 << 20}],
    "health": {
        "url": "http://127.0.0.1:3900/health",
        "answers": True,
        "companies": {"962302": {"store": "database", "identity": IDENTITY, "connection": "open"}},
    },
    "logs": {
        "lines": 9,
        "gaps": [],
        "forbidden": {},
        "counts": {"cleanup": 1, "unlinked": 0},
        "shown": [],
        "usual": {},
    },
    "messages": {"sent": 2, "received": 3},
    "database": {"reachable": True, "latency_ms": 2.0},
    "companies": {
        "962302": {
            "rows": {"session": 9, "pre-key": 14, "app-state-sync-key": 3, "lid-mapping": 16},
            "count": 42,
            "present": True,
            "expired": 0,
            "expired_for": 0.0,
            "expiring_types": ["lid-mapping"],
            "identity": IDENTITY,
            "files": {"present": True, "count": 337, "by_type": {}, "digest": "d1"},
        }
    },
    "problems": [],
}
Change = Callable[[dict[str, Any]], object]


def look(change: Change = lambda seen: None, before: Change | None = lambda seen: None, **limits: Any) -> judge.Pass:
    """A pass two hours after another; `change` and `before` alter what the two saw."""
    seen, earlier = copy.deepcopy(WELL), copy.deepcopy(WELL)
    change(seen)
    if before is not None:
        before(earlier)
    then = (AT - timedelta(hours=2)).isoformat()
    memory = judge.remember({"cleanup": then, "message": then} if before else {}, seen, AT)
    return judge.Pass(seen, earlier if before else None, 2.0, AT, judge.Limits(**limits), memory)


def codes(this: judge.Pass) -> list[str]:
    return [problem.code for problem in judge.judge(this)[1]]


def test_all_is_well() -> None:
    assert judge.judge(look()) == ("good", [])
    assert judge.judge(look(before=None)) == ("good", [])


def company(seen: dict[str, Any]) -> dict[str, Any]:
    return seen["companies"]["962302"]


FAULTS: dict[str, tuple[Change, str]] = {
    "a process is down": (lambda seen: seen["processes"][0].update(status="errored"), "process_down"),
    "it crashed": (lambda seen: seen["processes"][0].update(restarts=3), "process_restarted"),
    "a forbidden line": (lambda seen: seen["logs"]["forbidden"].update({"Bad MAC": 1}), "log_forbidden"),
    "lines that nobody read": (lambda seen: seen["logs"]["gaps"].append("w-out.log"), "log_gap"),
    "rows expired for 7 h": (lambda seen: company(seen).update(expired=3, expired_for=7 * 3600.0), "cleanup_stopped"),
    "a slow database": (lambda seen: seen["database"].update(latency_ms=1500.0), "database_slow"),
    "the creds are gone": (lambda seen: company(seen).update(present=False), "row_missing"),
    "all sessions are gone": (lambda seen: company(seen)["rows"].pop("session"), "rows_gone"),
    "a TTL on pre-keys": (lambda seen: company(seen).update(expiring_types=["lid-mapping", "pre-key"]), "ttl_on_keys"),
    "the flag is off": (lambda seen: seen.update(flag="false"), "flag_off"),
    "no answer": (lambda seen: seen["health"].update(answers=False, companies={}), "health"),
    "the app on files": (lambda seen: seen["health"]["companies"]["962302"].update(store="files"), "wrong_store"),
    "a new login": (lambda seen: seen["health"]["companies"]["962302"].update(identity="other"), "identity_changed"),
    "a new row": (lambda seen: company(seen).update(identity="other"), "identity_changed"),
    "a new row, and no endpoint": (
        lambda seen: (seen.update(health=None), company(seen).update(identity="other")),
        "identity_changed",
    ),
    "a second owner": (
        lambda seen: seen["health"]["companies"]["962302"].update(connection="replaced"),
        "not_connected",
    ),
    "old files pruned": (lambda seen: company(seen)["files"].update(count=300, digest="d2"), "old_files_changed"),
    "old files written": (lambda seen: company(seen)["files"].update(digest="d2"), "old_files_changed"),
    "a database that is down": (
        lambda seen: seen["problems"].append(
            {"code": "database_unreachable", "where": "", "problem": "", "remedy": ""}
        ),
        "database_unreachable",
    ),
}


@pytest.mark.parametrize(("change", "code"), FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_found_and_nothing_else(change: Change, code: str) -> None:
    verdict, found = judge.judge(look(change))
    assert (verdict, [each.code for each in found]) == ("bad", [code])
    assert all(each.remedy for each in found if each.where)


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: seen["health"]["companies"]["962302"].update(connection="logged_out"),
        lambda seen: seen["logs"]["counts"].update(unlinked=1),
    ],
)
def test_an_unlinked_phone_is_a_verdict_of_its_own(change: Change) -> None:
    verdict, found = judge.judge(look(change))
    assert (verdict, found[0].code) == ("unlinked", "phone_unlinked")


def test_back_on_files_there_is_nothing_to_judge() -> None:
    assert judge.judge(look(lambda seen: seen.update(store="files", flag="false"))) == ("rolled_back", [])


@pytest.mark.parametrize("code", ["cutover_unfinished", "cutover_broken"])
def test_on_files_after_a_cut_over_that_was_killed_is_not_back(code: str) -> None:
    """The flag says files, and the bot is stopped: taken for a rollback, the schedule would end here."""
    left = [{"code": each, "where": "", "problem": "", "remedy": ""} for each in (code, "database_unreachable")]
    verdict, found = judge.judge(look(lambda seen: seen.update(store="files", flag="false", problems=left)))
    assert (verdict, [each.code for each in found]) == ("bad", [code])


# --- What was before -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_start", "found"), [(9, []), (None, []), (8, ["process_restarted"])])
def test_restarts_of_a_cut_over_are_no_crashes_and_those_after_it_are(at_start: int | None, found: list[str]) -> None:
    """`at_start`: as the journal has it at the end of the cut-over; None where it does not tell."""

    def deployed(seen: dict[str, Any]) -> None:
        seen["run"] = "next"
        seen["processes"][0] |= {"restarts": 9, "restarts_at_start": at_start}

    assert codes(look(deployed)) == found
    assert codes(look(deployed, before=None)) == found


def noisy(count: int) -> Change:
    """`count` lines of a pattern that came once an hour for two days before the cut-over."""

    def change(seen: dict[str, Any]) -> None:
        seen["logs"] |= {"forbidden": {"Bad MAC": count}, "usual": {"Bad MAC": {"count": 48, "hours": 48.0}}}

    return change


@pytest.mark.parametrize(("count", "found"), [(1, []), (6, []), (7, ["log_forbidden"])])
def test_noise_of_before_is_not_blamed_on_the_switch(count: int, found: list[str]) -> None:
    """Two hours: two lines are usual, and three times their scatter more."""
    assert codes(look(noisy(count))) == found


def test_a_line_that_came_once_in_two_days_may_come_once() -> None:
    def change(count: int) -> Change:
        return lambda seen: seen["logs"].update(
            forbidden={"Bad MAC": count}, usual={"Bad MAC": {"count": 1, "hours": 48.0}}
        )

    assert codes(look(change(1))) == []
    assert codes(look(change(2))) == ["log_forbidden"]


@pytest.mark.parametrize(("hours", "found"), [(6, []), (6.4, []), (7, ["cleanup_silent"]), (24, ["cleanup_silent"])])
def test_a_cleanup_that_is_not_logged_for_more_than_its_period(hours: float, found: list[str]) -> None:
    seen = copy.deepcopy(WELL)
    seen["logs"]["counts"]["cleanup"] = 0
    then = (AT - timedelta(hours=hours)).isoformat()
    memory = judge.remember({"cleanup": then, "message": then}, seen, AT)
    assert codes(judge.Pass(seen, WELL, 2.0, AT, judge.Limits(), memory)) == found


def test_silence_is_judged_when_told_only() -> None:
    seen = copy.deepcopy(WELL)
    seen["messages"] = {"sent": 0, "received": 0}
    then = (AT - timedelta(hours=13)).isoformat()
    memory = judge.remember({"cleanup": AT.isoformat(), "message": then}, seen, AT)
    assert codes(judge.Pass(seen, WELL, 2.0, AT, judge.Limits(), memory)) == []
    assert codes(judge.Pass(seen, WELL, 2.0, AT, judge.Limits(quiet_hours=12), memory)) == ["no_messages"]


def test_limits_are_the_operators() -> None:
    assert codes(look(lambda seen: seen["processes"][0].update(restarts=3), restarts=1)) == []
    assert codes(look(memory_mb=80)) == ["process_memory"]
    assert codes(look(lambda seen: seen["database"].update(latency_ms=1500.0), latency_ms=0)) == []
    assert codes(look(lambda seen: company(seen).update(expired=3, expired_for=7 * 3600.0), cleanup_hours=12)) == []
