"""The module auth_state_lock: taken, refused with words, taken over after a look at the journal, given back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.lock import Holder, Lock

PLAN = {"to": "database"}


@pytest.fixture
def lock(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    return lambda state, **more: run_module("auth_state_lock", state=state, state_dir=str(tmp_path / "state"), **more)


def holder(who: str = "anna") -> dict[str, Any]:
    return {**asdict(Holder.here(os.getpid(), "deploy.yml", "company 1 to the database")), "who": who}


def lines(tmp_path: Path) -> list[tuple[str, str | None]]:
    text = (tmp_path / "state" / "record.jsonl").read_text()
    return [(line["event"], line.get("outcome")) for line in map(json.loads, text.splitlines())]


def test_a_run_from_begin_to_end(lock: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    taken = lock("taken", holder=holder(), facts={"commit_before": "a" * 40})
    assert taken["changed"] is True
    seen = lock("info")
    assert seen["holder"]["who"] == "anna"
    assert [problem["code"] for problem in seen["problems"]] == ["locked"]
    given = lock(
        "released", run=taken["run"], outcome="reverted", facts={"failed_at": "a task", "stores": {"1": "files"}}
    )
    assert given["changed"] is True
    assert lock("released", run=taken["run"])["changed"] is False
    assert lines(tmp_path) == [("begin", None), ("end", "reverted")]
    seen = lock("info")
    assert (seen["holder"], seen["problems"]) == (None, [])
    assert (seen["record"]["outcome"], seen["record"]["failed_at"]) == ("reverted", "a task")


def test_a_lock_that_is_taken_is_refused_with_its_holder(lock: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = holder()
    lock("taken", holder=first)
    refused = lock("taken", holder=holder("boris"))
    assert refused["failed"] is True
    assert f"anna@{first['controller']} since {first['since']}, for deploy.yml (company 1" in refused["msg"]
    assert Lock(tmp_path / "state").holder().who == "anna"
    assert lines(tmp_path) == [("begin", None)]


@pytest.mark.parametrize(
    ("events", "undone"),
    [
        ([], False),
        ([{"event": "done", "step": "flag"}], True),
        ([{"event": "done", "step": "settle"}], False),
        ([{"event": "end", "outcome": "broken"}], True),
        ([{"event": "end", "outcome": "recovered"}], False),
    ],
)
def test_what_a_cut_over_has_left_undone_is_seen(
    lock: Callable[..., dict[str, Any]], tmp_path: Path, events: list[dict[str, Any]], undone: bool
) -> None:
    journal = Journal(tmp_path / "state")
    (tmp_path / "state").mkdir()
    if events:
        journal.write("a1", "begin", plan=PLAN, pid=os.getpid(), started=1)  # no process that runs
    for each in events:
        journal.write("a1", **each)
    assert lock("info")["left_undone"] is undone


def test_whom_the_last_cut_over_has_started_is_seen(lock: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert lock("info")["owners"] == []
    journal = Journal(tmp_path / "state")
    # An older version wrote down only who was up in the end.
    journal.begin("a1", PLAN)
    journal.write("a1", "end", outcome="done", answer={"processes": [{"name": "service"}, {"name": "worker"}]})
    assert lock("info")["owners"] == ["service", "worker"]
    journal.begin("a2", {**PLAN, "processes": ["worker"]})
    assert lock("info")["owners"] == ["worker"]


def test_a_dead_runs_lock_is_taken_over_and_said(lock: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    dead = lock("taken", holder=holder())["run"]
    journal = Journal(tmp_path / "state")
    journal.begin("cut", PLAN)
    journal.write("cut", "doing", step="copy")
    # By its process, the cut-over still goes on: whoever says that the run is dead is wrong.
    refused = lock("taken", holder=holder("boris"), gone=dead)
    assert [problem["code"] for problem in refused["problems"]] == ["cutover_under_way"]
    assert Lock(tmp_path / "state").holder().who == "anna"
    text = journal.path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {2**22 + 1}')
    journal.path.write_text(text)
    taken = lock("taken", holder=holder("boris"), gone=dead)
    assert taken["taken_over"].endswith("which was cut off on the way to the database, at the step copy")
    assert Lock(tmp_path / "state").holder().who == "boris"
    assert lines(tmp_path) == [("begin", None), ("end", "killed"), ("begin", None)]
    # The dead run's end, should it come after all, is not the new run's.
    assert lock("released", run=dead)["changed"] is False


def test_another_runs_death_frees_nothing(lock: Callable[..., dict[str, Any]]) -> None:
    lock("taken", holder=holder())
    assert lock("taken", holder=holder("boris"), gone="5f0c4d0a6f3c")["failed"] is True


def test_check_mode_and_a_look_write_nothing(lock: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert lock("info")["holder"] is None
    assert lock("taken", holder=holder(), _check=True)["changed"] is True
    assert not (tmp_path / "state").exists()
    run = lock("taken", holder=holder())["run"]
    before = {path: path.read_bytes() for path in (tmp_path / "state").iterdir()}
    assert lock("released", run=run, _check=True)["changed"] is True
    assert lock("taken", holder=holder(), _check=True)["failed"] is True
    assert {path: path.read_bytes() for path in (tmp_path / "state").iterdir()} == before
