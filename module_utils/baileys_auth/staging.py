"""New files written beside the folder they belong to, synced together, and only then put in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from .durable import make_folder, own_like, remove, sync_folder, write_all

_SYNC_EACH = 200  # above so many new files, one sync of the file systems is faster than one of each file


class Staging:
    """New files beside the folder they will be moved into: the same file system, so that a rename is enough."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path, folder
        self._staged: list[str] = []

    def clear(self) -> None:
        """Remove what was staged, or what a killed run left."""
        self._staged = []
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str, data: bytes, mtime_ns: int | None) -> int:
        """One new file, not yet synced. `mtime_ns`: when the key was learnt, where the manifest knows it."""
        if not self._staged:
            make_folder(self.path)
        path = os.path.join(self.path, name)  # for a hundred thousand files pathlib takes seconds
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            own_like(descriptor, self._folder.parent)
            write_all(descriptor, data)
            if mtime_ns is not None:
                os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(descriptor)
        self._staged.append(name)
        return len(data)

    def place(self, removed: Iterable[str]) -> None:
        """Everything staged on disk first, then renamed into the folder; then the keys that are no more."""
        gone = list(removed)
        if not (self._staged or gone):
            return
        self.sync()
        make_folder(self._folder)
        for name in self._staged:
            os.replace(os.path.join(self.path, name), os.path.join(self._folder, name))
        for name in gone:
            remove(self._folder / name)
        sync_folder(self._folder)
        self.clear()  # the empty folder

    def sync(self) -> None:
        """Everything staged, on the disk."""
        if len(self._staged) > _SYNC_EACH:
            os.sync()
            return
        for name in self._staged:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
