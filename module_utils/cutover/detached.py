"""Work that outlives the connection that started it: its own session, and no terminal to be hung up by."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress


def run(work: Callable[[], None], ended: Callable[[], bool], poll: float = 0.02) -> None:
    """Do `work` in a process of its own session, and wait for it.

    Returns when the process has ended. When this process is killed meanwhile, the other one goes on. `ended` says
    whether the work came to its end, for a process that is not this one's child any more.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become_independent()
        status = 1
        with suppress(Exception):
            work()
            status = 0
        os._exit(status)
    while True:
        pid, _status = os.waitpid(child, os.WNOHANG)
        if pid or ended():
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
            return
        time.sleep(poll)


def _become_independent() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
