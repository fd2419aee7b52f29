"""Rows that a script stored under a name split in the wrong place, and what they are. Pure.

The original migration script splits a file's name at its first `-`: `pre-key-1.json` became type `pre`, id `key-1`, and
`sender-key-memory-….json` type `sender`, id `key-memory-…`. Baileys' own unreleased one takes a `sender-key-memory` for
a `sender-key`. Type and id joined again are the file's name, so the right key can be read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import values
from .names import LID_MAPPING, Key, Names


@dataclass
class Repair:
    """What is to be done, by key. `retyped`: the right key of a row, and its canonical value."""

    retyped: dict[Key, tuple[Key, bytes]] = field(default_factory=dict)
    superseded: set[Key] = field(default_factory=set)  # the right row is there: the app has written it since
    unexpired: set[Key] = field(default_factory=set)  # right rows that must not expire
    left: dict[Key, str] = field(default_factory=dict)  # why each was not understood

    @property
    def changes(self) -> bool:
        return bool(self.retyped or self.superseded or self.unexpired)

    def by_type(self) -> dict[str, dict[str, int]]:
        """Counts by the type that a row has now: {type: {retyped, superseded, unexpired, left}}."""
        groups = {name: getattr(self, name) for name in ("retyped", "superseded", "unexpired", "left")}
        types = sorted({key.type for keys in groups.values() for key in keys})
        return {
            key_type: {name: sum(key.type == key_type for key in keys) for name, keys in groups.items()}
            for key_type in types
        }


def misplaced(key: Key, names: Names) -> bool:
    """Whether a row's type is none of Baileys', or another one than its whole name says."""
    meant = names.read_again(key)
    if meant is None or meant == key:
        return key.type not in names.types
    # An id as it stands in a file's name, where it is written without : and /, is misplaced as well.
    return key.type not in names.types or meant.type != key.type or not {":", "/"} & set(key.id)


def make_repair(expiring: Mapping[Key, bool], wrong: Mapping[Key, bytes], names: Names) -> Repair:
    """`expiring`: every row, and whether it has an expiry. `wrong`: the misplaced ones' jsonb texts."""
    repair = Repair()
    claimed: dict[Key, Key] = {}
    for key, text in sorted(wrong.items()):
        meant = names.read_again(key)
        if meant is None:
            repair.left[key] = "its type and id are no name of a Baileys file"
        elif meant.type != key.type and not meant.type.startswith(f"{key.type}-"):
            # The scripts cut a type short. A longer one is no work of theirs, but a type that is not known here.
            repair.left[key] = "its type may be one of a newer Baileys: name it in auth_state_key_types"
        elif meant in expiring:
            repair.superseded.add(key)
        elif meant in claimed:
            repair.left[key] = "another row is the same key, and nothing tells which of them is newer"
            other = claimed[meant]
            if other in repair.retyped:
                del repair.retyped[other]
                repair.left[other] = repair.left[key]
        else:
            claimed[meant] = key
            try:
                repair.retyped[key] = meant, _value(text, meant.type)
            except values.ValueRefusedError as refused:
                repair.left[key] = str(refused)
    repair.unexpired = {
        key for key, expires in expiring.items() if expires and key not in wrong and key.type != LID_MAPPING
    }
    return repair


def _value(text: bytes, key_type: str) -> bytes:
    """The canonical value. A lid-mapping that PostgreSQL was given without quotes became a number."""
    if key_type == LID_MAPPING and text.isdigit():
        text = b'"%s"' % text
    return values.canonical(text, key_type)
