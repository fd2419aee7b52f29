"""How often a line was written before a mark, so that an app that was noisy is not blamed on what came after."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import logs

_READ = 4 << 20  # bytes before the mark
_SIGMAS = 3


@dataclass(frozen=True)
class Rate:
    """`count` lines in `hours`; `hours` None where nobody can tell how long they took to come."""

    count: int = 0
    hours: float | None = None

    @property
    def per_hour(self) -> float | None:
        return self.count / self.hours if self.hours else None

    def allows(self, seconds: float) -> int:
        """How many such lines in so many seconds are no more than usual.

        None, where there were none before, or where nobody can tell how often. Else what was to be expected and three
        times its scatter, and at least one.
        """
        if self.per_hour is None or self.count == 0:
            return 0
        expected = self.per_hour * seconds / 3600
        return max(1, math.floor(expected + _SIGMAS * math.sqrt(expected)))


class Usual:
    """What was usual before some marks, looked up only once somebody asks."""

    def __init__(self, marks: Sequence[dict[str, Any]], wanted: Sequence[logs.Pattern]) -> None:
        self._marks, self._wanted = marks, wanted
        self._rates: dict[str, Rate] | None = None

    def allows(self, pattern: logs.Pattern, seconds: float) -> int:
        if not pattern.forgivable:
            return 0
        if self._rates is None:
            self._rates = before(self._marks, self._wanted)
        return self._rates[pattern.name].allows(seconds)


def before(marks: Sequence[dict[str, Any]], wanted: Sequence[logs.Pattern]) -> dict[str, Rate]:
    """The rate of each pattern in what was written before these marks, as far as the last 4 MiB of each file tell."""
    counts = dict.fromkeys((pattern.name for pattern in wanted), 0)
    hours: dict[str, float | None] = {}
    for mark in marks:
        with suppress(OSError, EOFError):
            _count(mark, wanted, counts, hours)
    return {name: Rate(count, hours.get(name)) for name, count in counts.items()}


def _count(
    mark: dict[str, Any], wanted: Sequence[logs.Pattern], counts: dict[str, int], hours: dict[str, float | None]
) -> None:
    """One file's share. Where files cover different times the longest counts: fewer lines are then forgiven."""
    path = logs.holding(mark)
    if path is None:
        return
    offset = int(mark["offset"])
    start = max(0, offset - _READ)
    with logs.open_copy(path) as file:
        file.seek(start)
        text = file.read(offset - start).decode("utf-8", "replace")
    lines = [logs.plain(line) for line in text.split("\n")[1 if start else 0 :]]
    span = _span(path, lines, float(mark.get("at") or time.time()), (offset - start) / max(1, offset))
    applying = [pattern for pattern in wanted if pattern.applies(mark)]
    for line in filter(None, lines):
        folded = line.casefold()
        for pattern in applying:
            counts[pattern.name] += pattern.matches(line, folded)
    for pattern in applying:
        if span is not None:
            hours[pattern.name] = max(hours.get(pattern.name) or 0.0, span / 3600)


def _span(path: Path, lines: Sequence[str], at: float, share: float) -> float | None:
    """Seconds from the first of these lines to the mark: by the times in them, else by the age of the file."""
    times = [moment for moment in map(_moment, lines) if moment is not None]
    if len(times) > 1 and times[-1] > times[0]:
        # Both from the same clock and zone, whichever that is; then until the mark nothing came.
        return times[-1] - times[0] + max(0.0, at - min(at, os.stat(path).st_mtime))
    born = _born(path)
    return max(1.0, (at - born) * share) if born else None


def _moment(line: str) -> float | None:
    text = logs.line_time(line)
    if text is None:
        return None
    text = text.replace("/", "-").replace(",", ".").replace(" +", "+")
    with suppress(ValueError):
        moment = datetime.fromisoformat(text.removesuffix("Z").strip())
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
    return None


def _born(path: Path) -> float | None:
    """When the file was made, where the file system remembers; Python's own stat does not tell on Linux."""
    done = subprocess.run(["stat", "--format=%W", "--", path], capture_output=True, text=True, check=False)
    with suppress(ValueError):
        return float(done.stdout) or None
    return None
