"""One company's folder, read once: what did not change since the manifest is not opened at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

from . import values
from .consistency import TC_TOKEN_INDEX
from .contents import Content, contents
from .errors import AuthStateError, Problem
from .folder import Folder, Listing, trusted
from .identity import account, identity_digest
from .manifest import Entry, Signature
from .names import CREDS, CREDS_FILE, LID_MAPPING, Key

_ALWAYS = (CREDS, TC_TOKEN_INDEX)  # read also when they did not change: what they say of other keys is checked

Taker = Callable[[Key, bytes, Entry], None]  # key, canonical value, entry
Copier = Callable[[str, Key, bytes], None]  # name, key, bytes


def _nothing(*_unused: Any) -> None:
    return None


class Reader:
    """The entries of a folder, and what is wrong with it.

    `known`: entries that are trusted for every file whose signature they hold. `wanted(key, digest)`: whether the
    value of such a file is needed all the same; then the file is read. `copy(name, key, bytes)`: is handed every file,
    also those whose value is known. `listing`: of the folder as it is, where it was made before.
    """

    def __init__(
        self,
        folder: Folder,
        known: Mapping[Key, Entry] | None = None,
        wanted: Callable[[Key, bytes], bool] | None = None,
        listing: Listing | None = None,
    ) -> None:
        self.folder = folder
        self.listing = listing or folder.list()
        self.entries: dict[Key, Entry] = {}
        self.problems: list[Problem] = list(self.listing.problems)
        self.creds: dict[str, Any] = {}
        self.identity = ""
        self.tc_token_index: Any = None
        self.files_read = 0
        self.bytes_read = 0
        self.copy: Copier | None = None
        self._known = known or {}
        self._wanted = wanted

    @property
    def account(self) -> str | None:
        return account(self.creds)

    def read_all(self, take: Taker = _nothing) -> None:
        self.read(self.listing.files, take)

    def read_mappings(self, take: Taker = _nothing) -> None:
        self.read((name for name, key in self.listing.files.items() if key.type == LID_MAPPING), take)

    def read_others(self, take: Taker = _nothing) -> None:
        self.read((name for name, key in self.listing.files.items() if key.type != LID_MAPPING), take)

    def unchanged(self) -> bool:
        """Whether every file, and no other, is still the one that is known; nothing is opened."""
        signatures, known = self.listing.signatures, self._known
        return signatures.keys() == known.keys() and all(
            known[key].signature == signature for key, signature in signatures.items()
        )

    def known_digests(self) -> dict[Key, bytes]:
        return {key: entry.digest for key, entry in self._known.items()}

    def read(self, names: Iterable[str], take: Taker, *, trust: bool = True) -> None:
        """Read these files; each value that is not known is handed to `take`. `trust`: what is known counts."""
        files, signatures, known, asked = self.listing.files, self.listing.signatures, self._known, self._wanted
        wanted, unchanged = [], set()
        for name in names:
            key = files[name]
            before = known.get(key)
            same = (
                trust
                and before is not None
                and before.signature == signatures[key]
                and key not in _ALWAYS
                and not (asked and asked(key, before.digest))
            )
            if same:
                signatures[key] = before.signature  # the equal one goes: a third of the memory of a login
            if same and self.copy is None:
                self.entries[key] = before
                continue
            wanted.append(name)
            if same:
                unchanged.add(key)
        copy = self.copy if trust else None
        with closing(contents(self.folder, self.listing, wanted, unchanged)) as found:
            for name, content in zip(wanted, found, strict=True):
                self._receive(name, files[name], content, copy, take)

    def _receive(self, name: str, key: Key, content: Content, copy: Copier | None, take: Taker) -> None:
        self.problems += content.problems
        if content.data is None:
            return
        self.files_read += 1
        self.bytes_read += len(content.data)
        if copy is not None:
            copy(name, key, content.data)
        if content.canonical is None or content.digest is None:
            self.entries[key] = self._known[key]
            return
        entry = self.entries[key] = self._entry(key, content.canonical, content.digest, self.listing.signatures[key])
        take(key, content.canonical, entry)

    def _entry(self, key: Key, canonical: bytes, digest: bytes, signature: Signature) -> Entry:
        if key == CREDS:
            self._read_creds(canonical)
        elif key == TC_TOKEN_INDEX:
            self.tc_token_index = values.load(canonical)
        partner = canonical[1:-1].decode("utf-8") if key.type == LID_MAPPING else None
        return Entry(digest, trusted(signature, self.listing.begun_ns), partner)

    def _read_creds(self, canonical: bytes) -> None:
        self.creds = values.load(canonical)
        try:
            self.identity = identity_digest(self.creds)
        except ValueError as error:
            self.problems.append(
                self.folder.problem(
                    "creds_foreign", CREDS_FILE, f"these are no creds of a login: {error}", "Restore it from a backup"
                )
            )

    def check(self) -> None:
        """Raise AuthStateError with everything that was wrong."""
        if self.problems:
            raise AuthStateError(self.problems)
