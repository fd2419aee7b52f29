"""A value of an auth state in one canonical form, the same for a file and for a jsonb column.

The canonical form is the text that PostgreSQL prints for the jsonb: object keys ordered by length, then
bytewise, the last of two equal keys kept, `", "` and `": "` between. So the digest of a file is computed here
and that of a row by the server (`sha256(convert_to(value::text, 'UTF8'))`), and they are equal exactly when
the values are. Bytes are brought to the one form that every Baileys revives, base64 (BufferJSON).
"""

from __future__ import annotations

import base64
import json
import math
import re
from decimal import Decimal
from hashlib import sha256
from typing import Any

# What a value looks like by its first character, for the types that have one shape (FACTS: Baileys' Auth.ts).
_SHAPES = {
    "creds": "{",
    "pre-key": "{",
    "session": "{",  # older versions: a Buffer, an object too
    "sender-key": "{[",  # a Buffer, or the array of its states
    "sender-key-memory": "{",
    "app-state-sync-key": "{",
    "app-state-sync-version": "{",
    "lid-mapping": '"',
    "device-list": "[",
    "tctoken": "{",
    "identity-key": "{",
    "contacts-tc-token": "{",
}
_SHAPE_WORDS = {"{": "an object", "[": "an array", '"': "a string"}
_SAFE_DIGITS = 15  # every integer of up to 15 digits is exact in JavaScript


class ValueRefusedError(ValueError):
    """Why a value cannot be moved exactly; the message never quotes the value."""


class TornError(ValueRefusedError):
    """No JSON, or not all of it: a file that was half written, perhaps at this very moment."""


def canonical(data: bytes, key_type: str) -> bytes:
    """The canonical UTF-8 text of one JSON value as Baileys stores it.

    Raises TornError when it is no complete JSON, ValueRefusedError when jsonb or JavaScript would change it, or when
    it is not the shape that Baileys gives this type.
    """
    try:
        try:
            text = _render(data.decode("utf-8"), _SPACED)
        except ValueRefusedError:
            json.loads(data)  # a number or a Buffer that was cut is no value to refuse: it is a torn file
            raise
    except UnicodeDecodeError:
        raise TornError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise TornError("it is empty" if not data.strip(b" \t\r\n\0") else f"it is no JSON ({error.msg})") from None
    except RecursionError:
        raise ValueRefusedError("it is nested too deeply") from None
    if "\\u0000" in text and _NUL.search(text):
        raise ValueRefusedError("it holds the character U+0000, which PostgreSQL's jsonb refuses")
    shape = _SHAPES.get(key_type)
    if shape is not None and text[0] not in shape:
        wanted = " or ".join(_SHAPE_WORDS[mark] for mark in shape)
        raise ValueRefusedError(f"a {key_type} must be {wanted}")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueRefusedError(
            "it holds half of a surrogate pair (a cut emoji), which PostgreSQL's jsonb refuses"
        ) from None


def digest(canonical_text: bytes) -> bytes:
    """The 32 bytes that two equal values share."""
    return sha256(canonical_text).digest()


def digest_of(text: bytes, key_type: str) -> bytes | None:
    """The digest of any spelling of a value; None for what is none."""
    try:
        return digest(canonical(text, key_type))
    except ValueRefusedError:
        return None


def load(canonical_text: bytes) -> Any:
    """The value itself, bytes still in their BufferJSON form."""
    return json.loads(canonical_text)


def to_file(canonical_text: bytes) -> bytes:
    """The value as JSON.stringify would write it: no spaces. Raises nothing on a canonical text."""
    return _render(canonical_text.decode("utf-8"), _COMPACT).encode("utf-8")


def _render(text: str, separators: tuple[str, str]) -> str:
    """One JSON text from another, in canonical order."""
    if _PLAIN_STRING.fullmatch(text):  # every lid-mapping
        return text
    try:
        value = _DECODER.decode(text)
    except _FractionFoundError:
        return _render_value(_FRACTION_DECODER.decode(text), separators)
    return (_SPACED_ENCODER if separators is _SPACED else _COMPACT_ENCODER).encode(value)


def _render_value(value: Any, separators: tuple[str, str]) -> str:
    """What the encoder in C cannot do: print a number the way PostgreSQL's numeric does."""
    item, colon = separators
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        members = (
            f"{_COMPACT_ENCODER.encode(name)}{colon}{_render_value(child, separators)}" for name, child in value.items()
        )
        return f"{{{item.join(members)}}}"
    if isinstance(value, list):
        return f"[{item.join(_render_value(child, separators) for child in value)}]"
    return _COMPACT_ENCODER.encode(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == 1:
        return found
    if found.get("type") == "Buffer" and isinstance(found.get("data"), list):
        found["data"] = _base64(found["data"])
    # By length, then bytewise, which for UTF-8 is by code point. Two sorts without a call of Python for each name.
    names = sorted(found)
    names.sort(key=len if "".join(names).isascii() else _byte_length)
    return {name: found[name] for name in names}


def _byte_length(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _base64(numbers: list[Any]) -> str:
    try:
        return base64.b64encode(bytes(numbers)).decode("ascii")
    except (TypeError, ValueError):
        raise ValueRefusedError("it holds a Buffer whose data are no bytes") from None


def _integer(text: str) -> int:
    if len(text) <= _SAFE_DIGITS and text != "-0":
        return int(text)
    return int(_exact(text, float(text)))


def _fraction_found(text: str) -> Any:
    raise _FractionFoundError


def _fraction(text: str) -> Decimal:
    """1.50 is 1.5, and 1e21 is 1000000000000000000000: the same number to JavaScript, one text here."""
    return _exact(text, float(text)).normalize()


def _exact(text: str, number: float) -> Decimal:
    """The number, when JavaScript's double, printed the shortest way, is still the same number."""
    if not math.isfinite(number) or (text.startswith("-0") and number == 0):
        raise ValueRefusedError("it holds a number that JavaScript or PostgreSQL's jsonb would change")
    decimal = Decimal(text)
    if Decimal(float.__repr__(number)) != decimal:
        raise ValueRefusedError("it holds a number that JavaScript or PostgreSQL's jsonb would change")
    return decimal


def _no_constant(text: str) -> Any:
    raise TornError(f"it is no JSON ({text} is no JSON value)")


class _FractionFoundError(Exception):
    """A number with a fraction or an exponent: rare, and not for the encoder in C."""


# In JSON text, `\\u0000` behind an even number of backslashes is the character; else it is six letters.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_PLAIN_STRING = re.compile(r'"[ !#-\[\]-~]*"')  # with nothing to escape
_SPACED, _COMPACT = (", ", ": "), (",", ":")
_SPACED_ENCODER, _COMPACT_ENCODER = (
    json.JSONEncoder(ensure_ascii=False, separators=separators, check_circular=False)
    for separators in (_SPACED, _COMPACT)
)
_DECODER, _FRACTION_DECODER = (
    json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_integer, parse_float=parse_float, parse_constant=_no_constant
    )
    for parse_float in (_fraction_found, _fraction)
)
