"""Backups: one tar archive per company that plain `tar` restores, and that counts only once it was read back.

`backup_<UTC>.tar` holds `company_<id>/<file>` for every key, and as its last member `manifest.json` with the
SHA-256 of each file. Beside it lies `backup_<UTC>.json`, the summary that is written only after the archive was
synced, read back from the disk and found to be what was meant: an archive without it does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .durable import make_folder, remove, remove_abandoned, replace_file, sync_folder
from .errors import AuthStateError, Problem
from .folder import open_folder
from .manifest import set_digest
from .names import Key, Names, company_folder
from .reader import Reader
from .tar import BLOCK, TarWriter

if TYPE_CHECKING:
    from .manifest import Manifest

MANIFEST = "manifest.json"
_NAME = re.compile(r"backup_(\d{8}T\d{6}Z)(?:-(\d+))?\.tar")
_ANY_NAME = re.compile(r"backup_[A-Za-z0-9_.:+-]+")  # the originals' folders too
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Backup:
    """The summary of one archive. `bytes`: of the files in it; `digest`: of the set of keys and values."""

    archive: str
    files: int
    bytes: int
    sha256: str
    digest: str
    identity: str
    created: str


class Backups:
    """One company's backups: `<backup_dir>/company_<id>/`."""

    def __init__(self, backup_dir: Path, company_id: str) -> None:
        self.company_id = company_id
        self.folder = backup_dir / company_folder(company_id)

    def list(self) -> list[Backup]:
        """The archives that count, the oldest first."""
        found = []
        for path in sorted(self._archives(), key=_order):
            with suppress(FileNotFoundError, ValueError, TypeError):
                found.append(Backup(**json.loads(_summary(path).read_bytes())))
        return found

    def originals(self) -> list[Path]:
        """The folders that the app's own migration script left here (`backup_…/`)."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.glob("backup_*") if path.is_dir() and not path.is_symlink())

    def newest(self) -> Backup | None:
        return max(self.list(), key=lambda backup: _order(Path(backup.archive)), default=None)

    def create(self, folder: Path, names: Names, now: float, known: Manifest | None, keep: int) -> tuple[Backup, bool]:
        """(the newest backup, whether it was made now): none is made when the newest holds what the folder holds.

        `known`: the manifest of the last transfer, trusted for unchanged files in that comparison alone.
        Raises AuthStateError for a folder that is no whole login.
        """
        newest = self.newest()
        with open_folder(folder, names) as opened:
            reader = Reader(opened, known.known() if known else None)
            reader.check()  # what the listing alone shows, before anything is written
            if newest is not None and known is not None:
                reader.read_all()
                reader.check()
                if self.counts(newest, reader):
                    return newest, False
            with self.write(reader, now) as archive:
                reader.read_all()
                reader.check()
                made = archive.finish()
        return self.keep(made, newest, keep)

    def would_create(self, folder: Path, names: Names, known: Manifest | None) -> bool:
        """Whether `create` would make a new archive; reads, writes nothing."""
        newest = self.newest()
        with open_folder(folder, names) as opened:
            reader = Reader(opened, known.known() if known else None)
            reader.read_all()
            reader.check()
            return not self.counts(newest, reader)

    def counts(self, backup: Backup | None, reader: Reader) -> bool:
        """Whether the backup holds what the reader has read, and is still whole."""
        return backup is not None and _digest(reader) == backup.digest and self.intact(backup)

    def write(self, reader: Reader, now: float) -> Archive:
        """A new archive of what the reader reads from now on: every file, also those that did not change.

        The newest by its name, also where the host's clock has been set back since the one before.
        """
        self._check_space(reader)
        newest = self.newest()
        if newest is not None:
            now = max(now, datetime.fromisoformat(newest.created).timestamp())
        return Archive(self, reader, now)

    def keep(self, made: Backup, newest: Backup | None, keep: int) -> tuple[Backup, bool]:
        """(the newest backup, whether it is `made`): one that holds the same as the newest before is not kept."""
        if newest is not None and made.digest == newest.digest and self.intact(newest):
            self.remove(made.archive)
            return newest, False
        for backup in self.list()[: -max(keep, 1)]:
            self.remove(backup.archive)
        return made, True

    def expired(self, keep: int, before: datetime) -> list[str]:
        """The archives that are older than that, but for the newest `keep`."""
        older = self.list()[: -max(keep, 1)]
        return [each.archive for each in older if datetime.fromisoformat(each.created) < before]

    def intact(self, backup: Backup) -> bool:
        """Whether the archive is still what was read back when it was made."""
        try:
            return _sha256(self.folder / backup.archive) == backup.sha256
        except OSError:
            return False

    def path(self, name: str) -> Path:
        """The archive of this name, or the original's folder. Raises AuthStateError when there is none."""
        newest = self.newest()
        if name == "newest" and newest is not None:
            return self.folder / newest.archive
        path = self.folder / name
        if _ANY_NAME.fullmatch(name) and path.exists() and not path.is_symlink():
            return path
        have = [backup.archive for backup in self.list()] + [path.name for path in self.originals()]
        raise AuthStateError(
            Problem(
                "backup_missing",
                str(self.folder),
                f"there is no backup {name!r}",
                f"There are: {', '.join(have) or 'none'}. Name one of them",
            )
        )

    def _archives(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]

    def _check_space(self, reader: Reader) -> None:
        signatures = reader.listing.signatures.values()
        need = sum(signature.size + 2 * BLOCK + 200 for signature in signatures) + _BUFFER
        make_folder(self.folder)
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize
        if free < need or (disk.f_files and disk.f_favail < 8):
            raise AuthStateError(
                Problem(
                    "no_space",
                    str(self.folder),
                    f"the backup needs {need >> 20} MiB, {free >> 20} MiB and {disk.f_favail} inodes are free",
                    "Free some space, or set auth_state_backup_dir to another disk",
                )
            )

    def remove(self, name: str) -> None:
        """One archive and its summary; the summary first, for an archive without it does not count."""
        remove(_summary(self.folder / name))
        remove(self.folder / name)


