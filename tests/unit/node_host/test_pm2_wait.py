"""When a process counts as up: pm2's list on a clock that only waiting moves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest
from ansible.module_utils.node_host import pm2
from ansible.module_utils.node_host.pm2_list import Process, parse_jlist


class Scripted(pm2.Pm2):
    """Gives one list after the other, the last one for ever."""

    def __init__(self, *looks: list[Process]) -> None:
        super().__init__(home="/nowhere")
        self.looks, self.asked = list(looks), 0

    def processes(self, flag: str | None = None, drop: object = ()) -> list[Process]:
        self.asked += 1
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    now = [0.0]
    monkeypatch.setattr(pm2.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(pm2.time, "time", lambda: 1000.0 + now[0])
    return lambda: now[0]


def bot(started: float = 1000.0, restarts: int = 0, status: str = "online", pid: int | None = None) -> list[Process]:
    """The list with one process, started at that Unix time; its pid is ours, which lives."""
    env = {"status": status, "restart_time": restarts, "pm_uptime": int(started * 1000)}
    pid = os.getpid() if pid is None else pid
    return parse_jlist(json.dumps([{"name": "bot", "pm_id": 0, "pid": pid, "pm2_env": env}]))


def test_up_after_the_window(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot()).wait_up(["bot"], 5, 60, {"bot": 7}, clock=clock)
    assert up.up
    assert 5 <= clock() < 6.1
    assert (up.restarts_before, up.restarts_after, up.crashes) == (7, 0, 0)
    assert up.uptime_ms >= 5000


def test_a_process_that_has_run_for_long_is_up_at_once(clock: Callable[[], float]) -> None:
    host = Scripted(bot(started=900.0))
    assert host.wait_up(["bot"], 5, 60, clock=clock)[0].up
    assert (host.asked, clock()) == (1, 0.0)


def test_a_restart_between_two_looks_begins_the_window_anew(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot(), bot(), bot(started=1001.5, restarts=1)).wait_up(["bot"], 5, 60, clock=clock)
    assert (up.up, up.crashes) == (True, 1)
    assert clock() >= 6.5


def test_so_many_crashes_end_the_wait(clock: Callable[[], float]) -> None:
    looks = [bot(started=1000.0 + count, restarts=count) for count in range(10)]
    [up] = Scripted(*looks).wait_up(["bot"], 5, 60, clock=clock, max_crashes=3)
    assert (up.up, up.crashes) == (False, 3)
    assert clock() < 5


def test_errored_ends_the_wait(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot(), bot(status="errored", pid=0)).wait_up(["bot"], 5, 60, clock=clock)
    assert (up.up, up.status) == (False, "errored")
    assert clock() < 2


def test_online_with_a_dead_pid_is_not_up(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot(started=900.0, pid=2**22 + 1)).wait_up(["bot"], 5, 3, clock=clock)
    assert not up.up


def test_launching_for_ever_ends_at_the_timeout(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot(status="launching")).wait_up(["bot"], 5, 20, clock=clock)
    assert not up.up
    assert 20 <= clock() < 22


def test_a_process_that_vanishes_from_the_list_is_not_up(clock: Callable[[], float]) -> None:
    ups = Scripted(bot()).wait_up(["bot", "gone"], 5, 60, clock=clock)
    assert [(up.name, up.up) for up in ups] == [("bot", False), ("gone", False)]
    assert clock() == 0


def test_a_clock_set_back_does_not_shorten_the_window(clock: Callable[[], float]) -> None:
    [up] = Scripted(bot(started=5000.0)).wait_up(["bot"], 5, 60, clock=clock)
    assert up.up
    assert clock() >= 5
