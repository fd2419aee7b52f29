"""Logins of any size for the benchmark, in Baileys' own files: what years of use leave, no real person's number.

Every lid-mapping is of a user who has a session, so that every key of the login moves and all ways move the same.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Shares of a login's files; what is left over are pre-keys, of which WhatsApp asks for 812 at once.
_SESSIONS, _MAPPINGS, _IDENTITY_KEYS, _DEVICE_LISTS, _TC_TOKENS, _SENDER_KEYS = 0.30, 0.40, 0.10, 0.08, 0.04, 0.06
_APP_STATE_KEY = "AAA/AK+/"
_CREATED = 1_763_780_400_000  # a time in milliseconds, as sessions hold it


@dataclass(frozen=True)
class Login:
    """One company's folder, and the same keys as lines of COPY: creds apart, since they are a table of their own."""

    company: str
    folder: Path
    files: int
    bytes: int
    creds_rows: Path
    keys_rows: Path
    sessions: list[Path]


def make(sessions_dir: Path, rows_dir: Path, company: str, files: int) -> Login:
    """A login of exactly `files` files."""
    source = random.Random(company)
    folder = sessions_dir / f"company_{company}"
    folder.mkdir(parents=True, mode=0o700)
    rows_dir.mkdir(parents=True, exist_ok=True)
    creds_rows, keys_rows = (rows_dir / f"{company}.{table}" for table in ("creds", "keys"))
    creds = _dump(_creds(source, company))
    (folder / "creds.json").write_bytes(creds)
    creds_rows.write_bytes(b"\t".join([company.encode(), _escape(creds)]) + b"\n")
    count, size, sessions = 1, len(creds), []
    with keys_rows.open("wb") as rows:
        for key_type, key_id, value in _keys(source, files - 1):
            data = _dump(value)
            path = folder / f"{key_type}-{key_id}.json".replace("/", "__").replace(":", "-")
            path.write_bytes(data)
            rows.write(b"\t".join([company.encode(), key_type.encode(), key_id.encode(), _escape(data)]) + b"\n")
            count, size = count + 1, size + len(data)
            if key_type == "session":
                sessions.append(path)
    assert count == files == sum(1 for _ in folder.iterdir())
    return Login(company, folder, files, size, creds_rows, keys_rows, sessions)


def change(login: Login, number: int, seed: int) -> None:
    """Write so many of its sessions anew, in place, as Baileys does after each message."""
    source = random.Random(seed)
    for path in source.sample(login.sessions, min(number, len(login.sessions))):
        path.write_bytes(_dump(_session(source)))


def _keys(source: random.Random, number: int) -> Iterator[tuple[str, str, Any]]:
    for key_id in (_APP_STATE_KEY, "AAAAAK6J"):
        yield "app-state-sync-key", key_id, {"keyData": _text(source, 32), "timestamp": "1763780400"}
    for key_id in ("critical_block", "critical_unblock_low", "regular", "regular_high", "regular_low"):
        macs = {_text(source, 32): {"valueMac": _buffer(source, 32)} for _ in range(20)}
        yield "app-state-sync-version", key_id, {"version": 3, "hash": _buffer(source, 128), "indexValueMap": macs}
    number -= 7
    pairs = round(number * _MAPPINGS / 2)
    phones, lids = [f"7900{place:07d}" for place in range(pairs)], [f"1027{place:011d}" for place in range(pairs)]
    for phone, lid in zip(phones, lids, strict=True):
        yield "lid-mapping", phone, lid
        yield "lid-mapping", f"{lid}_reverse", phone
    amount = {share: round(number * share) for share in (_SESSIONS, _IDENTITY_KEYS, _DEVICE_LISTS, _TC_TOKENS)}
    for place in range(amount[_SESSIONS]):  # first one of each user, then their second devices
        yield "session", f"{lids[place % pairs]}_1.{place // pairs}", _session(source)
    for place in range(amount[_IDENTITY_KEYS]):
        yield "identity-key", f"{lids[place]}_1.0", _buffer(source, 33)
    for place in range(amount[_DEVICE_LISTS]):
        yield "device-list", phones[place], ["0", "12"]
    for place in range(amount[_TC_TOKENS]):
        yield "tctoken", f"{lids[place]}@lid", {"token": _buffer(source, 20), "timestamp": "1763780400"}
    number -= 2 * pairs + sum(amount.values())
    pre_keys = min(812, number // 2)
    for key_id in range(1, pre_keys + 1):
        yield "pre-key", str(key_id), _pair(source)
    number -= pre_keys
    for place in range(number):  # a group has one memory, and a sender key for each of its members
        group = f"12036304{place // 20:010d}@g.us"
        if place % 20 == 0:
            yield "sender-key-memory", group, {f"{phone}@s.whatsapp.net": True for phone in phones[:10]}
        else:
            yield "sender-key", f"{group}::{lids[place % pairs]}_1::{place % 20}", _buffer(source, 580)


def _creds(source: random.Random, company: str) -> dict[str, Any]:
    return {
        "noiseKey": _pair(source),
        "pairingEphemeralKeyPair": _pair(source),
        "signedIdentityKey": _pair(source),
        "signedPreKey": {"keyPair": _pair(source), "signature": _buffer(source, 64), "keyId": 1},
        "registrationId": source.randrange(1, 1 << 14),
        "advSecretKey": _text(source, 32),
        "nextPreKeyId": 1,
        "firstUnuploadedPreKeyId": 1,
        "me": {"id": f"7999{company}:5@s.whatsapp.net", "name": "Студия красоты", "lid": f"2222{company}:5@lid"},
        "account": {"details": _buffer(source, 12), "accountSignatureKey": _buffer(source, 32)},
        "registered": True,
        "platform": "android",
        "lastAccountSyncTimestamp": 1763780400,
        "myAppStateKeyId": _APP_STATE_KEY,
    }


def _session(source: random.Random) -> dict[str, Any]:
    base, ours = _text(source, 33), _text(source, 33)
    chains = {
        _text(source, 33): {"chainKey": {"counter": source.randrange(50)}, "chainType": 2, "messageKeys": {}}
        for _ in range(source.randrange(1, 5))
    }
    chains[ours] = {"chainKey": {"counter": -1, "key": _text(source, 32)}, "chainType": 1, "messageKeys": {}}
    ratchet = {
        "registrationId": source.randrange(1 << 14),
        "currentRatchet": {
            "ephemeralKeyPair": {"pubKey": ours, "privKey": _text(source, 32)},
            "lastRemoteEphemeralKey": _text(source, 33),
            "previousCounter": 0,
            "rootKey": _text(source, 32),
        },
        "indexInfo": {
            "baseKey": base,
            "baseKeyType": 2,
            "closed": -1,
            "used": _CREATED + source.randrange(10**9),
            "created": _CREATED,
            "remoteIdentityKey": _text(source, 33),
        },
        "_chains": chains,
    }
    return {"_sessions": {base: ratchet}, "version": "v1"}


def _pair(source: random.Random) -> dict[str, Any]:
    return {"private": _buffer(source, 32), "public": _buffer(source, 33)}


def _buffer(source: random.Random, size: int) -> dict[str, str]:
    return {"type": "Buffer", "data": _text(source, size)}


def _text(source: random.Random, size: int) -> str:
    return base64.b64encode(source.randbytes(size)).decode()


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _escape(data: bytes) -> bytes:
    return data.replace(b"\\", b"\\\\")
