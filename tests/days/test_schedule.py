"""The schedule, in a crontab of the tests' own kept by the real crontab command; and the way back by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.cutover.lock import Holder, Lock
from conftest import Days, ends_well, until
from driver import PROJECT
from packages import provided

NAME = "#Ansible: auth-state monitor of sandbox"


class Crontab:
    """`crontab` as this machine has it, its spool a folder of the tests': a mount that only it sees."""

    def __init__(self, folder: Path) -> None:
        spool, self.bin = folder / "spool", folder / "bin"
        self.bin.mkdir()
        spool.mkdir()
        spool.chmod(0o1777)
        inside = f'mount --bind {spool} /var/spool/cron/crontabs && exec {shutil.which("crontab")} "$@"'
        user = "" if os.geteuid() == 0 else "--map-root-user"
        self.command = self.bin / "crontab"
        self.command.write_text(f"#!/bin/sh\nexec unshare --mount {user} sh -c '{inside}' crontab \"$@\"\n")
        self.command.chmod(0o755)

    def jobs(self) -> list[tuple[str, str]]:
        """(when, what) of the monitor's jobs; what: as cron hands it to sh. An unescaped % would end it there."""
        listed = subprocess.run([self.command, "-l"], capture_output=True, text=True, check=False).stdout.splitlines()
        assert all(line.startswith(NAME) for line in listed[::2]), listed
        assert [line for line in listed[1::2] if re.search(r"(?<!\\)%", line)] == []
        return [(" ".join(line.split()[:5]), line.split(maxsplit=5)[5].replace(r"\%", "%")) for line in listed[1::2]]


@pytest.fixture(scope="module")
def crontab(tmp_path_factory: pytest.TempPathFactory) -> Crontab:
    provided("cron", "crontab")
    made = Crontab(tmp_path_factory.mktemp("cron"))
    tried = subprocess.run([made.command, "-l"], capture_output=True, text=True, check=False)
    if "no crontab for" not in tried.stderr:
        pytest.fail(f"crontab cannot be given a spool of the tests' own here: {tried.stderr.strip()}")
    return made


@pytest.fixture(scope="module")
def days(days: Days) -> Days:
    """The bot moved once more, with a controller and a ledger that know nothing of the days before."""
    shutil.rmtree(days.sandbox.root / "monitor", ignore_errors=True)
    days.ledger.unlink(missing_ok=True)
    (days.sandbox.root / "clock").unlink(missing_ok=True)
    ends_well(days.sandbox.play("deploy.yml"))
    return Days.after_cut_over(days.sandbox, days.webhook)


@pytest.fixture(scope="module")
def scheduled(days: Days, crontab: Crontab, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The arguments of a run that schedules in that crontab. Its passes have them from nowhere but their job."""
    file = tmp_path_factory.mktemp("vars") / "path.json"
    file.write_text(json.dumps({"app_path": [str(crontab.bin), str(days.sandbox.root / "bin")]}))
    given = {"monitor_schedule_arguments": ["-e", f"@{file}", "-e", "wanted=100%"]}
    return ("-e", "monitor_schedule=true", "-e", f"@{file}", "-e", json.dumps(given | {"monitor_schedule_keep": 20}))


def test_deploy_schedules_it_when_told(days: Days, crontab: Crontab, scheduled: tuple[str, ...]) -> None:
    assert crontab.jobs() == []
    run = days.sandbox.play("deploy.yml", *scheduled)
    ends_well(run)
    assert "every 2 hours until a day after the cut-over" in run.output
    ((when, _),) = crontab.jobs()
    assert re.fullmatch(r"\d+ \*/2 \* \* \*", when)


def test_the_job_runs_a_pass_and_leaves_its_events(days: Days, crontab: Crontab, scheduled: tuple[str, ...]) -> None:
    """As cron does: by sh, with next to no environment."""
    ((when, job),) = crontab.jobs()
    before = len(days.entries()) if days.ledger.exists() else 0
    bare = {"HOME": os.environ["HOME"], "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": "somebody"}
    done = subprocess.run(["/bin/sh", "-c", job], cwd="/", env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert len(days.entries()) == before + 1
    assert crontab.jobs() == [(when, job)], "the pass has written its job anew, from what the job itself carries"
    assert days.entries()[-1]["clock"] == "real"
    (artifacts,) = (days.sandbox.root / "monitor/runner/artifacts").iterdir()
    assert (artifacts / "status").read_text() == "successful"
    events = [json.loads(path.read_text()) for path in (artifacts / "job_events").glob("*.json")]
    assert "Judge what was seen, and write it down" in {
        each.get("event_data", {}).get("task")  # what runner itself prints has none
        for each in events
    }
    assert not (PROJECT / "env").exists()
    told = "".join(path.read_text() for path in artifacts.rglob("*") if path.is_file())
    assert days.sandbox.database_url not in told
    assert "79001234567" not in told


def test_after_a_day_it_runs_daily(days: Days, crontab: Crontab, scheduled: tuple[str, ...]) -> None:
    days.clean_expired_rows()
    ends_well(days.pass_at(23.5, *scheduled))
    assert crontab.jobs()[0][0].endswith("*/2 * * *")
    days.clean_expired_rows()
    ends_well(days.pass_at(24.5, *scheduled))
    ((when, _),) = crontab.jobs()
    assert re.fullmatch(r"\d+ 9 \* \* \*", when)


def test_without_crontab_preflight_says_so_before_anything_changes(days: Days, tmp_path: Path) -> None:
    """The command is looked for on the controller's own PATH."""
    for name in ("sh", "git", "ssh"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/sh")
    with days.sandbox.unchanged(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        run = days.sandbox.play("deploy.yml", "-e", "monitor_schedule=true")
        patch.undo()
    assert run.rc == 2
    assert "It has no crontab command" in run.message()
    assert "apt-get install cron" in run.message()


def crash(days: Days) -> None:
    pid, restarts, _ = days.sandbox.processes()["baileys-service"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: days.sandbox.processes()["baileys-service"][1] == restarts + 1)


def test_after_bad_passes_in_a_row_it_goes_back_by_itself(
    days: Days, crontab: Crontab, scheduled: tuple[str, ...]
) -> None:
    identity = days.sandbox.health()["identity"]
    told = ("-e", "monitor_rollback_after=2", *scheduled)
    crash(days)
    assert days.pass_at(26, *told).rc == 2
    assert days.sandbox.health()["store"] == "database"
    # Somebody else has the host: the way back is refused, and that is told too.
    crash(days)
    lock, holder = Lock(days.ledger.parent), Holder.here(os.getpid(), "deploy.yml", "a test")
    assert lock.take(holder)
    run = days.pass_at(28, *told)
    assert lock.release(holder.run)
    assert run.rc == 2
    wrong = "the login was to go back to its files (monitor_rollback_after), and that went wrong"
    assert f"{wrong}: refused, and nothing of it was changed" in run.message()
    assert days.sandbox.health()["store"] == "database"
    crash(days)
    run = days.pass_at(30, *told)
    assert run.rc == 2
    assert "After 3 bad passes in a row the login went back to its files" in run.message()
    assert (days.sandbox.health()["store"], days.sandbox.health()["identity"]) == ("files", identity)
    told_of_it = [each.get("went_back") for each in days.webhook.received if each["goes_back"]]
    assert told_of_it == [None, False, None, True]
    # The next pass sees that there is nothing to watch any more.
    ends_well(days.pass_at(32, *told))
    assert days.entries()[-1]["verdict"] == "rolled_back"
    assert crontab.jobs() == []
