"""Make a text fit to be shown: phone numbers shortened, secrets and key material replaced.

One expression: what has to stay readable (dates, digests, UUIDs) comes before what is
masked, so that a rule never sees the inside of a match of another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"

# The order counts: the first alternative that matches at a place wins.
_RULES = re.compile(
    r"""
    (?P<dsn>\b(?:postgres(?:ql)?|rediss?)://[^\s'"<>]+)                     # a whole connection URL
  | (?P<userinfo>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@'"<>]*@                  # user:password@ of any other URL
  | (?P<bearer>\bBearer\s+)[^\s'",;]{8,}
  | (?P<named>\b(?:[\w-]{0,40}(?:password|passwd|secret|token|api_?key|supabase_key|service_key))
        ["']?\s*[=:]\s*["']?)[^\s"',;&]+
  | (?P<jwt>\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)
  | (?P<buffer><Buffer(?:\ [0-9a-f]{2})+[^<>]*>)                           # how Node prints bytes
  | (?P<array>\[\s*(?:[0-9]{1,3}\s*,\s*){15,}[0-9]{1,3}\s*\])                # bytes as a JSON array
  | (?P<keep>
        (?<![0-9A-Za-z])company[_ ][0-9]{1,9}(?![0-9])                                 # shorter than a phone's
      | (?<![0-9A-Za-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9A-Za-z])       # UUID
      | (?<![0-9A-Za-z])(?=[0-9]*[a-f])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9A-Za-z])      # SHA-256, commit
      | (?<![0-9A-Za-z])(?![a-f]{0,2}[0-9]{10})[0-9a-f]{12}(?![0-9A-Za-z])                 # their first 12 digits
      | (?<![0-9])(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]
            (?:[T\ ][0-2][0-9]:[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,9})?)?)?(?![0-9])  # ISO date and time
      | (?<![0-9])20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])
            (?:T?(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2})?(?![0-9])                        # compact date and time
    )
  | (?P<base64>(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{22,}={1,2} | (?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,})
  | (?P<base64url>(?<![\w-])[\w-]{43}=?(?![\w-]))                           # exactly 32 bytes: a key
  | (?P<written>(?<![0-9])(?:
        \+[0-9](?:[ ().-]{0,2}[0-9]){6,14}                                  # +7 (968) 648-44-88
      | [78][ -]?\(?[0-9]{3}\)?[ -]?[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{2}       # 8 968 648-44-88
    )(?![0-9]))
  | (?P<digits>(?<![0-9])[0-9]{7,20}(?![0-9]))
    """,
    re.VERBOSE | re.IGNORECASE,
)


def mask_number(digits: str) -> str:
    """``79686484488`` → ``7968***4488``; at least three digits are always hidden, so short ones keep fewer."""
    keep = min(4, (len(digits) - 3) // 2)
    return f"{digits[:keep]}{HIDDEN}{digits[-keep:]}"


def _looks_random(run: str) -> bool:
    """Base64 of random bytes mixes upper case, lower case and digits; a path or a word does not."""
    upper = sum(char.isupper() for char in run)
    lower = sum(char.islower() for char in run)
    return min(upper, lower) >= len(run) / 10 and any(char.isdigit() or char in "+=" for char in run)


def _replace(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match.group()
    if kind == "keep":
        return text
    if kind == "dsn":
        return f"{text.partition('://')[0]}://{HIDDEN}"
    if kind == "userinfo":
        return f"{match['userinfo']}{HIDDEN}@"
    if kind in ("named", "bearer"):
        return match[kind] + HIDDEN
    if kind == "jwt":
        return "<token>"
    if kind == "buffer":
        return "<bytes>"
    if kind == "array":
        return f"<{text.count(',') + 1} bytes>"
    if kind in ("base64", "base64url"):
        if _looks_random(text):
            return f"<base64 {len(text.rstrip('=')) * 3 // 4} bytes>"
        return re.sub(r"(?<![0-9])[0-9]{7,20}(?![0-9])", lambda run: mask_number(run.group()), text)
    prefix = "+" if text.startswith("+") else ""
    return prefix + mask_number("".join(char for char in text if char.isdigit()))


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask phone numbers (in JIDs and file names too), connection URLs, tokens, and what looks like key bytes.

    Company ids (up to 6 digits; up to 9 behind their word), ports, ISO dates and times, SHA-256 digests, commits and
    UUIDs stay.
    ``secrets`` are values known to the caller; they are replaced first, wherever they occur.
    Masking what is masked already changes nothing.
    """
    shown = mask_secrets(text, secrets)
    # Of two numbers side by side the first match may take the beginning of the second: again, until nothing is found.
    while (masked := _RULES.sub(_replace, shown)) != shown:
        shown = masked
    return shown


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Replace each known secret by ``***``. Values under 4 characters are left: they would hit innocent text."""
    for secret in sorted({value for value in secrets if value and len(value) >= 4}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def mask_value(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Mask every string, keys of dicts included, of a structure made of dicts, lists and scalars."""
    known = list(secrets)
    if isinstance(value, str):
        return mask(value, known)
    if isinstance(value, dict):
        return {mask_value(key, known): mask_value(item, known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_value(item, known) for item in value]
    return value