class Archive:
    """An archive that is being written. It becomes a backup in `finish`; left before, nothing of it stays."""

    def __init__(self, backups: Backups, reader: Reader, now: float) -> None:
        self._company_id, self._reader, self._now = backups.company_id, reader, now
        self._path = free_name(backups.folder, "backup", ".tar", now)
        self._temporary = backups.folder / f".{self._path.name}.{os.getpid()}.tmp"
        self._folder = company_folder(backups.company_id)
        self._tar = TarWriter(self._temporary)
        self._sums: dict[str, str] = {}
        self._bytes = 0

    def __enter__(self) -> Archive:
        remove_abandoned(self._temporary.parent)
        try:
            self._tar.open()
        except OSError as error:
            raise self._failed(error) from None
        self._reader.copy = self._add
        return self

    def __exit__(self, *_error: Any) -> None:
        self._reader.copy = None
        self._tar.close()
        remove(self._temporary)

    def _add(self, name: str, key: Key, data: bytes) -> None:
        self._sums[name] = hashlib.sha256(data).hexdigest()
        self._bytes += len(data)
        try:
            self._tar.add(self._folder, name, data, self._reader.listing.signatures[key].mtime_ns // 1_000_000_000)
        except OSError as error:
            raise self._failed(error) from None

    def finish(self) -> Backup:
        """Make it a backup: on the disk, and read back from there."""
        try:
            return self._finish()
        except OSError as error:
            raise self._failed(error) from None

    def _finish(self) -> Backup:
        manifest = {"company_id": self._company_id, "identity": self._reader.identity, "files": self._sums}
        self._tar.add("", MANIFEST, json.dumps(manifest).encode(), int(self._now))
        self._tar.finish()
        read_back = _sha256(self._temporary, from_disk=True)
        if read_back != self._tar.sha256:
            raise AuthStateError(
                Problem(
                    "backup_damaged",
                    str(self._path),
                    "what was read back from the disk is not what was written",
                    "Check the disk (dmesg, smartctl); nothing else was changed",
                )
            )
        made = Backup(
            self._path.name,
            len(self._sums),
            self._bytes,
            read_back,
            _digest(self._reader),
            self._reader.identity,
            datetime.fromtimestamp(self._now, timezone.utc).isoformat(timespec="seconds"),
        )
        os.replace(self._temporary, self._path)
        sync_folder(self._path.parent)
        replace_file(_summary(self._path), [json.dumps(asdict(made), indent=1).encode() + b"\n"])
        return made

    def _failed(self, error: OSError) -> AuthStateError:
        return AuthStateError(
            Problem(
                "backup_failed",
                str(self._path),
                f"it cannot be written: {error.strerror}",
                "Free some space and run again",
            )
        )


def timestamp(now: float) -> str:
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def free_name(folder: Path, kind: str, suffix: str, now: float) -> Path:
    """`<kind>_<UTC>.…`, with a number behind it where there is one of that second."""
    stem, number = f"{kind}_{timestamp(now)}", 0
    path = folder / f"{stem}{suffix}"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def _order(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    return (match[1], int(match[2] or 0)) if match else ("", 0)


def _summary(archive: Path) -> Path:
    return archive.with_suffix(".json")


def _digest(reader: Reader) -> str:
    return set_digest({key: entry.digest for key, entry in reader.entries.items()})


def _sha256(path: Path, *, from_disk: bool = False) -> str:
    """The SHA-256 of a file. `from_disk`: not from the page cache, where the kernel can drop it."""
    total = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if from_disk:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while block := os.read(descriptor, _BUFFER):
            total.update(block)
    finally:
        os.close(descriptor)
    return total.hexdigest()


def members(path: Path, company_id: str) -> Iterator[tuple[str, bytes, int]]:
    """(file name, bytes, mtime in ns) of each file in an archive of ours or in an original's folder.

    Raises AuthStateError at the first member that is not what the archive's manifest says, and at the end when
    one is missing.
    """
    if path.is_dir():
        yield from _folder_members(path)
        return
    seen: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                data = source.read() if source else b""
                folder, _slash, name = member.name.rpartition("/")
                if source is None or folder not in ("", company_folder(company_id)):
                    raise _damaged(path, f"it is no backup of company {company_id}")
                if not folder and name == MANIFEST:
                    manifest = json.loads(data)
                    continue
                if name in seen:
                    raise _damaged(path, "it holds one file twice")
                seen[name] = hashlib.sha256(data).hexdigest()
                yield name, data, int(member.mtime * 1_000_000_000)
    except (tarfile.TarError, OSError, ValueError):
        raise _damaged(path, "it cannot be read to its end") from None
    if not isinstance(manifest, dict) or (manifest.get("company_id"), manifest.get("files")) != (company_id, seen):
        raise _damaged(path, "it does not hold what its manifest says")


def _folder_members(path: Path) -> Iterator[tuple[str, bytes, int]]:
    """The files of a backup that the app's own script made: a plain copy of the company's folder."""
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.is_symlink():
            yield file.name, file.read_bytes(), file.stat().st_mtime_ns


def _damaged(path: Path, what: str) -> AuthStateError:
    return AuthStateError(
        Problem("backup_damaged", str(path), what, "Name another backup: rollback_backup=<name>; nothing was changed")
    )
