"""One command on three hosts: a canary, then the rest in steps, until one fails; and what is said of each.

Told in order: each test goes on from where the one before left the fleet.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ansible.module_utils.cutover.lock import Holder, Lock
from driver import Sandbox, files_below
from hosts import COMPANIES, Fleet


def table(output: str) -> dict[str, list[str]]:
    """The table of where each host stands, a line by host; its cells stand two blanks apart."""
    found = {}
    for line in output[output.rindex("host     company") :].splitlines()[1:]:
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if not cells:
            break
        found[cells[0]] = cells[1:]
    return found


def test_status_of_hosts_that_were_never_deployed(fleet: Fleet) -> None:
    before = {name: fleet.seen(name) for name in fleet.hosts}
    run = fleet.play("status.yml")
    assert run.rc == 0, run.output[-3000:]
    assert {name: fleet.seen(name) for name in fleet.hosts} == before
    assert run.recap("third")["changed"] == 0
    for name, company in COMPANIES.items():
        assert table(run.output)[name][:4] == [company, "files", "never moved", "files"]
        assert table(run.output)[name][6:] == ["337", "0", "free", "none", "none"]


def test_a_failure_stops_the_fleet_and_what_was_moved_goes_back_when_told(fleet: Fleet) -> None:
    """The second is refused by its preflight, after the first was moved."""
    second, third = fleet.seen("second"), fleet.seen("third")
    identity = fleet.first.health()["identity"]
    (fleet.login("second") / "notes.txt").write_text("x")
    run = fleet.play("deploy.yml", "-e", "fleet_on_failure=rollback")
    (fleet.login("second") / "notes.txt").unlink()
    assert run.rc == 2, run.output[-6000:]
    assert "notes.txt" in run.message("second")
    assert fleet.seen("third") == third
    assert {**fleet.seen("second"), "state": None} == {**second, "state": None}  # psycopg is provided by preflight
    assert "third: not begun, and left as it was" in run.output
    assert "second: refused, and nothing of it was changed" in run.output
    assert "sandbox: company 962302 runs on its files" in run.output
    assert fleet.first.health() | {"identity": identity, "store": "files"} == fleet.first.health()
    record = (fleet.state_dir("sandbox") / "record.jsonl").read_text().splitlines()
    ends = [line for line in map(json.loads, record) if line["event"] == "end"]
    assert [(line["outcome"], line["stores"]) for line in ends] == [
        ("done", {"962302": "database"}),
        ("done", {"962302": "files"}),
    ]


def test_a_host_that_fails_after_its_move_goes_back_too_and_has_failed(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes in this crontab; the job comes when all else is done."""
    (tmp_path / "crontab").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = json.dumps({"app_path": [str(tmp_path), str(fleet.first.root / "bin")], "monitor_schedule": True})
    run = fleet.play("deploy.yml", "-e", "fleet_on_failure=rollback", "-e", path)
    assert run.rc == 2, run.output[-6000:]
    said = " ".join(run.output.split())
    failed = 'sandbox: failed at "Keep the job in the controller\'s crontab", when all else was done'
    assert f"{failed}; then company 962302 runs on its files" in said
    assert "second: not begun, and left as it was" in said
    assert fleet.first.health()["store"] == "files"


def test_a_host_that_is_not_reached_keeps_none_of_those_before_it_from_going_back(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    far = {"ansible_connection": "ssh", "ansible_ssh_executable": str(tmp_path / "ssh")}
    (tmp_path / "far.json").write_text(json.dumps({"whatsapp": {"hosts": {"second": far}}}))
    run = fleet.play("deploy.yml", "-i", str(tmp_path / "far.json"), "-e", "fleet_on_failure=rollback")
    assert run.rc not in (0, 1), run.output[-6000:]
    assert "second: not reached, and left as it was" in run.output
    assert "third: not begun, and left as it was" in run.output
    assert "sandbox: company 962302 runs on its files" in run.output
    assert fleet.first.health()["store"] == "files"


def test_a_failure_stops_the_fleet_and_what_was_moved_stays(fleet: Fleet) -> None:
    """The second fails after its switch, and is brought back by itself; the third is not begun."""
    third = fleet.seen("third")
    never = {"database": [{"text": "a line that the bot never prints"}]}
    only_second = fleet.first.root / "second.json"
    only_second.write_text(
        json.dumps({"whatsapp": {"hosts": {"second": {"health_log_expected": never, "health_window_seconds": 10}}}})
    )
    run = fleet.play("deploy.yml", "-i", str(only_second))
    only_second.unlink()
    assert run.rc == 2, run.output[-6000:]
    assert "a line that the bot never prints" in run.message("second")
    assert fleet.seen("third") == third
    assert "The fleet stopped at second" in run.output
    assert "ansible-playbook rollback.yml -l sandbox" in run.output
    assert [table(run.output)[name][1] for name in COMPANIES] == ["database", "files", "files"]
    assert [host.health()["store"] for host in fleet.hosts.values()] == ["database", "files", "files"]
    assert not any(Lock(fleet.state_dir(name)).path.exists() for name in COMPANIES)


def test_two_hosts_with_one_login_and_one_database(fleet: Fleet, tmp_path: Path) -> None:
    """Refused with the owner's name, also where the second is a copy of the first, our own folder included."""
    hosts = {}
    for name, ignored in (("twin", ["node_modules", ".auth-state"]), ("clone", ["node_modules"])):
        host = Sandbox(tmp_path / name)
        shutil.copytree(fleet.first.app, host.app, ignore=shutil.ignore_patterns(*ignored), symlinks=True)
        (host.app / "node_modules").mkdir()
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        hosts[name] = {**local, "app_dir": str(host.app), "psycopg_source": "auto"}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"whatsapp": {"hosts": hosts}}))

    def seen() -> dict[str, object]:
        return {name: files_below(tmp_path / name / "ai-admin") for name in hosts} | fleet.first.snapshot()

    before = seen()
    arguments = ("-i", "inventory/sandbox", "-i", str(inventory), "-l", "twin,clone")
    run = fleet.first.play("deploy.yml", *arguments, "-e", json.dumps({"fleet_serial": ["100%"]}))
    assert run.rc == 2
    for name in hosts:
        assert "host sandbox has held this login since" in run.message(name)
        assert "rollback.yml --limit sandbox" in run.message(name)
    assert seen() == before


