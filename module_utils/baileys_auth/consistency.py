"""What usually holds in a healthy login; Baileys repairs or tolerates most of the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any

from . import lid_mapping
from .names import LID_MAPPING, Key

# Types of which a login never loses all; a lid-mapping has a TTL, and the others come and go.
LASTING = ("session", "pre-key", "app-state-sync-key")
TC_TOKEN_INDEX = Key("tctoken", "__index")


def errors(creds: Mapping[str, Any], keys: Collection[Key]) -> list[str]:
    """What makes the login unusable."""
    app_state_key = creds.get("myAppStateKeyId")
    if app_state_key and Key("app-state-sync-key", str(app_state_key)) not in keys:
        return ["creds.myAppStateKeyId names an app-state-sync-key that is not there"]
    return []


def gone(before: Collection[Key], now: Collection[Key]) -> list[str]:
    """The lasting types of which there were keys, and are none any more."""
    had, have = {key.type for key in before}, {key.type for key in now}
    return [key_type for key_type in LASTING if key_type in had - have]


def warnings(
    creds: Mapping[str, Any], keys: Collection[Key], mappings: Mapping[str, str], tc_token_index: Any
) -> list[str]:
    """What Baileys repairs or tolerates. `mappings`: lid-mapping id -> the user it names."""
    found = []
    next_pre_key = creds.get("nextPreKeyId")
    if isinstance(next_pre_key, int) and next_pre_key > 1 and Key("pre-key", str(next_pre_key - 1)) not in keys:
        found.append("the newest pre-key (creds.nextPreKeyId - 1) is missing; Baileys uploads new ones")
    halves = len(lid_mapping.unpaired(mappings))
    if halves:
        found.append(
            f"{halves} of {len(mappings)} {LID_MAPPING}s have no other half; Baileys asks WhatsApp for those again"
        )
    tokens = missing_tc_tokens(tc_token_index, keys)
    if tokens:
        found.append(f"{tokens} jid(s) of the tctoken index have no tctoken; Baileys gets new ones")
    return found


def missing_tc_tokens(index: Any, keys: Collection[Key]) -> int:
    """How many jids of the tctoken index have no tctoken.

    `index`: the value of `tctoken-__index`, {"token": a Buffer of a JSON list of jids} (Baileys' tc-token-utils).
    """
    try:
        jids = json.loads(base64.b64decode(index["token"]["data"]))
    except (KeyError, TypeError, ValueError):
        jids = None
    if not isinstance(jids, list):
        return 0  # Baileys reads a broken index as an empty one and writes it anew
    return sum(1 for jid in jids if isinstance(jid, str) and Key(TC_TOKEN_INDEX.type, jid) not in keys)
