"""Auth states for the tests, written the way Baileys writes them: every key type, no real person's number."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from pathlib import Path
from typing import Any

OWN_NUMBER = "79990000001"
APP_STATE_KEY = "AAA/AK+/"
_DAY = 86_400


def _buffer(source: random.Random, size: int) -> dict[str, str]:
    return {"type": "Buffer", "data": base64.b64encode(source.randbytes(size)).decode()}


def _pair(source: random.Random) -> dict[str, Any]:
    return {"private": _buffer(source, 32), "public": _buffer(source, 33)}


def _session(source: random.Random) -> dict[str, Any]:
    chains = {
        base64.b64encode(source.randbytes(33)).decode(): {
            "chainKey": {"counter": source.randrange(50), "key": base64.b64encode(source.randbytes(32)).decode()},
            "chainType": number,
            "messageKeys": {},
        }
        for number in (1, 2)
    }
    name = base64.b64encode(source.randbytes(33)).decode()
    ratchet = {"registrationId": source.randrange(1 << 14), "currentRatchet": {"previousCounter": 0}, "_chains": chains}
    return {"_sessions": {name: ratchet}, "version": "v1"}


def write(path: Path, key: str, value: Any, age_days: float = 0.0) -> Path:
    """One file as useMultiFileAuthState writes it. `key`: `<type>-<id>`, not yet encoded."""
    file = path / (key.replace("/", "__").replace(":", "-") + ".json")
    file.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    if age_days:
        then = time.time() - age_days * _DAY
        os.utime(file, (then, then))
    return file


def make(path: Path, files: int = 337, *, seed: int = 1, number: str = OWN_NUMBER) -> Path:
    """A company's folder of exactly `files` files: every key type, most of the rest old lid-mappings."""
    source = random.Random(f"{seed}/{number}")
    path.mkdir(parents=True, mode=0o700)
    creds = {
        "noiseKey": _pair(source),
        "signedIdentityKey": _pair(source),
        "signedPreKey": {"keyPair": _pair(source), "signature": _buffer(source, 64), "keyId": 1},
        "registrationId": source.randrange(1, 1 << 14),
        "advSecretKey": base64.b64encode(source.randbytes(32)).decode(),
        "nextPreKeyId": 11,
        "firstUnuploadedPreKeyId": 11,
        "me": {"id": f"{number}:5@s.whatsapp.net", "name": "Салон 💇", "lid": "222222222222222:5@lid"},
        "account": {"details": _buffer(source, 12)},
        "lastAccountSyncTimestamp": 1763780400,
        "myAppStateKeyId": APP_STATE_KEY,
    }
    write(path, "creds", creds)
    keys: dict[str, Any] = {f"pre-key-{number}": _pair(source) for number in range(1, 11)}
    users = [f"7900{source.randrange(10**7):07d}" for _ in range(4)]
    for place, user in enumerate(users):
        lid = f"10276571{place:07d}"
        keys[f"session-{lid}_1.{place}"] = _session(source)
        keys[f"identity-key-{lid}_1.{place}"] = _buffer(source, 33)
        keys[f"lid-mapping-{user}"] = lid
        keys[f"lid-mapping-{lid}_reverse"] = user
        keys[f"device-list-{user}"] = ["0", str(place + 1)]
        keys[f"tctoken-{lid}@lid"] = {"token": _buffer(source, 16), "timestamp": "1763780400"}
    keys[f"session-{users[0]}.0"] = _session(source)
    keys["session-102765710000000_128.99"] = _session(source)
    jids = [f"10276571{place:07d}@lid" for place in range(4)]
    index = base64.b64encode(json.dumps(jids).encode()).decode()
    keys["tctoken-__index"] = {"token": {"type": "Buffer", "data": index}}
    for group in ("120363041234567890@g.us", "79001234567-1612345678@g.us", "status@broadcast"):
        keys[f"sender-key-{group}::{users[0]}::0"] = _buffer(source, 80)
        keys[f"sender-key-{group}::102765710000000_1::12"] = [{"senderKeyId": 7, "senderChainKey": {"iteration": 3}}]
        keys[f"sender-key-memory-{group}"] = {f"{users[0]}@s.whatsapp.net": True}
    for key_id in (APP_STATE_KEY, "AAAAAK6J"):
        data = base64.b64encode(source.randbytes(32)).decode()
        keys[f"app-state-sync-key-{key_id}"] = {"keyData": data, "timestamp": 1}
    for name in ("critical_block", "critical_unblock_low", "regular", "regular_high", "regular_low"):
        hashes = {base64.b64encode(source.randbytes(32)).decode(): {"valueMac": _buffer(source, 32)}}
        keys[f"app-state-sync-version-{name}"] = {"version": 3, "hash": _buffer(source, 128), "indexValueMap": hashes}
    for key, value in keys.items():
        write(path, key, value)
    place = 0
    while len(keys) + 1 < files:
        number_, lid = f"7911{place:07d}", f"1999{place:011d}"
        for key, value in ((f"lid-mapping-{number_}", lid), (f"lid-mapping-{lid}_reverse", number_)):
            if len(keys) + 1 < files:
                keys[key] = value
                write(path, key, value, age_days=30 if place % 10 else 2)
        place += 1
    return path
