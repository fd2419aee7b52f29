"""Where a page goes: a file of its own for each run, whole at any time, readable by its owner alone."""

from __future__ import annotations

import os
from datetime import datetime
from itertools import count
from pathlib import Path


class PageFile:
    """The file of one run's page. Nothing is written before the first `write`."""

    def __init__(self, folder: Path, playbook: str, began: datetime) -> None:
        self._folder, self._name = folder, f"{began:%Y-%m-%dT%H%M%SZ}-{Path(playbook).stem}"
        self.path: Path | None = None

    def write(self, html: str) -> None:
        """The page as it stands now. It replaces the one before in a single step: a reader never sees a part."""
        if self.path is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path = self._claim()
        part = self.path.with_suffix(".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(html)
        part.replace(self.path)

    def _claim(self) -> Path:
        """A name that no other run has, also where two begin in the same second."""
        for number in count(1):
            path = self._folder / f"{self._name}{f'-{number}' if number > 1 else ''}.html"
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                continue
            return path
        raise AssertionError("count() has no end")
