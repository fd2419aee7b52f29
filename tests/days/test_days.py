"""The days after the switch, told in order by the real playbooks; the ledger and the report have to say the truth."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import tarfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ledgers
import psycopg
import pytest
from ansible.module_utils.cutover.lock import Holder, Lock
from ansible.module_utils.node_host.commands import findings_for_host
from ansible.module_utils.watch import ledger
from ansible.module_utils.watch.keeper import Keeper
from conftest import Days, ends_well, refused, until
from driver import COMPANY, PROJECT, Run, Sandbox

CONTACT = "79001234567"


def report(sandbox: Sandbox) -> str:
    newest = max((sandbox.root / "reports").rglob("*.html"), key=lambda page: page.stat().st_mtime_ns)
    return re.sub(r"\s+", " ", html.unescape(newest.read_text()))


def found(days: Days, run: Run, *codes: str) -> dict[str, Any]:
    """The pass was bad, for these reasons, and each place says so."""
    entry = days.entries()[-1]
    assert (run.rc, entry["verdict"]) == (2, "bad"), run.output[-3000:]
    assert sorted(finding["code"] for finding in entry["findings"]) == sorted(codes)
    told = days.webhook.received[-1]
    assert (told["verdict"], told["findings"]) == ("bad", findings_for_host(entry["findings"], "sandbox"))
    page = report(days.sandbox)
    for finding in entry["findings"]:
        assert " ".join(finding["problem"].split())[:60] in run.message()
        assert finding["remedy"].split(":")[0][:30] in run.message()
        assert finding["problem"][:40] in page
    return entry


def well(days: Days, run: Run) -> dict[str, Any]:
    entry = days.entries()[-1]
    assert (run.rc, entry["verdict"], entry["findings"]) == (0, "good", []), run.output[-3000:]
    assert "all is well" in report(days.sandbox)
    return entry


# --- A day ---------------------------------------------------------------------------------------------------------


def test_check_mode_writes_nothing_down(days: Days) -> None:
    run = days.pass_at(0.5, "--check")
    ends_well(run)
    assert "check mode: not written down" in run.output
    assert not days.ledger.exists()
    assert not (days.sandbox.root / "monitor/key").exists()


def test_a_good_first_pass(days: Days) -> None:
    entry = well(days, days.pass_at(1, "-vvv"))
    assert entry["number"] == 1
    assert entry["seen"]["logs"]["counts"]["cleanup"] > 0
    assert days.ledger.stat().st_mode & 0o777 == 0o600
    assert days.webhook.received == []


def test_messages_are_counted_since_the_last_pass_only(days: Days) -> None:
    days.sandbox.converse(CONTACT, "two hours later")
    assert well(days, days.pass_at(2))["seen"]["messages"] == {"sent": 1, "received": 1}


def test_a_crash_at_three_in_the_morning(days: Days) -> None:
    pid, restarts, _ = days.sandbox.processes()["baileys-service"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: days.sandbox.processes()["baileys-service"][1] == restarts + 1)
    until(lambda: answers(days.sandbox))
    found(days, days.pass_at(4, "-vvv"), "process_restarted")


def answers(sandbox: Sandbox) -> bool:
    try:
        return sandbox.health()["connection"] == "open"
    except OSError:
        return False


def test_after_it_all_is_well_again_and_that_is_told_once(days: Days) -> None:
    days.clean_expired_rows()
    told = len(days.webhook.received)
    well(days, days.pass_at(6))
    assert [each["verdict"] for each in days.webhook.received[told:]] == ["good"]


def test_rotation_at_midnight_hides_nothing(days: Days) -> None:
    sandbox, logs = days.sandbox, days.sandbox.root / "pm2/logs"
    sandbox.converse(CONTACT, "before midnight")
    for log in logs.glob("*.log"):
        log.rename(log.with_name(f"{log.name}.1"))
    sandbox.pm2("reloadLogs")
    sandbox.converse(CONTACT, "after midnight")
    assert "Message sent" in (logs / "baileys-service-out.log.1").read_text().splitlines()[-2]
    assert well(days, days.pass_at(8))["seen"]["messages"] == {"sent": 2, "received": 2}


def test_a_forbidden_line_in_the_rotated_part_is_found(days: Days) -> None:
    log = days.sandbox.root / "pm2/logs/baileys-service-error.log"
    with log.open("a") as file:
        file.write(f"Error: Bad MAC in session of {CONTACT}\n")
    log.rename(log.with_name(f"{log.name}.2"))
    days.sandbox.pm2("reloadLogs")
    entry = found(days, days.pass_at(9), "log_forbidden")
    assert "Bad MAC in session of 7900***4567" in entry["findings"][0]["problem"]


def test_a_database_outage(days: Days) -> None:
    with days.database_down():
        run = days.pass_at(10)
    entry = days.entries()[-1]
    assert (run.rc, entry["verdict"]) == (2, "bad")
    assert "database_unreachable" in [finding["code"] for finding in entry["findings"]]
    assert entry["seen"]["database"] == {"reachable": False, "latency_ms": None, "connect_ms": None}


def test_after_the_outage(days: Days) -> None:
    days.clean_expired_rows()
    days.pass_at(11)  # what the bot wrote in its log while the outage lasted may still come
    well(days, days.pass_at(12))


def test_a_cleanup_that_stopped(days: Days) -> None:
    with psycopg.connect(days.sandbox.database_url) as connection:
        connection.execute(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, expires_at)"
            " VALUES (%s, 'lid-mapping', '79005550199', '\"102765716062358\"', now() - interval '7 hours')",
            [COMPANY],
        )
    found(days, days.pass_at(19), "cleanup_silent", "cleanup_stopped")
    days.clean_expired_rows()
    well(days, days.pass_at(20))


def test_something_that_prunes_the_old_files(days: Days) -> None:
    for file in sorted(days.sandbox.company.glob("lid-mapping-*"))[:5]:
        file.unlink()
    entry = found(days, days.pass_at(22), "old_files_changed")
    assert "5 of its 337 old files are gone" in entry["findings"][0]["problem"]


def test_the_end_of_the_day(days: Days) -> None:
    days.clean_expired_rows()
    well(days, days.pass_at(24))
    page = report(days.sandbox)
    for figure in ("restarts", "errors", "messages", "rows", "expired", "latency"):
        assert figure in page


# --- Cleanup -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seven_days(days: Days) -> float:
    """The hour at which the seven good days are full; daily passes until an hour before it, without the days."""
    keeper, lines = Keeper(days.sandbox.root / "monitor", "sandbox"), days.ledger.read_text()
    last = json.loads(lines.splitlines()[-1])
    good = datetime.fromisoformat(last["at"])
    for at in ledgers.times(good, good + timedelta(days=6, hours=22)):
        bare = {name: last[name] for name in last if name not in ("number", "previous", "seal", "host")}
        line = keeper.seal({**bare, "at": at.isoformat(timespec="seconds")}, keeper.read(lines))
        keeper.written(line)
        lines += f"{line}\n"
    days.ledger.write_text(lines)
    return (good - days.begin).total_seconds() / 3600 + 7 * 24


def test_refused_at_six_days_and_23_hours(days: Days, seven_days: float) -> None:
    days.set_clock(seven_days - 1)
    with days.sandbox.unchanged():
        run = days.cleanup("-e", "cleanup_scope=all")
    refused(run, "of good passes are on record, and 168 h are needed")
    assert " 167 h" in run.message()


def test_no_variable_and_no_other_inventory_moves_the_clock(days: Days, seven_days: float, tmp_path: Path) -> None:
    """The sandbox's clock says that the days are full; through a copy of its inventory the real one counts."""
    days.set_clock(seven_days + 1)
    shutil.copytree(PROJECT / "inventory/sandbox", tmp_path / "inventory/sandbox")
    variables = {"sandbox_app_source_dir": str(PROJECT), "now": "2027-01-01", "clock": "sandbox", "cleanup_days": 0}
    play = ("-i", str(tmp_path / "inventory/sandbox"), "-e", json.dumps(variables))
    with days.sandbox.unchanged():
        refused(days.cleanup(*play), "its passes are from the sandbox's clock")