# The lock


def foreign() -> Holder:
    return Holder("5f0c4d0a6f3c", "anna", "elsewhere", "deploy.yml", "company 962304", "2026-11-01T10:00:00+00:00")


@pytest.mark.parametrize("playbook", ["deploy.yml", "rollback.yml"])
def test_a_second_run_says_who_has_the_lock_and_leaves(fleet: Fleet, playbook: str) -> None:
    lock = Lock(fleet.state_dir("sandbox"))
    assert lock.take(foreign())
    before = fleet.seen("sandbox")
    run = fleet.first.play(playbook)
    assert run.rc == 2
    assert "it is held by anna@elsewhere since 2026-11-01T10:00:00+00:00, for deploy.yml" in run.message()
    assert "lock_takeover=true" in run.message()
    assert fleet.seen("sandbox") == before
    assert lock.holder() == foreign()
    assert "held since 2026-11-01 10:00" in fleet.first.play("status.yml").output
    assert lock.release(foreign().run)


def test_the_lock_of_a_run_that_is_alive_here_is_never_taken_over(fleet: Fleet) -> None:
    """With the option too: its process is this very one."""
    lock, holder = Lock(fleet.state_dir("sandbox")), Holder.here(os.getpid(), "deploy.yml", "a test")
    assert lock.take(holder)
    run = fleet.first.play("rollback.yml", "-e", "lock_takeover=true")
    assert run.rc == 2
    assert f"Its process {holder.pid} still runs on this machine" in run.message()
    assert lock.holder() == holder
    assert lock.release(holder.run)


def test_check_mode_takes_no_lock(fleet: Fleet) -> None:
    before = fleet.seen("sandbox")
    assert fleet.first.play("rollback.yml", "--check").rc == 0
    assert fleet.seen("sandbox") == before


def test_a_dead_runs_lock_is_taken_over_with_the_option(fleet: Fleet) -> None:
    lock = Lock(fleet.state_dir("third"))
    lock.path.parent.mkdir(mode=0o700, exist_ok=True)
    assert lock.take(foreign())
    run = fleet.play("deploy.yml", "-l", "third", "-e", "lock_takeover=true")
    assert run.rc == 0, run.output[-4000:]
    assert "the lock of anna@elsewhere" in run.output
    assert lock.holder() is None
    lines = [json.loads(line) for line in (fleet.state_dir("third") / "record.jsonl").read_text().splitlines()]
    assert [(line["event"], line.get("outcome")) for line in lines] == [
        ("end", "killed"),
        ("begin", None),
        ("end", "done"),
    ]
    assert lines[0]["run"] == foreign().run
    assert lines[2]["stores"] == {"962304": "database"}


def test_the_lock_of_a_run_that_is_gone_here_goes_by_itself(fleet: Fleet) -> None:
    lock, dead = Lock(fleet.state_dir("third")), Holder.here(2**22 + 1, "deploy.yml", "a test")
    assert lock.take(dead)
    run = fleet.play("rollback.yml", "-l", "third")
    assert run.rc == 0, run.output[-4000:]
    assert "Lock of a dead run taken over" in run.output
    assert lock.holder() is None


# status.yml where things are not as they should be


def test_status_without_the_database_and_after_a_kill(fleet: Fleet) -> None:
    """A database that does not answer, a journal without an end, a check on the ledger: all of it is told."""
    state_dir = fleet.state_dir("sandbox")
    journal, ledger = state_dir / "journal.jsonl", state_dir / "ledger.jsonl"
    kept = journal.read_bytes()
    begun = json.loads(kept.splitlines()[0]) | {"run": "dead", "pid": 2**22 + 1, "event": "begin"}
    doing = {"run": "dead", "at": begun["at"], "event": "doing", "step": "copy"}
    journal.write_bytes(kept + b"".join(json.dumps(line).encode() + b"\n" for line in (begun, doing)))
    ledger.write_text(json.dumps({"at": "2026-11-24T12:00:00+00:00", "verdict": "good"}) + "\n")
    before = fleet.seen("sandbox")
    run = fleet.first.play("status.yml", "-e", "database_url=postgresql://nobody@127.0.0.1:1/none")
    assert run.rc == 0, run.output[-3000:]
    assert fleet.seen("sandbox") == before
    cells = table(run.output)["sandbox"]
    assert cells[1] == "database"
    assert cells[3:5] == ["database", "database"]
    assert cells[7] == "?"
    assert cells[-1] == "good 2026-11-24 12:00"
    said = " ".join(run.output.split())
    assert "the database: connection" in said
    assert "was cut off on the way to the database, at the step copy; the app is on its database, and runs" in said
    assert "ansible-playbook rollback.yml" in said
    journal.write_bytes(kept)
    ledger.unlink()
