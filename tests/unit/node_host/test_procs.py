"""Processes, looked at through /proc with real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ansible.module_utils.node_host import procs


def test_a_family_is_found_and_its_end_is_seen() -> None:
    # The grandchild leaves the session, as a daemon's helper does.
    parent = subprocess.Popen(["sh", "-c", "setsid sleep 100 & sleep 100 & wait"])
    try:
        deadline, commands = time.monotonic() + 20, []
        while commands != ["sh", "sleep", "sleep"] and time.monotonic() < deadline:
            family = procs.with_descendants([parent.pid])
            commands = sorted(process.command for process in family)
            time.sleep(0.01)
        assert commands == ["sh", "sleep", "sleep"]
        assert all(procs.alive(process) for process in family)
        assert procs.wait_gone(family, 0.05) == family
    finally:
        for process in family:
            os.kill(process.pid, 9)
    assert procs.wait_gone(family, 5) == []
    assert procs.find(parent.pid) is None, "a zombie is no running process"
    parent.wait()


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    me = procs.find(os.getpid())
    assert me is not None
    assert procs.alive(me)
    assert not procs.alive(procs.Running(me.pid, me.parent, me.started - 1, me.command))


def test_a_name_with_brackets_is_read_right() -> None:
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') R 1 (', 0, 0, 0); print(flush=True); time.sleep(100)"
    odd = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        odd.stdout.readline()
        assert procs.find(odd.pid).command == ") R 1 ("
        assert procs.find(odd.pid).parent == os.getpid()
    finally:
        odd.kill()
        odd.wait()


def test_one_variable() -> None:
    other = subprocess.Popen(["sleep", "100"], env={"FLAG_2": "no", "FLAG": "a=b", "PATH": os.environ["PATH"]})
    try:
        deadline = time.monotonic() + 5  # until exec has ended, /proc shows our own environment, or none
        while procs.variable(other.pid, "FLAG") is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert procs.variable(other.pid, "FLAG") == "a=b"
        assert procs.variable(other.pid, "LAG") is None
    finally:
        other.kill()
        other.wait()
    assert procs.variable(other.pid, "FLAG") is None
