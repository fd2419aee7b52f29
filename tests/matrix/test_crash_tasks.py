"""The controller dies after each task that changes something; the next runs bring the host to a whole state."""

from __future__ import annotations

import json
import shutil
import time
from itertools import zip_longest
from pathlib import Path

import psycopg
import pytest
from ansible.module_utils.cutover.journal import Journal
from controller import changed, play
from host import Host

FETCHED = "Fetch them on the controller"
PSYCOPG = (FETCHED, "Make its folder, for its owner alone", "Unpack it")
CUT_OVER = "Stop, copy what changed and verify it, put the new code in place, set the flag, start"
KEPT_ASIDE = "Remove what earlier deploys kept aside"
DEPLOY = (
    *PSYCOPG,
    "Take the lock of this host, and begin its record",
    "Keep our own folder out of the repository",
    "Make the folder for the staging",
    "Pull the newest commit of the branch, without checking it out",
    "Lay out the commit beside the running app",
    "Install its dependencies there",
    "Apply the SQL migration",
    "Back up the files",
    "Copy the files to the database",
    CUT_OVER,
    "Send the test message through MCP, and wait for its answer",
    "Clear the staging of the new commit",
    KEPT_ASIDE,
    "Release the lock, and record what the run came to",
)
ROLLBACK = (
    "Take the lock of this host, and begin its record",
    CUT_OVER,
    "Send the test message through MCP, and wait for its answer",
    "Release the lock, and record what the run came to",
)
CELLS = [("deploy.yml", task) for task in DEPLOY] + [("rollback.yml", task) for task in ROLLBACK]


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


def state_dir(host: Host) -> Path:
    return host.sandbox.app / ".auth-state"


def as_on_a_new_host(host: Host) -> None:
    """The bot on its files, and nothing of ours, so that each task of a first deploy has something to do."""
    if host.store() == "database":
        host.must_cut_over("files")
    with psycopg.connect(host.sandbox.database_url) as connection:
        connection.execute("DROP TABLE IF EXISTS whatsapp_auth, whatsapp_keys, whatsapp_auth_authority CASCADE")
    shutil.rmtree(state_dir(host), ignore_errors=True)
    exclude = host.sandbox.app / ".git" / "info" / "exclude"
    exclude.write_text("".join(f"{line}\n" for line in exclude.read_text().splitlines() if ".auth-state" not in line))
    host.sandbox.git("worktree", "prune")


def killed_after(host: Host, playbook: str, task: str, empty: Path) -> None:
    """Run a playbook until this task has changed something; its cut-over, if it was begun, goes on by itself."""
    fresh = {"psycopg_cache_dir": str(empty)} if task == FETCHED else {}  # the controller keeps what it has fetched
    played = play(host.sandbox, playbook, lambda event: changed(event) and event["event_data"]["task"] == task, **fresh)
    assert played.killed, f"{task!r} has changed nothing, but {played.changed()}\n{host.sandbox.outputs[-1][-3000:]}"
    host.wait_for_the_run()
    host.is_whole()


@pytest.mark.cells(("playbook", "task"), CELLS, today=1, chained=True)
def test_controller_killed(host: Host, developer: Path, tmp_path: Path, playbook: str, task: str) -> None:
    if playbook == "deploy.yml":
        as_on_a_new_host(host)
        commit = new_dependencies(host, developer)
        if task == KEPT_ASIDE:
            (state_dir(host) / "aside/release/outdated").mkdir(mode=0o700, parents=True)
    else:
        commit = host.sandbox.git("rev-parse", "HEAD")
        if host.store() == "files":
            host.play("deploy.yml")
    killed_after(host, playbook, task, tmp_path)
    host.play("deploy.yml")
    host.is_whole("database")
    assert host.sandbox.git("rev-parse", "HEAD") == commit
    assert host.sandbox.git("status", "--porcelain") == ""
    host.play("rollback.yml")
    host.is_whole("files")


# Every cell in such an order that each run has its task to do: up to the cut-over and past it, then to and fro.
_THERE, _BACK = DEPLOY.index(CUT_OVER) + 1, ROLLBACK.index(CUT_OVER) + 1
UP_TO_THE_CUT_OVER = CELLS[:_THERE] + CELLS[len(DEPLOY) :][:_BACK]
BEHIND_IT = [
    cell
    for there, back in zip_longest(DEPLOY[_THERE:], ROLLBACK[_BACK:])
    for cell in (("deploy.yml", there), ("rollback.yml", back))
]


@pytest.mark.parametrize("cells", [UP_TO_THE_CUT_OVER, BEHIND_IT], ids=["up to the cut-over", "behind it"])
def test_controller_killed_again_and_again(
    host: Host,
    developer: Path,
    tmp_path: Path,
    cells: list[tuple[str, str | None]],
) -> None:
    """Each run goes on from where the one before was killed, and dies one task later."""
    as_on_a_new_host(host)
    new_dependencies(host, developer)
    for playbook, task in cells:
        if playbook == "deploy.yml" and host.store() == "files" and Journal(state_dir(host)).last():
            new_dependencies(host, developer)
        begun = time.monotonic()
        if task is None:
            host.play(playbook)
        else:
            killed_after(host, playbook, task, tmp_path)
        what = f"killed after {task!r}" if task else "went through"
        print(f"{playbook}: {what}; whole on its {host.store()}; {time.monotonic() - begun:.0f} s")
    commit = new_dependencies(host, developer)
    host.play("deploy.yml")
    host.is_whole("database")
    assert host.sandbox.git("rev-parse", "HEAD") == commit
    assert host.sandbox.git("status", "--porcelain") == ""
    # Of all that the killed ones have laid out, nothing is left.
    assert not list((state_dir(host) / "staging").iterdir())
    assert not (state_dir(host) / "aside/release/outdated").exists()
    host.play("rollback.yml")
    host.is_whole("files")


def test_no_task_is_left_out(host: Host, developer: Path) -> None:
    """A first deploy and its way back change nothing in any other task."""
    as_on_a_new_host(host)
    new_dependencies(host, developer)
    for playbook, tasks in (("deploy.yml", DEPLOY), ("rollback.yml", ROLLBACK)):
        played = play(host.sandbox, playbook)
        assert played.rc == 0, host.sandbox.outputs[-1][-3000:]
        assert set(played.changed()) <= set(tasks)
