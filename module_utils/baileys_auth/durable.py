"""Files that are there whole or not at all, also after a power cut, and that keep the owner of their folder."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2), which os has not


def own_like(descriptor: int, folder: Path) -> None:
    """Give a new file the owner of its folder: root must not leave files that the app's user cannot read."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_new(path: Path, parts: Iterable[bytes], mode: int = 0o600) -> None:
    """Write a file that must not exist yet, and sync it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        own_like(descriptor, path.parent)
        file.writelines(parts)
        file.flush()
        os.fsync(descriptor)


def replace_file(path: Path, parts: Iterable[bytes], mode: int = 0o600) -> None:
    """Put a whole new content in the place of a file, atomically and durably."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    remove(temporary)
    try:
        write_new(temporary, parts, mode)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """A folder for its owner alone; those missing above it too."""
    missing = [path, *path.parents]
    for folder in reversed([each for each in missing if not each.exists()]):
        os.mkdir(folder, 0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            own_like(descriptor, folder.parent)
        finally:
            os.close(descriptor)
        sync_folder(folder.parent)


def exchange(one: Path, other: Path) -> None:
    """Each folder in the place of the other, at once: at no instant is either of the two names missing.

    Where the file system cannot do that, by renames one after the other.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        done = libc.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
    except AttributeError:  # a C library without it
        done = -1
    if done == 0:
        return
    between = other.with_name(f".{other.name}.{os.getpid()}.exchanged")
    os.rename(other, between)
    try:
        os.rename(one, other)
    except OSError:
        os.rename(between, other)
        raise
    os.rename(between, one)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder to itself among the runs on this host; a killed run's lock is gone with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove what killed runs of this host were writing: `.<name>.<process id>.tmp`."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not _alive(int(pid)):
            remove(path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
