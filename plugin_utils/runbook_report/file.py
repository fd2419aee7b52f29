"""Where a page goes: a file of its own for each run, whole at any time, readable by its owner alone."""

from __future__ import annotations

import os
import re
from datetime import datetime
from glob import escape
from itertools import count
from pathlib import Path


class PageFile:
    """The file of one run's page. Nothing is written before the first `write`."""

    def __init__(self, folder: Path, playbook: str, began: datetime) -> None:
        self._folder, self._stem = folder, Path(playbook).stem
        self._name = f"{began:%Y-%m-%dT%H%M%SZ}-{self._stem}"
        self.path: Path | None = None

    def write(self, html: str) -> None:
        """The page as it stands now. It replaces the one before in a single step: a reader never sees a part."""
        if self.path is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f"{self._name}.{os.getpid()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(html)
        if self.path is None:
            self.path = self._claim(part)
            part.unlink()
        else:
            part.replace(self.path)

    def forget(self, keep: int) -> None:
        """Remove the pages of this playbook but for the newest so many: each monitor pass leaves one. 0 keeps all."""
        if keep < 1 or not self._folder.is_dir():
            return
        name = re.compile(rf"(\d{{4}}-\d\d-\d\dT\d{{6}}Z)-{re.escape(self._stem)}(?:-(\d+))?\.html")
        found = [(match, path) for path in self._folder.iterdir() if (match := name.fullmatch(path.name))]
        found.sort(key=lambda each: (each[0][1], int(each[0][2] or 1)))
        for match, path in found[:-keep]:
            if path == self.path:  # the clock was set back: it is the newest whatever its name says
                continue
            path.unlink(missing_ok=True)
            for part in self._folder.glob(f"{match[1]}-{escape(self._stem)}.*.part"):  # of a run killed while it wrote
                part.unlink(missing_ok=True)

    def _claim(self, part: Path) -> Path:
        """This page under a name that no other run has, also where two begin in the same second."""
        for number in count(1):
            path = self._folder / f"{self._name}{f'-{number}' if number > 1 else ''}.html"
            try:
                os.link(part, path)  # fails where there is one, and there is never an empty one
            except FileExistsError:
                continue
            return path
        raise AssertionError("count() has no end")
