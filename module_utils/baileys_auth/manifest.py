"""The manifest: what both stores held after the last transfer, key by key.

It is the base of the three-way plan, and it lets the next pass skip every file whose size, inode and ctime
are still those of the copy. One JSON file per company, 0600 (key ids are phone numbers), written whole:
first as `.next`, fsynced, before the transfer commits; renamed once it has. A run killed between the two
leaves `.next`, and the store itself says whether it was committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from . import json_lines
from .durable import make_folder, remove, replace_file, sync_folder
from .names import Key

FORMAT = 1
_LINE = 1000  # entries in one line: whole lines are read and written at once, the file never is


class Signature(NamedTuple):
    """What a file's content cannot change without: taken before the file was read."""

    size: int
    inode: int
    ctime_ns: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        return cls(status.st_size, status.st_ino, status.st_ctime_ns, status.st_mtime_ns)


class Entry(NamedTuple):
    """One key as it was copied.

    `signature` is None where the file's content can no longer be told from its stat (written within a clock
    tick of the reading, or never a file). `partner`: the user a lid-mapping names. `expires_at`: of its row.
    """

    digest: bytes
    signature: Signature | None = None
    partner: str | None = None
    expires_at: float | None = None

    def until(self, expires_at: float | None) -> Entry:
        """The same, with this expiry."""
        return self if self.expires_at == expires_at else self._replace(expires_at=expires_at)


@dataclass
class Manifest:
    """`entries`: what both stores hold. `left_out`: lid-mappings the TTL rule kept in the files alone.

    `lid_mapping_ttl`: of that rule, in seconds; None where it was not asked.
    """

    company_id: str
    made_at: float
    identity: str
    entries: dict[Key, Entry] = field(default_factory=dict)
    left_out: dict[Key, Entry] = field(default_factory=dict)
    lid_mapping_ttl: float | None = None

    def known(self) -> dict[Key, Entry]:
        """Everything that was in the files."""
        return {**self.left_out, **self.entries}

    def find(self, key: Key) -> Entry | None:
        """What was in the file of one key."""
        return self.entries.get(key) or self.left_out.get(key)

    def digests(self) -> dict[Key, bytes]:
        return {key: entry.digest for key, entry in self.entries.items()}

    def set_digest(self) -> str:
        return set_digest(self.digests())

    def says_the_same(self, earlier: Manifest | None) -> bool:
        """Whether the earlier one will do as well."""
        return earlier is not None and (self.identity, self.entries, self.left_out) == (
            earlier.identity,
            earlier.entries,
            earlier.left_out,
        )


def set_digest(digests: Mapping[Key, bytes]) -> str:
    """SHA-256, in hex, of a whole set of keys and values."""
    # As bytes: tuples take four times as long to sort. The order is the same, since no id holds a \0.
    parts = [f"{key_type}\0{key_id}\0".encode() + digest for (key_type, key_id), digest in digests.items()]
    parts.sort()
    return sha256(b"".join(parts)).hexdigest()


class ManifestStore:
    """The manifests of one host: `<state_dir>/manifests/company_<id>.json`."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "manifests"

    def load(self, company_id: str) -> Manifest | None:
        return _read(self._path(company_id))

    def load_next(self, company_id: str) -> Manifest | None:
        return _read(self._next(company_id))

    def prepare(self, manifest: Manifest) -> None:
        """Write `.next`, durable before the transfer commits."""
        make_folder(self._folder)
        replace_file(self._next(manifest.company_id), (json.dumps(line).encode() + b"\n" for line in _lines(manifest)))

    def commit(self, company_id: str) -> None:
        os.replace(self._next(company_id), self._path(company_id))
        sync_folder(self._folder)

    def discard(self, company_id: str) -> None:
        remove(self._next(company_id))

    def placing(self, company_id: str, digests: Mapping[Key, bytes]) -> None:
        """Say, before it is done, what files are about to hold: a run that is cut off leaves some of them so.

        `digests`: of the new values; b"" for a file that goes.
        """
        keys = [(*key, digest.hex()) for key, digest in digests.items()]
        json_lines.append(self._placing(company_id), {"keys": keys})

    def placed(self, company_id: str) -> set[tuple[Key, bytes]]:
        """What runs that were cut off may have made of files since the last transfer, as `placing` was told."""
        said = (line.get("keys", ()) for line in json_lines.read(self._placing(company_id)))
        return {(Key(key_type, key_id), bytes.fromhex(digest)) for key_type, key_id, digest in chain(*said)}

    def forget_placed(self, company_id: str) -> None:
        """The transfer is whole: its manifest says what the files hold."""
        remove(self._placing(company_id))

    def _path(self, company_id: str) -> Path:
        return self._folder / f"company_{company_id}.json"

    def _next(self, company_id: str) -> Path:
        return self._folder / f"company_{company_id}.json.next"

    def _placing(self, company_id: str) -> Path:
        return self._folder / f"company_{company_id}.placing.jsonl"


def _lines(manifest: Manifest) -> Iterator[Any]:
    yield {
        "format": FORMAT,
        "company_id": manifest.company_id,
        "made_at": manifest.made_at,
        "identity": manifest.identity,
        "entries": len(manifest.entries),
        "left_out": len(manifest.left_out),
        "lid_mapping_ttl": manifest.lid_mapping_ttl,
    }
    everything = chain(manifest.entries.items(), manifest.left_out.items())
    while part := list(islice(everything, _LINE)):
        yield [(*key, entry.digest.hex(), entry.signature, entry.partner, entry.expires_at) for key, entry in part]


def _read(path: Path) -> Manifest | None:
    """The manifest at `path`; None where there is none, or none that is whole (then nothing relies on it)."""
    try:
        return _read_once(path, Signature.of(path.stat()))
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1)  # what is read before the app is stopped need not be read while it is
def _read_once(path: Path, _signature: Signature) -> Manifest | None:
    pairs: list[tuple[Key, Entry]] = []
    types: dict[str, str] = {}
    try:
        with path.open("rb") as lines:
            head = json.loads(next(lines))
            for line in lines:
                pairs += [
                    (
                        Key(types.setdefault(key_type, key_type), key_id),
                        Entry(bytes.fromhex(digest), Signature(*signature) if signature else None, partner, expires_at),
                    )
                    for key_type, key_id, digest, signature, partner, expires_at in json.loads(line)
                ]
        if head["format"] != FORMAT or len(pairs) != head["entries"] + head["left_out"]:
            return None
        entries, left_out = dict(pairs[: head["entries"]]), dict(pairs[head["entries"] :])
        about = (head[name] for name in ("company_id", "made_at", "identity"))
        return Manifest(*about, entries, left_out, head.get("lid_mapping_ttl"))
    except (FileNotFoundError, StopIteration, ValueError, KeyError, TypeError):
        return None
