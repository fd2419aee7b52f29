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
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .durable import make_folder, own_like, remove, replace_file, sync_folder
from .errors import AuthStateError, Problem
from .folder import open_folder
from .manifest import set_digest
from .names import Key, Names, company_folder
from .reader import Reader

if TYPE_CHECKING:
    from .database import Database
    from .manifest import Entry, Manifest
    from .transfer import Settings

MANIFEST = "manifest.json"
_NAME = re.compile(r"backup_(\d{8}T\d{6}Z)(?:-(\d+))?\.tar")
_BLOCK = 512
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
        if newest is not None and known is not None:
            with open_folder(folder, names) as opened:
                reader = Reader(opened, known.known() if known else None)
                reader.read_all()
            reader.check()
            if _digest(reader) == newest.digest:
                return newest, False
        with open_folder(folder, names) as opened:
            reader = Reader(opened)
            reader.check()  # what the listing alone shows, before anything is written
            self._check_space(reader)
            made = self._write(reader, now)
        if newest is not None and made.digest == newest.digest:
            self._delete(made.archive)
            return newest, False
        self._retain(keep)
        return made, True

    def would_create(self, folder: Path, names: Names, known: Manifest | None) -> bool:
        """Whether `create` would make a new archive; reads, writes nothing."""
        newest = self.newest()
        with open_folder(folder, names) as opened:
            reader = Reader(opened, known.known() if known else None)
            reader.read_all()
        reader.check()
        return newest is None or _digest(reader) != newest.digest

    def path(self, name: str) -> Path:
        """The archive of this name, or the original's folder. Raises AuthStateError when there is none."""
        newest = self.newest()
        if name == "newest" and newest is not None:
            return self.folder / newest.archive
        path = self.folder / name
        if name != "newest" and Path(name).name == name and path.exists() and not path.is_symlink():
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
        need = sum(signature.size + 2 * _BLOCK + 200 for signature in signatures) + _BUFFER
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

    def _write(self, reader: Reader, now: float) -> Backup:
        final = free_name(self.folder, "backup", ".tar", now)
        temporary = self.folder / f".{final.name}.{os.getpid()}.tmp"
        try:
            with _TarWriter(temporary, self.folder) as tar:
                files: dict[str, str] = {}
                prefix, render = company_folder(self.company_id), reader.folder.names.render
                signatures = reader.listing.signatures

                def take(key: Key, _canonical: bytes, data: bytes, _entry: Entry) -> None:
                    name = render(key)
                    files[name] = hashlib.sha256(data).hexdigest()
                    tar.add(prefix, name, data, signatures[key].mtime_ns // 1_000_000_000)

                reader.read_all(take)
                reader.check()
                manifest = {"company_id": self.company_id, "identity": reader.identity, "files": files}
                tar.add("", MANIFEST, json.dumps(manifest).encode(), int(now))
            read_back = _sha256_from_disk(temporary)
            if read_back != tar.sha256:
                raise AuthStateError(
                    Problem(
                        "backup_damaged",
                        str(final),
                        "what was read back from the disk is not what was written",
                        "Check the disk (dmesg, smartctl); nothing else was changed",
                    )
                )
            backup = Backup(
                final.name,
                len(files),
                reader.bytes_read,
                read_back,
                _digest(reader),
                reader.identity,
                datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="seconds"),
            )
            os.replace(temporary, final)
            sync_folder(self.folder)
            replace_file(_summary(final), [json.dumps(asdict(backup), indent=1).encode() + b"\n"])
        except OSError as error:
            raise AuthStateError(
                Problem(
                    "backup_failed",
                    str(final),
                    f"it cannot be written: {error.strerror}",
                    "Free some space and run again",
                )
            ) from None
        finally:
            remove(temporary)
        return backup

    def _retain(self, keep: int) -> None:
        for backup in self.list()[: -max(keep, 1)]:
            self._delete(backup.archive)

    def _delete(self, name: str) -> None:
        remove(_summary(self.folder / name))
        remove(self.folder / name)


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


def _sha256_from_disk(path: Path) -> str:
    """The SHA-256 of a file, read from the disk and not from the page cache where the kernel can drop it."""
    total = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while block := os.read(descriptor, _BUFFER):
            total.update(block)
    finally:
        os.close(descriptor)
    return total.hexdigest()


class _TarWriter:
    """A streaming writer of ustar archives: tarfile takes five times as long for so many small files."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._owner = os.stat(folder)
        self._buffer = bytearray()
        self._total = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._total.hexdigest()

    def __enter__(self) -> _TarWriter:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        own_like(self._descriptor, self._folder)
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._buffer += bytes(2 * _BLOCK)
                self._flush()
                os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def add(self, prefix: str, name: str, data: bytes, mtime: int) -> None:
        self._buffer += self._header(prefix, name, len(data), mtime)
        self._buffer += data
        self._buffer += bytes(-len(data) % _BLOCK)
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def _header(self, prefix: str, name: str, size: int, mtime: int) -> bytes:
        uid, gid = self._owner.st_uid, self._owner.st_gid
        most = 1 << 33
        if (
            not name.isascii()
            or len(name) > 100
            or len(prefix) > 155
            or size >= most
            or not 0 <= mtime < most
            or max(uid, gid) >= 1 << 21
        ):
            info = tarfile.TarInfo(f"{prefix}/{name}" if prefix else name)
            info.size, info.mtime, info.mode, info.uid, info.gid = size, mtime, 0o600, uid, gid
            return info.tobuf(tarfile.PAX_FORMAT)
        fields = b"0000600\0%07o\0%07o\0%011o\0%011o\0" % (uid, gid, size, mtime)
        head = name.encode("ascii").ljust(100, b"\0") + fields
        tail = b"0".ljust(101, b"\0") + b"ustar\x0000".ljust(88, b"\0") + prefix.encode("ascii").ljust(167, b"\0")
        checksum = sum(head) + 8 * ord(" ") + sum(tail)
        return head + b"%06o\0 " % checksum + tail

    def _flush(self) -> None:
        self._total.update(self._buffer)
        view = memoryview(self._buffer)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._buffer = bytearray()


def save_rows(database: Database, company_id: str, settings: Settings) -> Path:
    """The rows that lose a conflict, one JSON line each, before they are changed."""
    folder = Backups(settings.backup_dir, company_id).folder
    make_folder(folder)
    path = free_name(folder, "database", ".jsonl", time.time())
    replace_file(path, (json.dumps(row).encode() + b"\n" for row in database.rows(company_id)))
    return path


def save_folder(company_id: str, settings: Settings) -> Path:
    """The files that lose a conflict, whatever they hold, before they are changed."""
    folder = Backups(settings.backup_dir, company_id).folder
    make_folder(folder)
    path = free_name(folder, "files", ".tar", time.time())
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            own_like(file.fileno(), folder)
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                tar.add(settings.folder(company_id), company_folder(company_id))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        remove(temporary)
    sync_folder(folder)
    return path


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
                seen[name] = hashlib.sha256(data).hexdigest()
                yield name, data, int(member.mtime * 1_000_000_000)
    except (tarfile.TarError, OSError, ValueError):
        raise _damaged(path, "it cannot be read to its end") from None
    if manifest is None or manifest["company_id"] != company_id or manifest["files"] != seen:
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
