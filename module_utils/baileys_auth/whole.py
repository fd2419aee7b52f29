"""An archive of a whole folder, which counts only once it was read back from the disk and compared with the folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from .archive import free_name
from .durable import make_folder, own_like, remove, remove_abandoned, sync_folder
from .errors import AuthStateError, Problem

_BLOCK = 1 << 20


def archive(folder: Path, into: Path, kind: str) -> Path:
    """`<into>/<kind>_<UTC>.tar` with everything below the folder. Raises AuthStateError when it is not all there."""
    make_folder(into)
    remove_abandoned(into)
    _check_space(folder, into)
    path = free_name(into, kind, ".tar", time.time())
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            own_like(file.fileno(), into)
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                tar.add(folder, folder.name)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        _compare(temporary, folder, path)
        os.replace(temporary, path)
    except OSError as error:
        raise AuthStateError(
            Problem("backup_failed", str(path), f"it cannot be written: {error.strerror}", "Make room and run again")
        ) from None
    finally:
        remove(temporary)
    sync_folder(into)
    return path


def _compare(archived: Path, folder: Path, path: Path) -> None:
    with tarfile.open(archived) as tar:
        have = {member.name: _of_member(tar, member) for member in tar}
    want = dict(_of_folder(folder))
    if have != want:
        wrong = sum(have.get(name) != facts for name, facts in want.items()) + len(have.keys() - want.keys())
        raise AuthStateError(
            Problem(
                "backup_damaged",
                str(path),
                f"read back, {wrong} of {len(want)} entries are not what the folder holds",
                "Either the disk is bad (dmesg), or something writes into the folder (lsof +D). Nothing was changed",
            )
        )


def _of_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, str]:
    if member.isreg() or member.islnk():
        file = tar.extractfile(member)
        assert file is not None
        return "file", _digest(iter(lambda: file.read(_BLOCK), b""))
    return ("folder", "") if member.isdir() else ("link", member.linkname) if member.issym() else ("other", "")


def _of_folder(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    for path in [folder, *_below(folder)]:
        mode = path.lstat().st_mode
        name = str(path.relative_to(folder.parent))
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                yield name, ("file", _digest(iter(lambda file=file: file.read(_BLOCK), b"")))
        elif stat.S_ISDIR(mode):
            yield name, ("folder", "")
        elif stat.S_ISLNK(mode):
            yield name, ("link", os.readlink(path))
        elif not stat.S_ISSOCK(mode):  # tar leaves sockets out
            yield name, ("other", "")


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            yield Path(parent, name)


def _digest(blocks: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for block in blocks:
        total.update(block)
    return total.hexdigest()


def _check_space(folder: Path, into: Path) -> None:
    need = sum(path.lstat().st_size + 2048 for path in _below(folder)) + _BLOCK
    disk = os.statvfs(into)
    free = disk.f_bavail * disk.f_frsize
    if free < need:
        raise AuthStateError(
            Problem(
                "no_space",
                str(into),
                f"the archive needs {need >> 20} MiB, and {free >> 20} MiB are free",
                "Free some space, or set auth_state_backup_dir to another disk",
            )
        )
