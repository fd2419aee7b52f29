"""Who a login is to WhatsApp: if this changes, the phone must be paired again."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def identity_digest(creds: dict[str, Any]) -> str:
    """SHA-256, in hex, of registrationId, the public identity key and the account's own jid.

    The bot's health endpoint computes the same: JSON.stringify([registrationId, base64, me.id ?? null]).
    Raises ValueError when the creds are not those of a login.
    """
    try:
        public = creds["signedIdentityKey"]["public"]["data"]
        parts = [creds["registrationId"], public, account(creds)]
    except (KeyError, TypeError):
        raise ValueError("it has no registrationId or no signedIdentityKey") from None
    if not isinstance(parts[0], int) or not isinstance(public, str) or not public:
        raise ValueError("its registrationId is no number, or its signedIdentityKey no key")
    return sha256(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8")).hexdigest()


def account(creds: dict[str, Any]) -> str | None:
    """`creds.me.id`, the account's own jid; None before the phone was paired."""
    me = creds.get("me")
    jid = me.get("id") if isinstance(me, dict) else None
    return jid if isinstance(jid, str) else None
