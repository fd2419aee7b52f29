"""A pass looks while no cut-over of the host goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.node_host.problems import HostError
from ansible.module_utils.watch import run


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


class Clock:
    """A clock that only sleeping moves, and what happens at a second of it."""

    def __init__(self, events: dict[int, Callable[[], None]] | None = None) -> None:
        self.now, self._events = 0, events or {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds)
        self._events.pop(self.now, lambda: None)()


def end(journal: Journal, run_id: str = "a1") -> Callable[[], None]:
    return lambda: journal.write(run_id, "end", outcome="done", store="database", answer={})


def test_it_looks_at_once_where_nothing_goes_on(journal: Journal) -> None:
    clock = Clock()
    assert run.between_runs(journal, lambda: "seen", clock, clock.sleep) == "seen"
    journal.write("a1", "begin", plan={"to": "database"}, pid=os.getpid(), started=1)  # killed: its number is ours now
    assert run.between_runs(journal, lambda: "seen", clock, clock.sleep) == "seen"
    assert clock.now == 0


def test_it_waits_for_the_end_of_a_cut_over(journal: Journal) -> None:
    """What that one stops and starts is no fault of the bot."""
    journal.begin("a1", {"to": "database"})
    clock = Clock({7: end(journal)})
    assert run.between_runs(journal, lambda: journal.unfinished(), clock, clock.sleep) is None
    assert clock.now == 7


def test_it_looks_again_where_one_began_meanwhile(journal: Journal) -> None:
    clock, looks = Clock({3: end(journal)}), []

    def look() -> int:
        looks.append(clock.now)
        if len(looks) == 1:
            journal.begin("a1", {"to": "database"})
        return len(looks)

    assert run.between_runs(journal, look, clock, clock.sleep) == 2
    assert looks == [0, 3]


def test_one_that_does_not_end_is_said_and_nothing_is_seen(journal: Journal) -> None:
    journal.begin("a1", {"to": "database"})
    clock = Clock()
    with pytest.raises(HostError) as caught:
        run.between_runs(journal, lambda: pytest.fail("it looked"), clock, clock.sleep)
    assert [problem.code for problem in caught.value.problems] == ["cutover_under_way"]
    assert clock.now == 120
