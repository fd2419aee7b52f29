"""monitor.yml itself where the bot cannot be looked at, or goes back; tests/days has a bot, and its database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from webhook import Webhook


def third_bad_pass() -> str:
    """As the ledger would answer; with -e, so that it stands whatever the host would have said."""
    finding = {"code": "process_down", "where": "pm2", "problem": "its status is stopped", "remedy": "pm2 restart"}
    entry = {"verdict": "bad", "findings": [finding], "bad_in_a_row": 3, "age_hours": 30.0, "passes": []}
    return json.dumps({"__monitor_entry": entry, "monitor_rollback_after": 3})


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.close()


def test_a_blind_pass_says_why_and_leaves_the_job_as_it_is(paper: Any) -> None:
    job = "7 */2 * * * a job of the deploy"
    paper.crontab.with_suffix(".tab").write_text(f"{job}\n")
    code, said = paper.play("monitor.yml", {"far": paper.far()}, "-e", "monitor_schedule=true")
    assert code == 2
    assert "far: company 962302: the pass could not be made" in said
    assert "it could not be looked at: " in said
    assert paper.jobs() == [job]


def test_a_crontab_that_cannot_be_written_is_no_good_end(paper: Any) -> None:
    paper.crontab.write_text("#!/bin/sh\necho cron is broken >&2\nexit 1\n")
    good = {"__monitor_entry": {"verdict": "good", "findings": [], "age_hours": 30.0, "passes": []}}
    code, said = paper.play("monitor.yml", {"far": paper.far()}, "-e", "monitor_schedule=true", "-e", json.dumps(good))
    assert code == 2
    assert "all is well" in said
    assert "far: The job in the crontab is not as it should be" in said[said.rindex("fatal: ") :]


def test_a_schedule_that_was_skipped_is_none_that_failed(paper: Any) -> None:
    """As by a deploy without one, in the same call."""
    skipped = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}
    good = {"verdict": "good", "findings": [], "age_hours": 30.0, "passes": []}
    known = json.dumps({"__monitor_entry": good, "__monitor_job": skipped})
    _code, said = paper.play("monitor.yml", {"far": paper.far()}, "-e", known)
    assert "all is well" in said
    assert "crontab" not in said


@pytest.mark.parametrize("names", [["far"], ["far", "further"]])
def test_a_third_bad_pass_goes_back_without_a_crontab_and_what_came_of_it_is_told(
    paper: Any, webhook: Webhook, names: list[str]
) -> None:
    """Whoever hears that the login goes back hears that it did not."""
    paper.crontab.write_text("#!/bin/sh\necho cron is broken >&2\nexit 1\n")
    hosts = {name: paper.far() for name in names}
    told = ("-e", f"monitor_webhook_url={webhook.url}", "-e", "monitor_schedule=true", "-e", third_bad_pass())
    code, said = paper.play("monitor.yml", hosts, *told)
    assert code == 2
    assert "❌ the crontab could not be written: " in said
    assert "back to files (rollback_source=database): company 962302" in said
    assert "bad passes in a row the login went back" not in said
    heard = [(each["host"], each["goes_back"], each.get("went_back")) for each in webhook.received]
    assert sorted(heard[: len(names)]) == [(name, True, None) for name in names]
    assert sorted(heard[len(names) :]) == [(name, True, False) for name in names]
    wrong = "the login was to go back to its files (monitor_rollback_after), and that went wrong"
    assert {each["host"]: each["text"] for each in webhook.received}["far"].startswith(
        f"far: After 3 bad passes in a row {wrong}: not reached"
    )
    last = said[said.rindex("fatal: [far]") :]
    assert f"{wrong}: not reached, and left as it was" in last
    assert "far: The job in the crontab is not as it should be: the crontab could not be written" in last
