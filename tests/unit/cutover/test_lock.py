"""The lock of a host: one holder at a time, told apart alive and gone, and the record beside it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.cutover.lock import ALIVE, GONE, UNKNOWN, Holder, Lock
from ansible.module_utils.cutover.record import Record
from ansible.module_utils.node_host import machine


def here() -> Holder:
    return Holder.here(os.getpid(), "deploy.yml", "company 1 to the database")


def ended() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


# One at a time


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    first, second = here(), here()
    assert Lock(state_dir).holder() is None
    assert Lock(state_dir).take(first)
    assert not Lock(state_dir).take(second)
    assert Lock(state_dir).holder() == first
    assert Lock(state_dir).path.stat().st_mode & 0o777 == 0o600
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert not Lock(state_dir).release(second.run)
    assert Lock(state_dir).release(first.run)
    assert not Lock(state_dir).release(first.run)
    assert list(state_dir.iterdir()) == []
    assert Lock(state_dir).take(second)


def test_a_dead_runs_lock_is_taken_over_once(tmp_path: Path) -> None:
    dead, first, second = here(), here(), here()
    Lock(tmp_path).take(dead)
    assert Lock(tmp_path).take(first, instead_of=dead.run)
    assert not Lock(tmp_path).take(second, instead_of=dead.run)
    assert Lock(tmp_path).holder() == first


def test_of_many_at_once_one_takes_it(tmp_path: Path) -> None:
    dead = here()
    Lock(tmp_path).take(dead)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        taken = pool.starmap(_take_over, [(tmp_path, dead.run)] * 40)
    assert taken.count(True) == 1


def _take_over(state_dir: Path, run: str) -> bool:
    return Lock(state_dir).take(here(), instead_of=run)


def test_a_damaged_lock_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{")
    holder = Lock(tmp_path).holder()
    assert holder is not None
    assert holder.seen_from_here() == UNKNOWN
    assert not Lock(tmp_path).take(here())
    assert Lock(tmp_path).take(here(), instead_of=holder.run)


# Alive or gone, as far as that can be told from here


def test_a_process_that_runs_is_alive() -> None:
    assert here().seen_from_here() == ALIVE


def test_a_process_that_has_ended_is_gone() -> None:
    assert Holder.here(ended(), "deploy.yml", "").seen_from_here() == GONE


def test_another_process_with_its_number_is_not_it() -> None:
    assert replace(here(), started=1).seen_from_here() == GONE


@pytest.mark.parametrize("elsewhere", [{"controller": "other"}, {"namespace": "pid:[1]"}, {"boot": ""}], ids=str)
def test_from_another_place_nobody_can_tell(elsewhere: dict[str, str]) -> None:
    assert replace(here(), pid=ended(), **elsewhere).seen_from_here() == UNKNOWN


def test_a_machine_that_was_started_anew_runs_it_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "machine_id", lambda: "this")
    before = replace(here(), machine="this", boot="earlier", since="2001-01-01T00:00:00+00:00")
    assert before.seen_from_here() == GONE
    assert replace(before, machine="clone").seen_from_here() == UNKNOWN
    assert replace(before, machine="").seen_from_here() == UNKNOWN
    # Taken while this machine was up already: by another one with its id.
    assert replace(before, since="2101-01-01T00:00:00+00:00").seen_from_here() == UNKNOWN


# The record


def test_the_record_tells_of_the_last_run(tmp_path: Path) -> None:
    record = Record(tmp_path)
    assert record.last() is None
    first, second = here(), here()
    record.begin(first, {"commit_before": "a" * 40})
    record.end(first.run, "done", {"stores": {"1": "database"}, "freeze_seconds": 1.5, "source": None})
    told = record.last().as_dict()
    assert (told["outcome"], told["stores"], told["freeze_seconds"]) == ("done", {"1": "database"}, 1.5)
    assert told["commit_before"] == "a" * 40
    assert "source" not in told
    record.begin(second, {})
    assert record.last().as_dict()["outcome"] is None
    record.end(first.run, "failed", {})
    assert record.last().end is None, "an end of another run is not its own"
    assert record.path.stat().st_mode & 0o777 == 0o600


def test_the_record_holds_no_phone_number(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(replace(here(), why="for 79686484488"), {"said": "session-79686484488.0.json"})
    assert "79686484488" not in record.path.read_text()
