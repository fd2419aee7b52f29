"""The jobs that cron runs on a host, as far as this user may read them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PATHS = (
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
)
_LARGEST = 1 << 18


class Job(NamedTuple):
    """One line that cron, or a script in one of its folders, runs. The line may hold secrets: never shown."""

    where: str
    line: str


def read(paths: Iterable[str] = PATHS, *, own: bool = True) -> Iterator[Job]:
    """Every line that is no comment. `own`: also this user's, by `crontab -l`, where the spool cannot be read."""
    for path in paths:
        for file in _files(Path(path)):
            with suppress(OSError):
                if file.stat().st_size <= _LARGEST:
                    yield from _lines(str(file), file.read_text("utf-8", "replace"))
    if own and os.geteuid() != 0:
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                ["crontab", "-l"], capture_output=True, text=True, errors="replace", timeout=10, check=False
            )
            if done.returncode == 0:
                yield from _lines("crontab -l", done.stdout)


def _files(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    except OSError:
        return []


def _lines(where: str, text: str) -> Iterator[Job]:
    for line in text.splitlines():
        words = line.strip()
        if words and not words.startswith("#"):
            yield Job(where, words)
