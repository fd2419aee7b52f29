"""Work that outlives the connection that started it: its own session, and no terminal to be hung up by."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def run(work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Do `work` in a process of its own session; its answer, or None when that process was killed.

    When this process is killed meanwhile, the other one goes on.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become_independent()
        with suppress(Exception):
            answer = json.dumps(work()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _become_independent() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
