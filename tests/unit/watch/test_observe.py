"""Where a pass goes on from: the journal's cut-overs, and the last pass in the ledger."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.baileys_auth.names import Names
from ansible.module_utils.baileys_auth.transfer import Settings
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.node_host import pm2_states
from ansible.module_utils.watch import observe


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def a_run(journal: Journal, run: str, to: str = "database", outcome: str = "done", restarts: int = 0) -> None:
    """One run; its mark is named like it."""
    answer = {"mark": [f"mark of {run}"], "processes": [{"name": "worker", "restart_time": restarts}]}
    journal.begin(run, {"to": to})
    journal.write(run, "end", outcome=outcome, store=to, answer=answer)


def test_new_code_is_no_switch(journal: Journal) -> None:
    """What was usual is what was usual on files, however often the code was deployed since."""
    a_run(journal, "moved")
    a_run(journal, "new code", restarts=2)
    found = observe.last_cut_over(journal)
    assert (found["run"], found["mark"], found["restarts"]) == ("new code", ["mark of new code"], {"worker": 2})
    assert found["switch"] == {"run": "moved", "mark": ["mark of moved"]}


def test_after_a_way_back_the_next_move_is_the_switch(journal: Journal) -> None:
    a_run(journal, "moved")
    a_run(journal, "failed", to="files", outcome="reverted")
    assert observe.last_cut_over(journal)["switch"]["run"] == "moved"
    a_run(journal, "back", to="files")
    a_run(journal, "moved again")
    assert observe.last_cut_over(journal)["switch"]["run"] == "moved again"


def test_a_journal_of_before_tells_no_restarts(journal: Journal) -> None:
    journal.begin("old", {"to": "database"})
    journal.write("old", "end", outcome="done", store="database", answer={})
    found = observe.last_cut_over(journal)
    assert (found["run"], found["mark"], found["restarts"]) == ("old", [], {})


def test_without_a_journal(journal: Journal) -> None:
    found = observe.last_cut_over(journal)
    assert (found["run"], found["mark"], found["switch"]) == (None, [], {"run": None, "mark": []})


# --- The last pass -------------------------------------------------------------------------------------------------

MARKS = [{"path": "/w-out.log", "offset": 7}]
WHOLE = {"kind": "pass", "seen": {"run": "a", "logs": {"marks": MARKS, "usual": {}, "switch": "a"}}}


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "cleanup"},
        {"kind": "pass"},
        {"kind": "pass", "seen": {}},
        {"kind": "pass", "seen": {"run": "b", "logs": {}}},
        {"kind": "pass", "seen": {"run": "b", "logs": {"marks": [{}], "usual": {}}}},
        {"kind": "pass", "seen": {"run": "b", "logs": {"marks": 7, "usual": {}}}},
        [],
    ],
    ids=json.dumps,
)
def test_a_line_that_is_no_pass_is_passed_over(line: Any) -> None:
    text = "".join(f"{json.dumps(each)}\n" for each in (WHOLE, line))
    found = observe.last_pass(f"{text}torn")
    assert found is not None
    assert (found.run, found.marks) == ("a", {"/w-out.log": MARKS[0]})
    assert observe.last_pass(f"{json.dumps(line)}\n") is None


# --- A look --------------------------------------------------------------------------------------------------------


def test_a_look_says_what_a_killed_cut_over_has_left_undone(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host of which nothing else can be seen: no pm2, no database, no files."""
    (tmp_path / "sessions").mkdir()
    (tmp_path / ".env").write_text("USE_DATABASE_AUTH_STATE=false\n")
    folders = (tmp_path / "sessions", tmp_path, tmp_path / "backups")
    wanted = observe.Wanted(
        settings=Settings(*folders, "bot-1", "files", Names(), time.time(), check_mode=True),
        companies=["962302"],
        conninfo=None,
        schema="public",
        env_file=str(tmp_path / ".env"),
        flag="USE_DATABASE_AUTH_STATE",
        processes=pm2_states.Wanted(["worker"], pm2_home=str(tmp_path), executable="no-pm2"),
        health_url=None,
        forbidden=[],
        counted=[],
    )
    assert "cutover_unfinished" not in [each["code"] for each in observe.observe(wanted)[0]["problems"]]
    journal.write("a1", "begin", plan={"to": "files"}, pid=os.getpid(), started=1)
    journal.write("a1", "done", step="flag", to="files")
    seen, _ = observe.observe(wanted)
    assert seen["store"] == "files"
    (left,) = [each for each in seen["problems"] if each["code"] == "cutover_unfinished"]
    assert "cut off on the way to the files, after the step flag" in left["problem"]
    # All of it runs: no playbook has anything to do then, and the bot is judged by what it does.
    monkeypatch.setattr(observe, "_processes", lambda *_: [{"name": "worker", "status": "online", "logs": []}])
    assert "cutover_unfinished" not in [each["code"] for each in observe.observe(wanted)[0]["problems"]]
