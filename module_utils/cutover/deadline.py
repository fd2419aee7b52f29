"""An end to what may wait for ever: a database behind a broken network neither answers nor says that it will not."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def within(seconds: float, error: Callable[[float], Exception]) -> Iterator[None]:
    """Raise `error(seconds)` in the block when it takes longer. In the main thread, and not one in another."""

    def end(*_unused: Any) -> None:
        raise error(seconds)

    before = signal.signal(signal.SIGALRM, end)
    # Again and again: a library may swallow what is raised in the middle of its clean-up.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
