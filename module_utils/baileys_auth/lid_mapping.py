"""The TTL rule: which lid-mappings move, and until when they live.

A lid-mapping pairs a phone number's user (`79686484488`) with a LID (`102765716062358`), in two files:
`lid-mapping-<pn>` holds the LID, `lid-mapping-<lid>_reverse` the number. Baileys writes a pair once, so its
mtime says when it was learnt. Pairs of users without a session live `ttl` seconds from then; the mapping of a
user who has a session must live as long as the session, which is stored under the LID and found through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .names import LID_MAPPING, Key

_REVERSE = "_reverse"
_SESSION = "session"


@dataclass(frozen=True)
class Learnt:
    """One lid-mapping file: the user its value names, and its mtime in nanoseconds."""

    partner: str
    mtime_ns: int


@dataclass(frozen=True)
class Verdict:
    """`aged`: past its TTL. `expires_at`: seconds since the epoch, None for never."""

    aged: bool
    expires_at: float | None


def asked_of(keys: Iterable[Key]) -> set[Key]:
    """Those of the keys that the rule looks at."""
    return {key for key in keys if key.type in (LID_MAPPING, _SESSION)}


def session_users(keys: Iterable[Key]) -> set[str]:
    """The users (`79686484488`, `102765716062358`) who have a session: ids are `<user>[_<domain>].<device>`."""
    return {key.id.partition(".")[0].partition("_")[0] for key in keys if key.type == _SESSION}


def judge(mappings: Mapping[str, Learnt], users: set[str], now: float, ttl: float) -> dict[str, Verdict]:
    """The verdict on each lid-mapping id; both halves of a pair get the same. `ttl` 0: all live for ever."""
    verdicts: dict[str, Verdict] = {}
    for key_id, mapping in mappings.items():
        other_id, members = _partner_id(key_id, mapping.partner), [mapping]
        other = mappings.get(other_id)
        if other is not None and _partner_id(other_id, other.partner) == key_id:
            members.append(other)
        if ttl <= 0 or key_id.removesuffix(_REVERSE) in users or mapping.partner in users:
            verdicts[key_id] = Verdict(aged=False, expires_at=None)
            continue
        expires_at = max(member.mtime_ns for member in members) / 1e9 + ttl
        verdicts[key_id] = Verdict(aged=expires_at <= now, expires_at=expires_at)
    return verdicts


def _partner_id(key_id: str, partner: str) -> str:
    return partner if key_id.endswith(_REVERSE) else f"{partner}{_REVERSE}"


def unpaired(mappings: Mapping[str, str]) -> list[str]:
    """The ids whose other half is missing or names somebody else. `mappings`: id -> the user it names."""
    return sorted(
        key_id
        for key_id, partner in mappings.items()
        if mappings.get(_partner_id(key_id, partner)) != key_id.removesuffix(_REVERSE)
    )
