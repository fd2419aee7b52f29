"""What follows from several passes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import ledgers
from ansible.module_utils.watch import passes

SINCE = {"962302": "2026-11-24T10:00:00+00:00"}


def entry(verdict: str, *codes: str, since: dict[str, str] = SINCE, **more: Any) -> dict[str, Any]:
    at = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    findings = [{"code": code, "where": "w", "problem": "p", "remedy": "r"} for code in codes]
    return ledgers.entry(at, since, verdict=verdict, findings=findings, **more)


def test_bad_passes_are_counted_up_to_the_last() -> None:
    bad, good = entry("bad", "process_restarted"), entry("good")
    assert passes.bad_in_a_row([bad, good, bad, bad]) == 2
    assert passes.bad_in_a_row([bad, good]) == 0


def test_what_no_rollback_repairs_does_not_bring_one_about() -> None:
    bad, touched = entry("bad", "health"), entry("bad", "ledger_edited", "ledger_chain")
    assert passes.bad_in_a_row([bad, bad, entry("unlinked", "phone_unlinked")]) == 0
    assert passes.bad_in_a_row([touched, touched, touched]) == 0
    assert passes.bad_in_a_row([touched, bad, entry("bad", "ledger_edited", "health")]) == 2


def test_passes_of_a_cut_over_before_do_not_count() -> None:
    later = {"962302": "2026-11-25T10:00:00+00:00"}
    assert passes.bad_in_a_row([entry("bad", "health"), entry("bad", "health", since=later)]) == 1


def test_the_schedule_ends_with_a_cleanup_of_this_cut_over_alone() -> None:
    """New code that was deployed since is a run, and no cut-over."""
    cleanup, later = entry("good", kind="cleanup"), {"962302": "2026-11-25T10:00:00+00:00"}
    assert passes.cleaned([entry("good"), cleanup, entry("good")])
    assert passes.cleaned([cleanup, entry("good", cut_over={"run": "b", "since": SINCE})])
    assert not passes.cleaned([entry("good"), entry("good")])
    assert not passes.cleaned([entry("good"), entry("bad", "changed_meanwhile", kind="cleanup"), entry("good")])
    assert not passes.cleaned([entry("good"), cleanup, entry("good", since=later)])
