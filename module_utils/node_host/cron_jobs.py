"""The jobs that cron runs on a host, as far as this user may read them."""

from __future__ import annotations

import os
import re
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
# A line that deletes keys by itself: it names their folder, or cleans what is called after the login.
_DELETES = re.compile(r"\b(rm|unlink|find|clean\w*|purge\w*|prune\w*|delete\w*|rotate\w*)\b|cleanup", re.IGNORECASE)
_LOGIN = re.compile(r"baileys|whatsapp|wa[-_]session|sessions?\b", re.IGNORECASE)


class Job(NamedTuple):
    """One line that cron, or a script in one of its folders, runs. The line may hold secrets: never shown.

    `where`: the file, or the command that lists it, and the line's number.
    """

    where: str
    line: str

    def cleans(self, sessions_dir: Path) -> bool:
        """Whether it looks like one that deletes files of a login. Our own monitor rotates nothing but its logs."""
        names_it = sessions_dir.name in self.line or bool(_LOGIN.search(self.line))
        return names_it and bool(_DELETES.search(self.line)) and "monitor.yml" not in self.line


def cleaning(sessions_dir: Path, paths: Iterable[str] = PATHS) -> list[str]:
    """Where the jobs are that look as if they deleted files of a login."""
    return sorted({job.where for job in read(paths) if job.cleans(sessions_dir)})


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
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words and not words.startswith("#"):
            yield Job(f"{where}, line {number}", words)
