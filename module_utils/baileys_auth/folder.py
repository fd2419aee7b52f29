"""One company's folder as Baileys' useMultiFileAuthState writes it, read while others may still write."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import values
from .errors import AuthStateError, Problem
from .manifest import Signature
from .names import CREDS, CREDS_FILE, Key, Names, has_control_character, is_leftover

# A file changed within this long of being read may change again without a new ctime (the kernel's clock ticks
# every 1 to 10 ms; network file systems are coarser).
CLOCK_TICK_NS = 100_000_000
_TORN_WAITS = (0.05, 0.15, 0.3)  # seconds between the readings of a file that is no whole JSON
_SHOWN = 20  # problems of one kind that are listed one by one

COPY_AGAIN = "Restore it from a backup or, when the app was just writing it, run again"


@dataclass
class Listing:
    """What is in the folder: the keys by file, leftovers, and what must not be there. `begun_ns`: when it was begun."""

    begun_ns: int = field(default_factory=time.time_ns, compare=False)
    files: dict[str, Key] = field(default_factory=dict)
    signatures: dict[Key, Signature] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Folder:
    """A company's folder, opened once; no name in it is ever followed out of it."""

    def __init__(self, path: Path, names: Names, descriptor: int) -> None:
        self.path = path
        self.names = names
        self.descriptor = descriptor

    def list(self, earlier: Listing | None = None) -> Listing:
        """Every file with its stat, in one pass; nothing is opened.

        `earlier`: a listing of this folder, whose names need not be understood anew: that takes most of the time.
        """
        listing, understood = Listing(), earlier.files if earlier else {}
        files, signatures = listing.files, listing.signatures
        unknown: list[str] = []
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                name = entry.name
                key = understood.get(name)
                if key is None and is_leftover(name):
                    listing.leftovers.append(name)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # the app deleted it just now
                if not stat.S_ISREG(status.st_mode) or (key is None and has_control_character(name)):
                    listing.problems.append(self._foreign(name, status.st_mode))
                    continue
                key = key or self.names.parse(name)
                if key is None:
                    unknown.append(name)
                    continue
                files[name] = key
                signatures[key] = Signature.of(status)
        listing.leftovers.sort()
        if unknown:
            listing.problems.append(self._unknown(sorted(unknown)))
        if CREDS not in listing.signatures:
            listing.problems.insert(
                0,
                Problem(
                    "creds_missing",
                    str(self.path / CREDS_FILE),
                    "there is no creds.json, so the app would make a new login here",
                    "Restore the folder from a backup, or name the right company",
                ),
            )
        return listing

    def read(self, name: str, key: Key, size: int, *, patient: bool = True) -> tuple[bytes, bytes]:
        """(the file's bytes, its canonical value).

        A file that is no whole JSON is read again for a short while (`patient`), since Baileys writes in place. Raises
        AuthStateError when it stays so, or when its value cannot be moved; FileNotFoundError when it went away.
        """
        for wait in (*(_TORN_WAITS if patient else ()), None):
            data = self.read_bytes(name, size)
            try:
                return data, values.canonical(data, key.type)
            except values.TornError as torn:
                if wait is None:
                    raise AuthStateError(self.problem("torn", name, str(torn), COPY_AGAIN)) from None
                time.sleep(wait)
            except values.ValueRefusedError as refused:
                raise AuthStateError(
                    self.problem(
                        "value_refused",
                        name,
                        str(refused),
                        "Baileys would not read it back as it is; move the file out of the folder if it is not needed",
                    )
                ) from None
        raise AssertionError("unreachable")

    def read_bytes(self, name: str, size: int) -> bytes:
        """The file's bytes. `size` is what its stat said; it may have grown."""
        descriptor = self._open(name)
        try:
            return _read_to_end(descriptor, size)
        finally:
            os.close(descriptor)

    def read_same(self, name: str, signature: Signature) -> bytes | None:
        """The file's bytes, or None when it is not, or not any more, the file of this signature."""
        descriptor = self._open(name)
        try:
            data = _read_to_end(descriptor, signature.size)
            return data if Signature.of(os.fstat(descriptor)) == signature else None
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor)
        except PermissionError:
            raise AuthStateError(
                self.problem(
                    "unreadable", name, "it cannot be read", "Run as the app's user, or give the file back to that user"
                )
            ) from None

    def problem(self, code: str, name: str, what: str, remedy: str) -> Problem:
        return Problem(code, str(self.path / name), what, remedy)

    def _foreign(self, name: str, mode: int) -> Problem:
        if has_control_character(name):
            what, name = "its name holds a control character or is no UTF-8", ascii(name)[1:-1]
        else:
            kind = "symlink" if stat.S_ISLNK(mode) else "folder" if stat.S_ISDIR(mode) else "device, socket or pipe"
            what = f"it is a {kind}, which is never followed"
        return self.problem("foreign", name, what, "Move it out of the folder: Baileys keeps plain files alone there")

    def _unknown(self, names: list[str]) -> Problem:
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        return Problem(
            "unknown_files",
            str(self.path),
            f"{len(names)} file(s) that are not Baileys keys: {shown}",
            "Move them out of the folder, or name their types in auth_state_key_types if a newer Baileys writes them",
        )


@contextmanager
def open_folder(path: Path, names: Names) -> Iterator[Folder]:
    """The company's folder. Raises AuthStateError when it is not there, no folder, or a symlink to one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise AuthStateError(
            Problem(
                "folder_missing", str(path), "there is no such folder", "Check the company id and the sessions folder"
            )
        ) from None
    except NotADirectoryError:
        raise AuthStateError(
            Problem(
                "folder_foreign", str(path), "it is no folder of its own (a file or a symlink)", "Name a real folder"
            )
        ) from None
    except PermissionError:
        raise AuthStateError(
            Problem("unreadable", str(path), "it cannot be opened", "Run as the app's user (ansible_become_user)")
        ) from None
    try:
        yield Folder(path, names, descriptor)
    finally:
        os.close(descriptor)


def _read_to_end(descriptor: int, size: int) -> bytes:
    """In one call where the file is as large as its stat said."""
    data = os.read(descriptor, size + 1)
    while len(data) > size:
        more = os.read(descriptor, 1 << 16)
        if not more:
            break
        data += more
    return data


def trusted(signature: Signature, read_at_ns: int) -> Signature | None:
    """The signature, unless the file changed so shortly before `read_at_ns` that it may change unseen."""
    return signature if max(signature.ctime_ns, signature.mtime_ns) < read_at_ns - CLOCK_TICK_NS else None
