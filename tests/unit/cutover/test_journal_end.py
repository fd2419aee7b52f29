"""Which run of the journal still has to be brought to an end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.status import problem_of


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state")


def begun_by(journal: Journal, pid: int, started: int) -> None:
    journal.write("a1", "begin", plan={"to": "database"}, pid=pid, started=started)


def gone() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_run_killed_at_a_step_is_unfinished(journal: Journal) -> None:
    begun_by(journal, gone(), 1)
    journal.write("a1", "doing", step="copy", to="database")
    run = journal.unfinished()
    assert run is not None
    assert run.cut_off() == "cut off on the way to the database, at the step copy"


def test_run_killed_behind_its_last_step_is_not(journal: Journal) -> None:
    begun_by(journal, gone(), 1)
    journal.write("a1", "doing", step="settle", to="database")
    assert journal.unfinished() is not None
    assert problem_of(journal, "database", []) is not None
    journal.write("a1", "done", step="settle", to="database")
    assert journal.unfinished() is None
    # Nor does the status ask for what no playbook would find anything to do about.
    assert problem_of(journal, "database", []) is None


def test_run_that_still_writes_its_end_is(journal: Journal) -> None:
    journal.begin("a1", {"to": "database"})
    journal.write("a1", "done", step="settle", to="database")
    assert journal.unfinished() is not None
    journal.write("a1", "end", outcome="done", store="database", answer={})
    assert journal.unfinished() is None
