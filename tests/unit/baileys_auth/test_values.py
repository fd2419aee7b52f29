"""The canonical form of a value. That it is PostgreSQL's own text is shown against the server (test_baileys_values)."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from ansible.module_utils.baileys_auth.values import TornError, ValueRefusedError, canonical, digest, load, to_file
from hypothesis import given
from hypothesis import strategies as st

FREE = "a type of its own"  # which has no shape that is looked at


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ('{"b":1,"a":2}', '{"a": 2, "b": 1}'),
        ('{"aa":1,"b":2,"":3}', '{"": 3, "b": 2, "aa": 1}'),  # by length first
        ('{"é":1,"zz":2,"z":3}', '{"z": 3, "zz": 2, "é": 1}'),  # by length in bytes
        ('{"a":1,"a":2}', '{"a": 2}'),  # as in JavaScript and jsonb, the last one counts
        ('{"a":1,"\\u0061":2}', '{"a": 2}'),
        (' [ 1 ,\n2 ] ', "[1, 2]"),
        ("{}", "{}"),
        ("[]", "[]"),
        ("null", "null"),
        ("[true,false,null]", "[true, false, null]"),
        ('"79686484488"', '"79686484488"'),
        ('"\\u0041\\/\\t\\u001f\\u007f"', '"A/\\t\\u001f\x7f"'),
        ('"\\ud83d\\udc87"', '"💇"'),
        ('"a\\\\u0000b"', '"a\\\\u0000b"'),  # six letters, not the character
        ("[1.50]", "[1.5]"),
        ("[1.0,1e2,1E+2,10.00]", "[1, 100, 100, 10]"),
        ("[1e21]", "[1000000000000000000000]"),
        ("[5e-324]", "[0." + "0" * 323 + "5]"),
        ("[0.1,-0.5,1e-7]", "[0.1, -0.5, 0.0000001]"),
        ("[9007199254740992]", "[9007199254740992]"),
        ("[-9007199254740991]", "[-9007199254740991]"),
        ('{"x":1.5,"b":{"a":[1.25,{"c":"d"}]}}', '{"b": {"a": [1.25, {"c": "d"}]}, "x": 1.5}'),
        # Bytes
        ('{"type":"Buffer","data":[1,2,255]}', '{"data": "AQL/", "type": "Buffer"}'),
        ('{"type":"Buffer","data":[]}', '{"data": "", "type": "Buffer"}'),
        ('{"type":"Buffer","data":"AQL/"}', '{"data": "AQL/", "type": "Buffer"}'),
        ('[{"a":{"data":[0],"type":"Buffer"}}]', '[{"a": {"data": "AA==", "type": "Buffer"}}]'),
        ('{"type":"Buffer"}', '{"type": "Buffer"}'),
        ('{"type":"buffer","data":[1,2]}', '{"data": [1, 2], "type": "buffer"}'),
        ('{"type":"Buffer","data":{"0":1}}', '{"data": {"0": 1}, "type": "Buffer"}'),
    ],
)  # fmt: skip
def test_canonical_form(given_: str, wanted: str) -> None:
    text = canonical(given_.encode(), FREE)
    assert text == wanted.encode()
    assert canonical(text, FREE) == text


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740993",
        "12345678901234567890",
        "0.1234567890123456789",
        "123456789.12345678901",
        "1e400",
        "-1e400",
        "1e-400",
        "-0",
        "-0.0",
        "-0e5",
    ],
)
@pytest.mark.parametrize("place", ["%s", "[%s]", '{"a":[1.5,%s]}'])
def test_numbers_that_would_change(text: str, place: str) -> None:
    with pytest.raises(ValueRefusedError, match="a number") as refused:
        canonical((place % text).encode(), FREE)
    assert text.lstrip("-") not in str(refused.value)


@pytest.mark.parametrize("text", ['"\\u0000"', '{"\\u0000":1}', '["a\\\\\\u0000"]', '{"a":1.5,"b":"\\u0000"}'])
def test_the_character_that_jsonb_refuses(text: str) -> None:
    with pytest.raises(ValueRefusedError, match=r"U\+0000"):
        canonical(text.encode(), FREE)


@pytest.mark.parametrize(
    "text", ['"\\ud83d"', '"\\udc87"', '"\\udc87\\ud83d"', '{"\\ud83d":1}', '{"\\ud83d":1,"b":1.5}']
)
def test_half_of_a_surrogate_pair(text: str) -> None:
    with pytest.raises(ValueRefusedError, match="surrogate"):
        canonical(text.encode(), FREE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\n",
        bytes(300),
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{",
        b'{"a":',
        b'{"a":1}x',
        b'"\n"',
        b'"\\x"',
        b"{'a':1}",
        b"[1,]",
        b"NaN",
        b"Infinity",
        b"[-Infinity]",
        b'{"a":1' + bytes(100),
        b"undefined",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"{1:2}",
        b'{"type":"Buffer","data":"AA',
    ],
)
def test_torn(data: bytes) -> None:
    with pytest.raises(TornError) as torn:
        canonical(data, FREE)
    assert str(torn.value)


def test_torn_says_empty() -> None:
    for data in (b"", b" \n", bytes(10)):
        with pytest.raises(TornError, match="empty"):
            canonical(data, FREE)


@pytest.mark.parametrize("numbers", ["[256]", "[-1]", "[1.5]", '["1"]', "[null]", "[[1]]"])
def test_buffers_that_hold_no_bytes(numbers: str) -> None:
    with pytest.raises(ValueRefusedError, match="no bytes"):
        canonical(f'{{"type":"Buffer","data":{numbers}}}'.encode(), FREE)


@pytest.mark.parametrize("mark", ["[", '{"a":'])
def test_deep_nesting_is_refused_or_goes_through(mark: str) -> None:
    close = {"[": "]", '{"a":': "}"}[mark]
    middle = "" if mark == "[" else "1"
    assert canonical((mark * 200 + middle + close * 200).encode(), FREE)
    with pytest.raises(ValueRefusedError, match="deeply"):
        canonical((mark * 200_000 + middle + close * 200_000).encode(), FREE)


OBJECT, ARRAY, STRING, BUFFER = b'{"a":1}', b"[1]", b'"text"', b'{"type":"Buffer","data":"AA=="}'
SHAPES = {
    "creds": [OBJECT],
    "pre-key": [OBJECT],
    "session": [OBJECT, BUFFER],
    "sender-key": [OBJECT, ARRAY, BUFFER],
    "sender-key-memory": [OBJECT],
    "app-state-sync-key": [OBJECT],
    "app-state-sync-version": [OBJECT],
    "lid-mapping": [STRING],
    "device-list": [ARRAY],
    "tctoken": [OBJECT],
    "identity-key": [OBJECT, BUFFER],
    "contacts-tc-token": [OBJECT],
}


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_shapes(kind: str) -> None:
    for value in (OBJECT, ARRAY, STRING, BUFFER, b"1", b"null", b"true"):
        fits = value in SHAPES[kind] or (value == BUFFER and OBJECT in SHAPES[kind])
        if fits:
            canonical(value, kind)
        else:
            with pytest.raises(ValueRefusedError, match=f"a {kind} must be"):
                canonical(value, kind)


def test_every_type_has_a_shape() -> None:
    from ansible.module_utils.baileys_auth.names import KEY_TYPES

    assert set(SHAPES) == {*KEY_TYPES, "creds"}


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0 or str(x) == "0.0"),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda children: st.one_of(
        st.lists(children, max_size=5),
        st.dictionaries(texts, children, max_size=5),
        st.binary(max_size=20).map(lambda data: {"type": "Buffer", "data": list(data)}),
    ),
    max_leaves=20,
)


def as_javascript(value: object) -> object:
    """What JSON.parse makes of it: every number a double, and a Buffer in its one form."""
    if isinstance(value, dict):
        if len(value) > 1 and value.get("type") == "Buffer" and isinstance(value.get("data"), list):
            return {**value, "data": base64.b64encode(bytes(value["data"])).decode()}
        return {key: as_javascript(child) for key, child in value.items()}
    if isinstance(value, list):
        return [as_javascript(child) for child in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_however_it_is_written_the_value_is_the_same(value: object, ascii_: bool, indent: object) -> None:
    plain = canonical(json.dumps(value).encode(), FREE)
    written = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    assert canonical(written.encode(), FREE) == plain
    assert as_javascript(load(plain)) == as_javascript(value)
    assert canonical(to_file(plain), FREE) == plain
    assert digest(plain) == digest(canonical(to_file(plain), FREE))
    assert load(to_file(plain)) == load(plain)


@given(st.binary(max_size=60))
def test_whatever_bytes_end_in_a_value_or_a_named_refusal(data: bytes) -> None:
    with suppress(ValueRefusedError):
        text = canonical(data, FREE)
        assert canonical(text, FREE) == text


@pytest.mark.parametrize(
    "cut",
    [
        b'{"a": [2.0670234162218572',
        b'{"a": 12345678901234567890',
        b'{"a": -0',
        b'{"b": [{"type":"Buffer","data":[999]}',
    ],
)
def test_a_cut_number_is_torn_and_not_refused(cut: bytes) -> None:
    with pytest.raises(TornError):
        canonical(cut, FREE)


@given(values, st.data())
def test_a_cut_file_is_torn_or_means_something_else(value: object, data: st.DataObject) -> None:
    whole = json.dumps({"a": value}).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(TornError):
        canonical(whole[:cut], FREE)
