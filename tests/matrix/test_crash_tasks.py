"""The controller dies after each task that changes something; the next runs bring the host to a whole state."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import psycopg
import pytest
from ansible.module_utils.cutover.journal import Journal
from controller import changed, play
from host import Host

PSYCOPG = ("Fetch them on the controller", "Make its folder, for its owner alone", "Unpack it")
CUT_OVER = "Stop, copy what changed and verify it, put the new code in place, set the flag, start"
DEPLOY = (
    *PSYCOPG,
    "Take the lock of this host, and begin its record",
    "Keep our own folder out of the repository",
    "Make the folders for staging, patches and what is kept aside",
    "Pull the newest commit of the branch, without checking it out",
    "Lay out the commit beside the running app",
    "Install its dependencies there",
    "Apply the SQL migration",
    "Back up the files",
    "Copy the files to the database",
    CUT_OVER,
    "Send the test message through MCP, and wait for its answer",
    "Clear the staging of the new commit",
    "Remove what earlier deploys kept aside",
    "Give the lock back, and write down what the run came to",
)
ROLLBACK = (
    "Take the lock of this host, and begin its record",
    CUT_OVER,
    "Send the test message through MCP, and wait for its answer",
    "Give the lock back, and write down what the run came to",
)
CELLS = [("deploy.yml", task) for task in DEPLOY] + [("rollback.yml", task) for task in ROLLBACK]


@pytest.fixture(scope="module")
def developer(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("developer") / "ai-admin"
    branch, origin = host.sandbox.git("branch", "--show-current"), str(host.sandbox.root / "origin.git")
    host.sandbox.git("clone", "--quiet", "--branch", branch, origin, str(clone), folder=host.sandbox.root)
    return clone


def new_dependencies(host: Host, developer: Path) -> str:
    """A commit whose lock file differs, at the app's origin; its id."""
    for name in ("package.json", "package-lock.json"):
        text = json.loads((developer / name).read_text())
        text["version"] = f"3.0.{time.time_ns()}"
        if "packages" in text:
            text["packages"][""]["version"] = text["version"]
        (developer / name).write_text(json.dumps(text, indent=2))
    host.sandbox.git("commit", "--quiet", "--all", "--message", "Newer dependencies", folder=developer)
    host.sandbox.git("push", "--quiet", folder=developer)
    return host.sandbox.git("rev-parse", "HEAD", folder=developer)


def as_on_a_new_host(host: Host) -> None:
    """The bot on its files, and nothing of ours, so that each task of a first deploy has something to do."""
    if host.store() == "database":
        host.must_cut_over("files")
    with psycopg.connect(host.arguments["database"]["conninfo"]) as connection:
        connection.execute("DROP TABLE whatsapp_auth, whatsapp_keys, whatsapp_auth_authority CASCADE")
    shutil.rmtree(host.sandbox.app / ".auth-state")
    exclude = host.sandbox.app / ".git" / "info" / "exclude"
    exclude.write_text("".join(f"{line}\n" for line in exclude.read_text().splitlines() if ".auth-state" not in line))
    host.sandbox.git("worktree", "prune")


def wait_for_the_run(host: Host) -> None:
    """A cut-over that was begun goes on without its controller."""
    deadline = time.monotonic() + 120
    journal = Journal(host.sandbox.app / ".auth-state")
    while (run := journal.unfinished()) is not None and run.alive():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.cells(("playbook", "task"), CELLS, today=1)
def test_controller_killed(host: Host, developer: Path, playbook: str, task: str) -> None:
    if playbook == "deploy.yml":
        as_on_a_new_host(host)
        commit = new_dependencies(host, developer)
    else:
        commit = host.sandbox.git("rev-parse", "HEAD")
        if host.store() == "files":
            host.play("deploy.yml")
    played = play(host.sandbox, playbook, lambda event: changed(event) and event["event_data"]["task"] == task)
    assert played.killed, played.changed()
    wait_for_the_run(host)
    host.is_whole()
    host.play("deploy.yml")
    host.is_whole("database")
    assert host.sandbox.git("rev-parse", "HEAD") == commit
    assert host.sandbox.git("status", "--porcelain") == ""
    host.play("rollback.yml")
    host.is_whole("files")


def test_no_task_is_left_out(host: Host, developer: Path, request: pytest.FixtureRequest) -> None:
    """A first deploy and its way back change nothing in any other task."""
    if request.config.getoption("--matrix") != "all":
        pytest.skip("with --matrix=all only: two more runs of the playbooks")
    as_on_a_new_host(host)
    new_dependencies(host, developer)
    assert set(play(host.sandbox, "deploy.yml").changed()) <= set(DEPLOY)
    assert set(play(host.sandbox, "rollback.yml").changed()) <= set(ROLLBACK)
