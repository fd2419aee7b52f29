"""Faults that deploy.yml meets around its journalled run: new code that is broken later than that run looks, and the
connection that is lost while the bot is stopped.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.node_host import procs
from driver import Run
from host import Host

SERVICE = "src/baileys-service.js"
Publish = Callable[[str, str], None]


@pytest.fixture
def publish(host: Host, developer: Path) -> Iterator[Publish]:
    """Publish a change of the service's code; it is taken back afterwards."""
    published: list[str] = []

    def change(before: str, after: str) -> None:
        file = developer / SERVICE
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after, 1))
        host.sandbox.git("commit", "--quiet", "--all", "--message", "A change", folder=developer)
        host.sandbox.git("push", "--quiet", folder=developer)
        published.append(host.sandbox.git("rev-parse", "HEAD", folder=developer))

    yield change
    for commit in reversed(published):
        host.sandbox.git("revert", "--no-edit", commit, folder=developer)
    host.sandbox.git("push", "--quiet", folder=developer)


def test_new_code_that_logs_nothing(host: Host, publish: Publish) -> None:
    """It works, and nobody can tell on which store."""
    publish("guardConsole();", "guardConsole();\nconsole.log = () => {};")
    goes_back(host, says="Using database auth state for company 962302")


def test_new_code_that_crashes_behind_the_health_window(host: Host, publish: Publish, tmp_path: Path) -> None:
    """Up when the journalled run looks, and again whenever somebody asks."""
    once = f"""
import {{ existsSync, writeFileSync }} from 'node:fs';
setTimeout(() => {{
  if (existsSync('{tmp_path}/crashed')) return;
  writeFileSync('{tmp_path}/crashed', '');
  process.exit(1);
}}, 5000);
"""
    publish("let ready = false;", f"let ready = false;{once}")
    goes_back(host, says="baileys-service has crashed since it was started on the database")
    assert (tmp_path / "crashed").exists()


def test_a_run_that_was_cut_off_behind_the_start_gets_its_end(host: Host) -> None:
    """The bot runs, and no key has to move: it would be called cut off for ever, and a pass of the monitor bad."""
    assert host.store() == "files"
    journal = Journal(host.sandbox.app / ".auth-state")
    journal.write("cutoff", "begin", plan={"to": "files"}, pid=os.getpid(), started=1)  # no process that runs
    journal.write("cutoff", "doing", step="start")
    host.play("rollback.yml")
    assert not journal.left_undone()
    with host.same_processes():
        host.play("rollback.yml")


def test_a_bot_that_opens_what_another_host_has_in_the_database(host: Host) -> None:
    host.must_cut_over("database")
    with psycopg.connect(host.sandbox.database_url) as connection:
        connection.execute(
            "INSERT INTO whatsapp_auth (company_id, creds)"
            " SELECT '777', jsonb_set(creds, '{me,id}', '\"79990000000:1@s.whatsapp.net\"') FROM whatsapp_auth"
        )
    try:
        goes_back(host, says="the bot has opened company 777 as well")
    finally:
        with psycopg.connect(host.sandbox.database_url) as connection:
            connection.execute("DELETE FROM whatsapp_auth WHERE company_id = '777'")


def test_commit_that_brings_a_login_and_settings_of_its_own(host: Host, developer: Path) -> None:
    """A pull would replace what git ignores, and taking it back would remove it."""
    git = host.sandbox.git
    creds = developer / "baileys_sessions/company_962302/creds.json"
    creds.parent.mkdir(parents=True, exist_ok=True)
    for path in (creds, developer / ".env"):
        path.write_text("{}")
    git("add", "--force", ".env", "baileys_sessions", folder=developer)
    git("commit", "--quiet", "--message", "Everything", folder=developer)
    git("push", "--quiet", folder=developer)
    before = (host.sandbox.app / ".env").read_bytes()
    try:
        with host.same_processes():
            run = host.sandbox.play("deploy.yml")
    finally:
        git("revert", "--no-edit", "HEAD", folder=developer)
        git("push", "--quiet", folder=developer)
    assert run.rc == 2
    assert "and would put it in place of this host's own. Nothing was changed." in run.message()
    assert (host.sandbox.app / ".env").read_bytes() == before
    host.play("deploy.yml")
    host.is_whole("database")


@pytest.mark.parametrize("torn", [False, True])
def test_deploy_that_stops_in_preflight_after_a_killed_run(host: Host, torn: bool) -> None:
    """The bot is up again all the same, on files of which the kill has left half, and that is said."""
    if host.store() != "files":
        host.must_cut_over("files")
    host.cut_over("database", point={"to": "database", "step": "rest", "moment": "begins", "alone": True})
    creds = host.sandbox.company / "creds.json"
    if torn:
        creds.write_bytes(creds.read_bytes()[:-30])
    run = host.sandbox.play("deploy.yml", "-e", "preflight_free_mb=1000000000")
    assert run.rc == 2
    assert "MiB are free" in run.message()
    assert "A run that was killed had left the bot stopped; the app was started on the files" in run.message()
    host.is_whole("files")
    host.play("deploy.yml")
    host.is_whole("database")


def goes_back(host: Host, *, says: str) -> None:
    """deploy.yml ends in this error, and the bot runs on its files as before."""
    if host.store() == "database":
        host.must_cut_over("files")
    commit = host.sandbox.git("rev-parse", "HEAD")
    run = host.sandbox.play("deploy.yml", "-e", "health_window_seconds=12")
    assert run.rc != 0
    assert says in run.message(), run.message()
    assert host.sandbox.git("rev-parse", "HEAD") == commit
    host.is_whole("files")


def test_connection_lost_in_the_freeze(host: Host) -> None:
    """What Ansible started on the host is gone, and the run goes on without it; the next deploy.yml finds it done."""
    if host.store() == "database":
        host.must_cut_over("files")
    runs: list[Run] = []
    deploy = threading.Thread(target=lambda: runs.append(host.sandbox.play("deploy.yml")))
    deploy.start()
    cut_off = cut_the_connection(host)
    deploy.join()
    assert cut_off
    (run,) = runs
    assert run.rc != 0
    assert "the connection to it was lost. It goes on by itself on the host" in run.message()
    host.wait_for_the_run()
    host.is_whole("database")
    with host.same_processes():
        host.play("deploy.yml")
    host.play("rollback.yml")
    host.is_whole("files")


def cut_the_connection(host: Host) -> bool:
    """SIGKILL to the module that waits for the journalled run, as when sshd hangs up, once that run has begun."""
    journal, deadline = Journal(host.sandbox.app / ".auth-state"), time.monotonic() + 300
    while time.monotonic() < deadline:
        run = journal.unfinished()
        process = procs.find(run.pid) if run and run.doing else None
        if process is not None:
            os.kill(process.parent, signal.SIGKILL)
            return True
        time.sleep(0.01)
    return False