def test_refused_after_a_gap(days: Days, seven_days: float) -> None:
    days.set_clock(seven_days + 40)
    refused(days.cleanup(), "ago, and 26 h are allowed")


def tampered(name: str, lines: list[str]) -> list[str]:
    if name == "edited":
        number = next(number for number, line in enumerate(lines) if '"verdict":"bad"' in line)
        return [*lines[:number], ledgers.changed(lines[number], verdict="good", findings=[]), *lines[number + 1 :]]
    if name == "removed":
        return [line for line in lines if '"verdict":"bad"' not in line]
    if name == "newest removed":
        return lines[:-1]
    chain = ledger.Chain(last=ledger.digest(lines[-1]), count=len(lines))
    bare = {name: value for name, value in json.loads(lines[-1]).items() if name != "seal"}
    return [*lines, ledger.seal(bare, b"a key of my own", chain)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("edited", "its seal does not fit"),
        ("removed", "it does not follow the line before it"),
        ("newest removed", "its newest entries were removed"),
        ("forged", "its seal does not fit"),
    ],
)
def test_refused_when_the_ledger_was_touched(days: Days, seven_days: float, name: str, words: str) -> None:
    days.set_clock(seven_days + 1)
    genuine = days.ledger.read_text()
    days.ledger.write_text("".join(f"{line}\n" for line in tampered(name, genuine.splitlines())))
    try:
        refused(days.cleanup(), words)
    finally:
        days.ledger.write_text(genuine)


