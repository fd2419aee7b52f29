"""Seven good days on record, or no deletion."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import ledgers
import pytest
from ansible.module_utils.watch import days

SINCE = datetime(2026, 11, 24, 22, 0, tzinfo=timezone.utc)
CUT_OVER = {"962302": SINCE.isoformat()}
GAP = timedelta(hours=26)


def passes(until: datetime, since: dict[str, str] = CUT_OVER) -> list[dict[str, Any]]:
    return [ledgers.entry(at, since) for at in ledgers.times(SINCE, until)]


def after(**span: float) -> datetime:
    return SINCE + timedelta(**span)


def codes(entries: list[dict[str, Any]], now: datetime, clock: str = "real") -> list[str]:
    return [each.code for each in days.refusals(entries, now, clock, CUT_OVER, GAP, "here")]


def test_refused_at_six_days_and_23_hours() -> None:
    now = after(days=6, hours=23)
    (refusal,) = days.refusals(passes(now), now, "real", CUT_OVER, GAP, "here")
    assert refusal.code == "too_early"
    assert "167 h of good passes are on record, and 168 h are needed" in refusal.problem
    assert "2026-12-01 22:00 UTC" in refusal.remedy


def test_allowed_at_seven_days() -> None:
    assert codes(passes(after(days=7)), after(days=7)) == []


def test_without_any_pass() -> None:
    assert codes([], after(days=8)) == ["no_passes"]


def test_passes_after_another_cut_over_do_not_count() -> None:
    """After a rollback and a new deploy the record has a new time, and so have its passes."""
    earlier = passes(after(days=9), {"962302": after(days=-20).isoformat()})
    assert codes(earlier, after(days=9)) == ["no_passes"]


def test_one_of_two_companies_moved_later() -> None:
    both = {**CUT_OVER, "962303": after(days=3).isoformat()}
    entries = passes(after(days=2)) + [ledgers.entry(at, both) for at in ledgers.times(after(days=3), after(days=8))]
    problems = days.refusals(entries, after(days=8), "real", both, GAP, "here")
    assert [each.code for each in problems] == ["too_early"]
    assert "120 h of good passes" in problems[0].problem


def test_a_gap_begins_them_anew() -> None:
    entries = [
        each for each in passes(after(days=8)) if not after(days=2) < datetime.fromisoformat(each["at"]) < after(days=4)
    ]
    (refusal,) = days.refusals(entries, after(days=8), "real", CUT_OVER, GAP, "here")
    assert refusal.code == "too_early"
    assert "there was no pass between 2026-11-25 23:00 UTC and 2026-11-28 23:00 UTC, 72 h" in refusal.problem


def test_a_gap_at_the_beginning() -> None:
    entries = [each for each in passes(after(days=8)) if datetime.fromisoformat(each["at"]) > after(days=2)]
    assert codes(entries, after(days=8)) == ["too_early"]


def test_a_gap_at_the_end() -> None:
    assert codes(passes(after(days=8)), after(days=9, hours=3)) == ["gap"]
    assert codes(passes(after(days=8)), after(days=9)) == []


def test_a_bad_pass_begins_them_anew() -> None:
    entries = passes(after(days=10))
    entries[1] |= {"verdict": "bad", "findings": [{"problem": "pm2 has restarted it 1 time(s)"}]}
    assert codes(entries, after(days=10)) == []
    entries[2] |= {"verdict": "bad", "findings": [{"problem": "pm2 has restarted it 1 time(s)"}]}
    (refusal,) = days.refusals(entries, after(days=10), "real", CUT_OVER, GAP, "here")
    assert refusal.code == "too_early"
    assert "was not good: pm2 has restarted it" in refusal.problem


def test_a_bad_pass_that_could_not_tell_its_cut_over_begins_them_anew() -> None:
    """As where neither the database nor the host's own record could be read."""
    entries = passes(after(days=10))
    unknown = {"cut_over": {"run": "a", "since": {"962302": None}}}
    entries[2] |= {**unknown, "verdict": "bad", "findings": [{"problem": "it does not answer"}]}
    (refusal,) = days.refusals(entries, after(days=10), "real", CUT_OVER, GAP, "here")
    assert refusal.code == "too_early"
    assert "was not good: it does not answer" in refusal.problem
    # Before the cut-over it is no business of these days, and a good one proves nothing for them.
    earlier = [ledgers.entry(after(hours=-1), CUT_OVER, verdict="bad", **unknown), *passes(after(days=8))]
    assert codes(earlier, after(days=8)) == []
    late = [*passes(after(days=8)), ledgers.entry(after(days=9, hours=3), CUT_OVER, **unknown)]
    assert codes(late, after(days=9, hours=3)) == ["gap"]


@pytest.mark.parametrize("said", [{"renewed": ["ledger_edited"]}, {"adopted": True}])
def test_what_nobody_can_prove_any_more_begins_them_anew(said: dict[str, Any]) -> None:
    """A ledger begun anew in the first hours would else forget what was bad in them."""
    entries = [ledgers.entry(after(hours=20), CUT_OVER, **said), *passes(after(days=7))[1:]]
    (refusal,) = days.refusals(entries, after(days=7), "real", CUT_OVER, GAP, "here")
    assert refusal.code == "too_early"
    assert "2026-12-02 18:00 UTC" in refusal.remedy
    assert codes([*entries, *passes(after(days=8))[-1:]], after(days=8)) == []


@pytest.mark.parametrize("verdict", ["bad", "unlinked"])
def test_a_bad_last_pass(verdict: str) -> None:
    entries = passes(after(days=9))
    entries[-1] |= {"verdict": verdict, "findings": [{"problem": "it is down"}]}
    assert codes(entries, after(days=9)) == ["bad_pass"]


def test_the_sandboxs_clock_counts_in_the_sandbox_alone() -> None:
    entries = passes(after(days=8))
    entries[3]["clock"] = "sandbox"
    assert codes(entries, after(days=8)) == ["sandbox_clock"]
    assert codes(entries, after(days=8), clock="sandbox") == []


def test_a_cleanup_is_no_pass() -> None:
    entries = passes(after(days=8))
    entries[-1]["kind"] = "cleanup"
    assert codes(entries, after(days=9, hours=6)) == ["gap"]
