"""The canonical form is the text that the server itself prints, so two digests are equal as their values are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from ansible.module_utils.baileys_auth.database import Database
from ansible.module_utils.baileys_auth.manifest import set_digest
from ansible.module_utils.baileys_auth.names import CREDS, Key
from ansible.module_utils.baileys_auth.values import ValueRefusedError, canonical
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from postgresql_server import TestDatabase

FREE = "a type of its own"
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def connection(shared_database: TestDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(shared_database.conninfo, autocommit=True) as connection:
        yield connection


# Every character but NUL and surrogates, and names that only differ in what the order looks at.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.text('"\\/\b\f\n\r\t\x01\x1f\x7f\x80\u2028\ufeff\uffff💇é', max_size=6),
)
names = st.one_of(texts, st.text("aAbé💇_", max_size=4))
numbers = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["0", "1.50", "1e2", "1E-7", "100.00", "0.0", "1e21", "5e-324", "1.7976931348623157e308", "0e10"]),
).map(str)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """JSON texts, not values: with spaces, escapes, numbers in any spelling, and names that come twice."""
    kind = draw(st.sampled_from(["text", "number", "word"] + (["list", "object", "buffer"] if depth else [])))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    if kind == "text":
        return json.dumps(draw(texts), ensure_ascii=draw(st.booleans()))
    if kind == "number":
        return draw(numbers)
    if kind == "word":
        return draw(st.sampled_from(["null", "true", "false"]))
    if kind == "buffer":
        return json.dumps({"type": "Buffer", "data": list(draw(st.binary(max_size=8)))})
    children = draw(st.lists(documents(depth=depth - 1), max_size=5))
    if kind == "list":
        return f"[{space}{f'{space},'.join(children)}{space}]"
    members = [f"{json.dumps(draw(names), ensure_ascii=draw(st.booleans()))}{space}:{child}" for child in children]
    return f"{{{space}{','.join(members)}{space}}}"


@SETTINGS
@given(st.lists(documents(), min_size=1, max_size=30))
@example(["[" * 150 + "]" * 150, '{"a":1,"a":2}', '{"aa":1,"b":2}', '"\\u007f"', "[1.50]"])
def test_the_servers_text_is_ours(connection: psycopg.Connection, some: list[str]) -> None:
    ours = []
    for document in some:
        with suppress(ValueRefusedError):
            ours.append(canonical(document.encode(), FREE))
    rows = connection.execute(
        "SELECT value::jsonb::text, sha256(convert_to(value::jsonb::text, 'UTF8')) FROM unnest(%s::text[])"
        " WITH ORDINALITY AS t (value, place) ORDER BY place",
        [[text.decode() for text in ours]],
    ).fetchall()
    assert [text.encode() for text, _ in rows] == ours
    assert [bytes(digest) for _, digest in rows] == [hashlib.sha256(text).digest() for text in ours]


@SETTINGS
@given(st.lists(documents(), min_size=1, max_size=20), st.booleans())
def test_through_copy_and_merge_nothing_changes(connection: psycopg.Connection, some: list[str], first: bool) -> None:
    """The rows as the module writes them: escapes of COPY's own, straight into the table or staged and merged."""
    values = {}
    for place, document in enumerate(some):
        with suppress(ValueRefusedError):
            values[Key("session", f"\\{place}\\N\\.'\"%s{{}}é💇")] = canonical(document.encode(), FREE)
    database = Database(connection)
    with connection.transaction(force_rollback=True):
        with database.stage("1", first=first) as stage:
            for key, value in values.items():
                stage.add(key, value, None)
        assert stage.waiting == (bool(values) and not first)
        if stage.waiting:
            database.merge("1")
        assert dict(database.values("1", values.keys(), len(values))) == values
        assert dict(database.values("1", values.keys(), 1000 * len(values))) == values
        database.write_creds("1", b"{}")
        digests = {key: row.digest for key, row in database.digests("1").items()}
        assert digests == {key: hashlib.sha256(value).digest() for key, value in {**values, CREDS: b"{}"}.items()}
        assert database.set_digest("1") == set_digest(digests)


@pytest.mark.parametrize("text", ['"\\u0000"', '"\\ud83d"', '{"a":"\\udc87\\ud83d"}'])
def test_what_is_refused_the_server_refuses_too(connection: psycopg.Connection, text: str) -> None:
    with pytest.raises(ValueRefusedError):
        canonical(text.encode(), FREE)
    with pytest.raises(psycopg.DataError):
        connection.execute("SELECT %s::jsonb", [text])


def test_numbers_that_javascript_would_change_are_kept_by_the_server(connection: psycopg.Connection) -> None:
    """So it is for us to refuse them: the app would read another number than it wrote."""
    assert connection.execute("SELECT '9007199254740993'::jsonb::text").fetchone() == ("9007199254740993",)
    with pytest.raises(ValueRefusedError):
        canonical(b"9007199254740993", FREE)
