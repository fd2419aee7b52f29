"""The ledger of monitor passes: one JSON line for each, sealed by a key that only the controller holds. Pure.

`<app>/.auth-state/ledger.jsonl` lies on the target, so whoever rules the target can write into it. Each entry
therefore carries an HMAC-SHA256 of itself, the digest of the line before it, and its number; the controller keeps an
anchor, which is the number and the digest of the newest line. That finds an entry that was edited, forged, removed,
moved or added, the newest ones included, and a ledger that was put in the place of another host's.

It does not find a target that lies when it is looked at, nor anything done with the key itself. Where the anchor is
lost, removed newest entries cannot be told from entries that never were; the ledger says where (`adopted`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ..node_host.problems import Problem

Entry = dict[str, Any]
NEW = (
    "begin a new ledger; the old one is kept beside it, and the seven days begin anew: ansible-playbook monitor.yml"
    " -e monitor_new_ledger=true"
)
RENEW = f"Find out who changed it; then {NEW}"


@dataclass(frozen=True)
class Anchor:
    """What the controller knows of the newest line. `pending`: one that was sealed, and may not have been written."""

    count: int = 0
    last: str = ""
    pending: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Chain:
    """A ledger as it was read. `size`: of the file; `keep`: of its whole lines, less what a torn write left."""

    entries: list[Entry] = field(default_factory=list)
    last: str = ""
    count: int = 0
    size: int = 0
    keep: int = 0
    faults: list[Problem] = field(default_factory=list)


def canonical(entry: Entry) -> bytes:
    """The one spelling of an entry: what is sealed, and what stands in the file."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def seal(entry: Entry, key: bytes, chain: Chain) -> str:
    """The line that follows this chain."""
    linked = {**entry, "number": chain.count + 1, "previous": chain.last}
    return canonical({**linked, "seal": _seal(linked, key)}).decode("ascii")


def digest(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8")).hexdigest()


def read(text: str, key: bytes, host: str, anchor: Anchor | None, where: str) -> Chain:
    """The ledger, and all that is wrong with it. `anchor`: None where the controller has never seen this host's.

    `text`: a character for each byte of the file, as `observe.read_ledger` reads it.
    """
    whole, _, torn = text.rpartition("\n")
    lines = whole.split("\n") if whole else []
    chain = Chain(size=len(text), keep=len(text) - len(torn))
    if torn and not (anchor and anchor.pending and anchor.pending.startswith(torn)):
        # Not what a write of ours left when it was cut off: kept, as a line like any other.
        lines.append(torn)
        chain.keep = chain.size
    at = ""
    for number, line in enumerate(lines, 1):
        entry = _parse(line)
        fault = _fault(entry, line, key, number, chain.last, host, at)
        if fault:
            chain.faults.append(Problem(fault[0], f"{where}, line {number}", fault[1], RENEW))
        else:
            assert entry is not None
            at = entry["at"]
            chain.entries.append(entry)
        chain.last, chain.count = digest(line), number
    if anchor is not None:
        chain.faults += _missing(chain, anchor, where)
    return chain


def _fault(
    entry: Entry | None, line: str, key: bytes, number: int, previous: str, host: str, at: str
) -> tuple[str, str] | None:
    """(code, what is wrong) with one line, or None."""
    if entry is None:
        return "ledger_no_entry", "it is no entry of the ledger"
    bare = {name: value for name, value in entry.items() if name != "seal"}
    if not hmac.compare_digest(str(entry.get("seal", "")), _seal(bare, key)) or canonical(entry).decode() != line:
        return "ledger_edited", "its seal does not fit: it was edited, or written without the controller's key"
    if entry["host"] != host:
        return "ledger_of_another_host", f"it was sealed for host {entry['host']}"
    if entry["number"] != number or entry["previous"] != previous:
        return "ledger_chain", "it does not follow the line before it: entries were removed, moved or added"
    if entry["at"] < at:
        return "ledger_order", "it is older than the entry before it: a clock was set back"
    return None


def _missing(chain: Chain, anchor: Anchor, where: str) -> list[Problem]:
    """Whether the newest line is the one that the controller wrote last."""
    if chain.last == anchor.last or (anchor.pending is not None and chain.last == digest(anchor.pending)):
        return []
    if chain.count == 0:
        what = f"it is gone, or empty; it had {anchor.count} entries"
    elif chain.count < anchor.count:
        what = f"its newest entries were removed: it has {chain.count}, and had {anchor.count}"
    else:
        what = "its newest entry is not the one that was written last"
    return [
        Problem(
            "ledger_truncated",
            where,
            what,
            "Find out who changed it. The next pass goes on from here, and the seven days begin anew",
        )
    ]


def _parse(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    wanted = {"number": int, "previous": str, "at": str, "host": str, "seal": str}
    if not isinstance(entry, dict) or any(not isinstance(entry.get(name), kind) for name, kind in wanted.items()):
        return None
    return entry


def _seal(entry: Entry, key: bytes) -> str:
    return hmac.new(key, canonical(entry), hashlib.sha256).hexdigest()
