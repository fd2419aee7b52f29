"""Lines that stay at the bottom of a terminal while other output passes above them."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

ERASE_BELOW, ERASE_REST = "\x1b[J", "\x1b[K"


class Screen:
    """Paints `lines(width, height)` once a second, below whatever `show` (what others print with) has printed."""

    def __init__(self, terminal: TextIO, lines: Callable[[int, int], list[str]]) -> None:
        self._terminal, self._lines = terminal, lines
        self._lock, self._ended, self._process = threading.RLock(), threading.Event(), os.getpid()

    def start(self) -> None:
        threading.Thread(target=self._tick, name="checklist", daemon=True).start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Leave the terminal clean. A second time does nothing."""
        if os.getpid() == self._process and not self._ended.is_set():
            with self._lock:
                self._ended.set()
                self._write(ERASE_BELOW)

    def around(self, show: Callable[..., None]) -> Callable[..., None]:
        """`show`, but with the lines out of its way."""

        def shown(*arguments: Any, **options: Any) -> None:
            # A fork prints through its parent.
            if os.getpid() != self._process or self._ended.is_set():
                show(*arguments, **options)
                return
            with self._lock:
                self._write(ERASE_BELOW)
                show(*arguments, **options)
                self._terminal.flush()
                self._paint()

        return shown

    def _tick(self) -> None:
        while not self._ended.wait(1.0):
            with self._lock:
                if not self._ended.is_set():
                    self._paint()

    def _paint(self) -> None:
        size = shutil.get_terminal_size()
        lines: list[str] = []
        # Inside of what others print: a defect of the checklist must not become one of theirs.
        with suppress(Exception):
            lines = self._lines(size.columns, size.lines)
        if lines:
            up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
            self._write("\r" + "\n".join(line + ERASE_REST for line in lines) + ERASE_BELOW + up + "\r")

    def _write(self, text: str) -> None:
        """Straight to the terminal: a lock of Python's own, held here, would be held for ever in a fork."""
        with suppress(OSError):
            os.write(self._terminal.fileno(), text.encode())
