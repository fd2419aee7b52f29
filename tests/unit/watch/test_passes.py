"""What follows from several passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import ledgers
import pytest
from ansible.module_utils.node_host.problems import HostError
from ansible.module_utils.watch import observe, passes, permit
from ansible.module_utils.watch.append import append
from ansible.module_utils.watch.keeper import Keeper
from test_judge import WELL

SINCE = {"962302": "2026-11-24T10:00:00+00:00"}
AT = datetime(2026, 11, 24, 14, tzinfo=timezone.utc)


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


# --- One pass, written down ----------------------------------------------------------------------------------------


@dataclass
class Host:
    """A target's ledger, and the controller that keeps it."""

    state: Path
    hold: Keeper

    def looked(self) -> str:
        return observe.read_ledger(self.state)

    def record(self, ledger: str, at: datetime = AT, *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        params = {"seen": {**WELL, "since": SINCE}, "ledger": ledger, "limits": {}, "renew": False, **more}

        def write(line: str, size: int, keep: int, renew: bool) -> dict[str, Any]:
            try:
                append(self.state, line, size, keep, renew=renew)
            except HostError as error:
                return {"failed": True, "problems": error.as_dicts()}
            return {}

        return passes.record(params, self.hold, at, "real", write, check_mode=check_mode)

    def elsewhere(self, folder: str = "elsewhere") -> Host:
        """The same host, from another controller or by another user."""
        return Host(self.state, Keeper(self.state.parent / folder, ledgers.HOST))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "state", Keeper(tmp_path / "monitor", ledgers.HOST))


def refusal(record: Callable[[], object]) -> str:
    with pytest.raises(HostError) as caught:
        record()
    (problem,) = caught.value.problems
    return problem.code


def test_of_two_passes_that_looked_at_once_the_second_is_refused_and_the_third_is_good(host: Host) -> None:
    host.record(host.looked())
    looked = host.looked()
    host.record(looked)
    assert refusal(lambda: host.record(looked)) == "ledger_moved_on"
    assert host.record(host.looked())["verdict"] == "good"


def test_a_pass_from_elsewhere_makes_no_key_and_writes_nothing(host: Host) -> None:
    """As from cron, where XDG_STATE_HOME is not set and the folder is another one."""
    host.record(host.looked())
    before, other = host.looked(), host.elsewhere()
    assert refusal(lambda: other.record(other.looked())) == "ledger_no_key"
    assert not (host.state.parent / "elsewhere/key").exists()
    assert (host.looked(), host.record(host.looked())["verdict"]) == (before, "good")


def test_nor_does_one_that_has_a_key_for_other_hosts(host: Host) -> None:
    host.record(host.looked())
    before, other = host.looked(), host.elsewhere()
    other.hold.key(make=True)
    assert refusal(lambda: other.record(other.looked())) == "ledger_other_key"
    assert (host.looked(), host.record(host.looked())["verdict"]) == (before, "good")


@pytest.mark.parametrize("has_a_key", [False, True])
def test_who_has_lost_the_folder_begins_anew(host: Host, has_a_key: bool) -> None:
    host.record(host.looked())
    other = host.elsewhere()
    if has_a_key:
        other.hold.key(make=True)
    assert other.record(other.looked(), renew=True)["verdict"] == "good"
    assert other.record(other.looked())["verdict"] == "good"


def test_a_first_line_of_ours_that_was_touched_is_no_other_controllers(host: Host) -> None:
    host.record(host.looked())
    (host.state / "ledger.jsonl").write_text(ledgers.changed(host.looked().strip(), verdict="bad") + "\n")
    assert host.record(host.looked())["findings"][0]["code"] == "ledger_edited"


def test_a_clock_that_went_back_writes_nothing(host: Host) -> None:
    """A clock that was ahead at one pass would else make every later entry one that is out of order."""
    host.record(host.looked(), AT + timedelta(days=3))
    before = host.looked()
    assert refusal(lambda: host.record(before, check_mode=True)) == "clock_back"
    assert refusal(lambda: host.record(before)) == "clock_back"
    assert host.looked() == before
    assert host.record(before, AT + timedelta(days=3))["findings"] == []
    assert host.record(host.looked(), renew=True)["findings"] == []
    assert host.record(host.looked())["findings"] == []


def test_a_login_made_anew_while_the_database_was_away_is_told_from_the_one_before(host: Host) -> None:
    def seen(**more: Any) -> dict[str, Any]:
        companies = {"962302": {**WELL["companies"]["962302"], **more}}
        return {**WELL, "since": SINCE, "health": None, "companies": companies}

    host.record(host.looked())
    host.record(host.looked(), seen=seen(identity=None, rows=None, count=None, present=None))
    anew = host.record(host.looked(), seen=seen(identity="other", rows={"pre-key": 30}))
    assert {each["code"] for each in anew["findings"]} == {"identity_changed", "rows_gone"}
    # Where the phone was paired again, that was the last of it.
    assert host.record(host.looked(), seen=seen(identity="other", rows={"pre-key": 30}))["verdict"] == "good"


def test_a_cleanup_waits_for_the_clock_as_well(host: Host) -> None:
    host.record(host.looked())
    listed = {"ledger": host.looked(), "since": SINCE}
    with pytest.raises(HostError) as caught:
        permit.check(host.hold, listed, AT - timedelta(minutes=1), "real", 26)
    assert "clock_back" in [problem.code for problem in caught.value.problems]