def test_check_mode_lists_by_type_what_would_go(days: Days, seven_days: float) -> None:
    days.clean_expired_rows()
    well(days, days.pass_at(seven_days + 0.1))
    with days.sandbox.unchanged():
        run = days.cleanup("--check", "--diff", "-e", "cleanup_scope=all")
    ends_well(run)
    mappings = len(list(days.sandbox.company.glob("lid-mapping-*")))
    assert re.search(rf"-company {COMPANY} lid-mapping: {mappings} file", run.output)
    assert re.search(rf"-company {COMPANY} creds: 1 file", run.output)


def test_refused_while_another_run_has_the_host(days: Days, seven_days: float) -> None:
    days.set_clock(seven_days + 0.2)
    lock, holder = Lock(days.ledger.parent), Holder.here(os.getpid(), "deploy.yml", "a test")
    assert lock.take(holder)
    try:
        with days.sandbox.unchanged():
            refused(days.cleanup("-e", "cleanup_scope=all"), "it is held by")
    finally:
        assert lock.release(holder.run), "the cleanup has left it to its holder"


def test_at_seven_days_the_old_files_go(days: Days, seven_days: float) -> None:
    sandbox, before = days.sandbox, {path.name: path.read_bytes() for path in days.sandbox.company.iterdir()}
    identity = sandbox.health()["identity"]
    days.set_clock(seven_days + 0.2)
    ends_well(days.cleanup("-vvv", "-e", "cleanup_scope=all"))
    assert not sandbox.company.exists()
    (archive,) = sandbox.backups.glob("sessions_*.tar")
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        inside = {Path(each.name).name: tar.extractfile(each).read() for each in tar if each.isfile()}  # type: ignore[union-attr]
    assert inside == before
    assert (sandbox.health()["store"], sandbox.health()["identity"]) == ("database", identity)
    assert sandbox.converse(CONTACT, "after the cleanup") == "Answer to: after the cleanup"
    entry = days.entries()[-1]
    assert (entry["kind"], entry["files"][COMPANY]["count"]) == ("cleanup", 0)
    assert Lock(days.ledger.parent).holder() is None


def test_a_second_cleanup_finds_nothing(days: Days, seven_days: float) -> None:
    days.set_clock(seven_days + 0.3)
    with days.sandbox.unchanged():
        run = days.cleanup("-e", "cleanup_scope=all")
    ends_well(run)
    assert run.recap()["changed"] == 0


def test_the_next_pass_does_not_take_the_cleanup_for_a_fault(days: Days, seven_days: float) -> None:
    days.clean_expired_rows()
    well(days, days.pass_at(seven_days + 2))


def test_deploy_still_passes_and_changes_nothing(days: Days) -> None:
    with days.sandbox.unchanged():
        ends_well(days.sandbox.play("deploy.yml"))


def test_rollback_still_works_from_the_database(days: Days) -> None:
    sandbox, identity = days.sandbox, days.sandbox.health()["identity"]
    ends_well(sandbox.play("rollback.yml"))
    assert (sandbox.health()["store"], sandbox.health()["identity"]) == ("files", identity)
    assert sandbox.converse(CONTACT, "from the files") == "Answer to: from the files"


def test_after_a_rollback_there_is_nothing_to_watch_and_nothing_to_clean(days: Days, seven_days: float) -> None:
    run = days.pass_at(seven_days + 3)
    ends_well(run)
    assert days.entries()[-1]["verdict"] == "rolled_back"
    refused(days.cleanup("-e", "cleanup_scope=all"), "this login is in the files")


# --- Secrets -------------------------------------------------------------------------------------------------------


def test_no_number_key_or_password_is_told_anywhere(days: Days) -> None:
    """In what was printed, in the ledger, in the notifications and in the reports."""
    sandbox = days.sandbox
    creds = json.loads((sandbox.company / "creds.json").read_text())
    password = sandbox.database_url.partition("//")[2].partition("@")[0].partition(":")[2]
    secrets = {CONTACT, creds["me"]["id"].partition(":")[0], password, creds["advSecretKey"], "token-of-the-webhook"}
    secrets |= {creds["noiseKey"]["private"]["data"], creds["signedIdentityKey"]["private"]["data"]}
    secrets |= {(sandbox.root / "monitor/key").read_text()}
    told = [*sandbox.outputs, days.ledger.read_text(), json.dumps(days.webhook.received)]
    told += [page.read_text() for page in (sandbox.root / "reports").rglob("*.html")]
    told += [file.read_text() for file in (sandbox.app / ".auth-state").glob("*.jsonl")]
    for secret in secrets:
        assert len(secret) > 8
        assert [text[:80] for text in told if secret in text] == []
