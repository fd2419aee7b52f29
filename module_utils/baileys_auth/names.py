"""File name <-> (key type, key id), as Baileys' useMultiFileAuthState names its files.

Baileys writes `<type>-<id>.json` and replaces every `/` of the whole name by `__` and every `:` by `-`.
That is not reversible in general, so each type says here how its ids are read back; `parse` and `render`
are exact inverses on every name they accept (Baileys 6.x and 7.0.0-rc, src/Utils/use-multi-file-auth-state.ts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

CREDS_TYPE = "creds"
CREDS_FILE = "creds.json"
LID_MAPPING = "lid-mapping"

# What other programs leave in such a folder. They are named in the result and never touched.
_LEFTOVER_ENDS = (".tmp", ".bak", ".backup", "~")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates: how Python shows bytes that are no UTF-8
_NAME_MAX = 255  # bytes, the limit of the file systems in use


class Key(NamedTuple):
    """One entry of an auth state: a signal key, or the creds (type `creds`, empty id)."""

    type: str
    id: str


CREDS = Key(CREDS_TYPE, "")


def _as_is(text: str) -> str | None:
    return text


def _sender_key(text: str) -> str | None:
    """`<group>--<user>--<device>`: old group ids hold a `-` of their own, so only the last two count."""
    group, mark, rest = text.partition("@")
    _unused, separator, device = rest.rpartition("--")
    head, second, user = _unused.rpartition("--")
    if not (mark and separator and second and group and head and user and device):
        return None
    return f"{group}@{head}::{user}::{device}"


def _app_state_sync_key(text: str) -> str | None:
    """Base64 has neither `_` nor `-`, so `__` can only be a `/`."""
    key_id = text.replace("__", "/")
    return key_id if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", key_id) else None


def _number(text: str) -> str | None:
    return text if text.isascii() and text.isdigit() else None


# Type -> how the id is read out of the file name.
KEY_TYPES: dict[str, Callable[[str], str | None]] = {
    "pre-key": _number,
    "session": _as_is,
    "sender-key": _sender_key,
    "sender-key-memory": _as_is,
    "app-state-sync-key": _app_state_sync_key,
    "app-state-sync-version": _as_is,
    LID_MAPPING: _as_is,
    "device-list": _as_is,
    "tctoken": _as_is,
    "identity-key": _as_is,
    "contacts-tc-token": _as_is,
}


class Names:
    """The names of one run: Baileys' key types and those an operator added."""

    def __init__(self, extra_types: Iterable[str] = ()) -> None:
        self._decoders = {**dict.fromkeys(extra_types, _as_is), **KEY_TYPES}
        for name in self._decoders:
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or name == CREDS_TYPE:
                raise ValueError(f"{name!r} is no Baileys key type: lower-case words joined by '-'")
        # The longest type first: `sender-key-memory-…` starts with `sender-key-` as well.
        longest_first = sorted(self._decoders, key=len, reverse=True)
        self._pattern = re.compile(rf"({'|'.join(map(re.escape, longest_first))})-(.+)\.json", re.DOTALL)
        self._interned = {name: name for name in self._decoders}

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self._decoders)

    def parse(self, file_name: str) -> Key | None:
        """The key that Baileys keeps in this file, or None when it would never ask for such a file."""
        if file_name == CREDS_FILE:
            return CREDS
        match = self._pattern.fullmatch(file_name)
        if match is None or has_control_character(file_name):
            return None
        key_type = self._interned[match[1]]
        key_id = self._decoders[key_type](match[2])
        if key_id is None or _encode(f"{key_type}-{key_id}.json") != file_name:
            return None
        return Key(key_type, key_id)

    def read_again(self, key: Key) -> Key | None:
        """The key whose file this type and id name when they are joined again: another one, or none, where a name was
        split in the wrong place."""
        return self.parse(_encode(f"{key.type}-{key.id}.json"))

    def render(self, key: Key) -> str:
        """The file that Baileys keeps this key in.

        Raises ValueError when no file of Baileys' can stand for the key and for it alone.
        """
        if key == CREDS:
            return CREDS_FILE
        file_name = _encode(f"{key.type}-{key.id}.json")
        if self.parse(file_name) != key or is_leftover(file_name) or len(file_name.encode("utf-8")) > _NAME_MAX:
            raise ValueError(f"no Baileys file name stands for a key of type {key.type!r} with this id")
        return file_name

    def render_all(self, keys: Iterable[Key]) -> tuple[dict[Key, str], set[Key]]:
        """(the file of each key, the keys that no file can stand for)."""
        files: dict[Key, str] = {}
        foreign: set[Key] = set()
        for key in keys:
            with suppress(ValueError):
                files[key] = self.render(key)
                continue
            foreign.add(key)
        return files, foreign


def _encode(name: str) -> str:
    """Baileys' fixFileName."""
    return name.replace("/", "__").replace(":", "-")


def is_leftover(file_name: str) -> bool:
    """Whether another program left this file; Baileys never reads it."""
    name = file_name.lower()
    editors = name.startswith(".") or (name.startswith("#") and name.endswith("#"))
    return editors or name.endswith(_LEFTOVER_ENDS) or ".backup." in name


def has_control_character(file_name: str) -> bool:
    return not file_name.isprintable() and _CONTROL.search(file_name) is not None  # the first is quick


_COMPANY_FOLDER = "company_"
_COMPANY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def company_id(text: str) -> str:
    """The one spelling of a company's id: `962302`, also where `company_962302` was written.

    Raises ValueError for anything that could be a path, an option or more than one word.
    """
    identifier = text.removeprefix(_COMPANY_FOLDER)
    if not _COMPANY_ID.fullmatch(identifier) or identifier.startswith(_COMPANY_FOLDER):
        raise ValueError("a company id is 1 to 64 letters, digits, '_', '.' or '-', and starts with a letter or digit")
    return identifier


def company_folder(identifier: str) -> str:
    return f"{_COMPANY_FOLDER}{identifier}"
