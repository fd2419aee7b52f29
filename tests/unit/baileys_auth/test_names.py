"""File names and keys: exact inverses of each other, for every type of Baileys'."""

from __future__ import annotations

import os
import re

import pytest
from ansible.module_utils.baileys_auth.names import (
    KEY_TYPES,
    Key,
    Names,
    company_folder,
    company_id,
    has_control_character,
    is_leftover,
)
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = Names()

# What Baileys asks for, and the file in which its useMultiFileAuthState keeps it.
KNOWN = [
    ("pre-key", "42", "pre-key-42.json"),
    ("session", "79686484488.0", "session-79686484488.0.json"),
    ("session", "102765716062358_1.37", "session-102765716062358_1.37.json"),
    ("session", "102765716062358_128.99", "session-102765716062358_128.99.json"),
    ("session", "79686484488_129.99", "session-79686484488_129.99.json"),
    (
        "sender-key",
        "120363041234567890@g.us::79001234567::0",
        "sender-key-120363041234567890@g.us--79001234567--0.json",
    ),
    (
        "sender-key",
        "79001234567-1612345678@g.us::102765716062358_1::12",
        "sender-key-79001234567-1612345678@g.us--102765716062358_1--12.json",
    ),
    ("sender-key", "status@broadcast::79001234567::3", "sender-key-status@broadcast--79001234567--3.json"),
    ("sender-key-memory", "120363041234567890@g.us", "sender-key-memory-120363041234567890@g.us.json"),
    ("sender-key-memory", "79001234567-1612345678@g.us", "sender-key-memory-79001234567-1612345678@g.us.json"),
    ("sender-key-memory", "status@broadcast", "sender-key-memory-status@broadcast.json"),
    ("app-state-sync-key", "AAAAAK6J", "app-state-sync-key-AAAAAK6J.json"),
    ("app-state-sync-key", "AAA/AK+/", "app-state-sync-key-AAA__AK+__.json"),
    ("app-state-sync-key", "//==", "app-state-sync-key-____==.json"),
    ("app-state-sync-version", "critical_unblock_low", "app-state-sync-version-critical_unblock_low.json"),
    ("app-state-sync-version", "regular", "app-state-sync-version-regular.json"),
    ("lid-mapping", "79686484488", "lid-mapping-79686484488.json"),
    ("lid-mapping", "102765716062358_reverse", "lid-mapping-102765716062358_reverse.json"),
    ("device-list", "79686484488", "device-list-79686484488.json"),
    ("tctoken", "102765716062358@lid", "tctoken-102765716062358@lid.json"),
    ("tctoken", "79686484488@s.whatsapp.net", "tctoken-79686484488@s.whatsapp.net.json"),
    ("tctoken", "__index", "tctoken-__index.json"),
    ("identity-key", "102765716062358_1.37", "identity-key-102765716062358_1.37.json"),
    ("contacts-tc-token", "79686484488@s.whatsapp.net", "contacts-tc-token-79686484488@s.whatsapp.net.json"),
    ("creds", "", "creds.json"),
]


@pytest.mark.parametrize(("kind", "key_id", "name"), KNOWN)
def test_known_names(kind: str, key_id: str, name: str) -> None:
    assert NAMES.parse(name) == Key(kind, key_id)
    assert NAMES.render(Key(kind, key_id)) == name


def test_every_type_is_among_the_known_names() -> None:
    assert {kind for kind, _, _ in KNOWN} == {*KEY_TYPES, "creds"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".json",
        "creds",
        "creds.JSON",
        "creds-1.json",
        "Creds.json",
        "pre-key.json",
        "pre-key-.json",
        "pre-key-1",
        "pre-key-1.json.json2",
        "pre-key-a.json",
        "pre-key-1_2.json",
        "pre-key-\u0661.json",  # a digit, and none of Baileys'
        "pre-key--1.json",
        "Session-1.json",
        "session-a:b.json",  # Baileys writes no colon
        "sender-key-1.json",
        "sender-key-a@g.us-b-0.json",
        "sender-key-a@g.us--b.json",
        "sender-key-a--b--0.json",
        "sender-key-@g.us--b--0.json",
        "sender-key-a@g.us----0.json",
        "sender-key-a@g.us--b--.json",
        "sender-key-memory.json",
        "sender-key-memory-.json",
        "app-state-sync-key-A_A.json",
        "app-state-sync-key-A-A.json",
        "app-state-sync-key-A=A.json",
        "app-state-sync-key-===.json",
        "app-state-sync.json",
        "app-1.json",
        "session-a\n.json",
        "session-\x00.json",
        "session-\x1b[31m.json",
        "session-\x7f.json",
        "session-\udcff.json",
        "package.json",
        "README.md",
    ],
)
def test_names_that_are_no_key(name: str) -> None:
    assert NAMES.parse(name) is None


def test_the_longest_type_wins() -> None:
    assert NAMES.parse("sender-key-memory-a@g.us--b--0.json") == Key("sender-key-memory", "a@g.us--b--0")
    own = Names(["session-note", "lid"])
    assert own.parse("session-note-1.json") == Key("session-note", "1")
    assert own.parse("session-notes-1.json") == Key("session", "notes-1")
    assert own.parse("lid-mapping-1.json") == Key("lid-mapping", "1")
    assert own.parse("lid-x.json") == Key("lid", "x")
    assert own.types == {*KEY_TYPES, "session-note", "lid"}


@pytest.mark.parametrize("name", ["", "a_b", "A", "creds", "-a", "a-", "a--b", "a b", "a/b", "é", "a\n"])
def test_types_that_nobody_may_add(name: str) -> None:
    with pytest.raises(ValueError, match="no Baileys key type"):
        Names([name])


@pytest.mark.parametrize(
    ("kind", "key_id"),
    [
        ("unknown", "1"),
        ("pre", "key-1"),  # the original script's parsing
        ("app", "state-sync-key-AAAA"),
        ("creds", "1"),
        ("session", ""),
        ("session", "a:b"),  # two keys, one file
        ("session", "a/b"),
        ("session", "../../etc/passwd"),
        ("session", "a\nb"),
        ("session", "a\x00b"),
        ("session", "\ud800"),
        ("session", "x" * 243),
        ("session", "é" * 122),
        ("session", "x.backup.1"),  # what would be taken for a leftover
        ("lid-mapping", ".backup"),
        ("pre-key", "01x"),
        ("sender-key", "memory-1"),
        ("sender-key", "a@g.us:b:0"),
        ("sender-key", "a@g.us::b"),
        ("app-state-sync-key", "A__A"),
        ("app-state-sync-key", "A-A"),
        ("tctoken", "/index"),
    ],
)
def test_keys_that_no_file_can_hold(kind: str, key_id: str) -> None:
    with pytest.raises(ValueError, match="no Baileys file name"):
        NAMES.render(Key(kind, key_id))
    good = Key("pre-key", "1")
    assert NAMES.render_all([good, Key(kind, key_id)]) == ({good: "pre-key-1.json"}, {Key(kind, key_id)})


def test_the_longest_name_that_a_file_system_takes() -> None:
    longest = Key("session", "x" * (255 - len("session-.json")))
    assert len(NAMES.render(longest)) == 255


# Round trips

users = st.from_regex(r"[0-9]{5,16}", fullmatch=True)
addresses = st.builds("{}{}.{}".format, users, st.sampled_from(["", "_1", "_128", "_129"]), st.integers(0, 99))
groups = st.one_of(
    st.builds("{}@g.us".format, users), st.builds("{}-{}@g.us".format, users, users), st.just("status@broadcast")
)  # fmt: skip
members = st.builds("{}{}::{}".format, users, st.sampled_from(["", "_1", "_128"]), st.integers(0, 99))
base64_ids = st.from_regex(r"[A-Za-z0-9+/]{1,12}={0,2}", fullmatch=True)
jids = st.builds("{}@{}".format, users, st.sampled_from(["lid", "s.whatsapp.net", "hosted"]))
# Whatever text: not only what Baileys asks for today.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
IDS = {
    "pre-key": st.integers(0, 10**9).map(str),
    "session": addresses,
    "sender-key": st.builds("{}::{}".format, groups, members),
    "sender-key-memory": groups,
    "app-state-sync-key": base64_ids,
    "app-state-sync-version": st.sampled_from(["critical_block", "regular", "regular_high"]),
    "lid-mapping": st.one_of(users, users.map("{}_reverse".format)),
    "device-list": users,
    "tctoken": st.one_of(jids, st.just("__index")),
    "identity-key": addresses,
    "contacts-tc-token": jids,
}
keys = st.one_of([st.builds(Key, st.just(kind), ids) for kind, ids in IDS.items()])


def fix_file_name(name: str) -> str:
    """Baileys' own line, in Python."""
    return re.sub(":", "-", re.sub("/", "__", name))


@given(keys)
def test_what_baileys_asks_for_comes_back(key: Key) -> None:
    name = NAMES.render(key)
    assert name == fix_file_name(f"{key.type}-{key.id}.json")
    assert NAMES.parse(name) == key


@given(st.sampled_from(sorted(KEY_TYPES)), texts)
@example("sender-key", "a@g.us::b::0::1")
@example("sender-key", "a@g.us::b-::0")
@example("sender-key", "a@b@c::d::0")
@example("app-state-sync-key", "a___b")
def test_any_key_that_is_rendered_comes_back(kind: str, key_id: str) -> None:
    try:
        name = NAMES.render(Key(kind, key_id))
    except ValueError:
        return
    assert NAMES.parse(name) == Key(kind, key_id)
    assert name == fix_file_name(f"{kind}-{key_id}.json")
    assert os.sep not in name


@given(
    st.one_of(
        st.text(max_size=40),
        st.builds("{}-{}.json".format, st.sampled_from(sorted(KEY_TYPES)), st.text("-_:/@.a0+=", max_size=20)),
    )
)
@example("sender-key-a@g.us-----0.json")
@example("app-state-sync-key-a___b.json")
@example("app-state-sync-key-a____.json")
def test_any_name_that_is_parsed_comes_back(name: str) -> None:
    key = NAMES.parse(name)
    if key is not None and not is_leftover(name):
        assert NAMES.render(key) == name


@given(
    st.lists(
        st.builds(Key, st.sampled_from(sorted(KEY_TYPES)), st.text("-_:/@.a0", min_size=1, max_size=8)), unique=True
    )
)
def test_no_two_keys_share_a_file(some: list[Key]) -> None:
    files, _foreign = NAMES.render_all(some)
    assert len(set(files.values())) == len(files)


# What is left alone, and what is refused


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._creds.json",
        ".creds.json.swp",
        "creds.json.tmp",
        "x.bak",
        "X.BAK",
        "pre-key-1.json~",
        "#creds.json#",
        "creds.backup.json",
        "creds.json.backup.1700000000",
        "creds.backup",
    ],
)
def test_leftovers(name: str) -> None:
    assert is_leftover(name)


@pytest.mark.parametrize("name", [name for _, _, name in KNOWN] + ["notes.txt", "backup.json", "tmp", "a.tmp.json"])
def test_no_leftovers(name: str) -> None:
    assert not is_leftover(name)


def test_control_characters() -> None:
    for number in (*range(32), 127):
        assert has_control_character(f"a{chr(number)}b")
    assert has_control_character(os.fsdecode(b"\xff"))
    assert not has_control_character("session-é💇.json")


# Company ids


@pytest.mark.parametrize("text", ["962302", "company_962302"])
def test_one_company_has_one_spelling(text: str) -> None:
    assert company_id(text) == "962302"
    assert company_folder(company_id(text)) == "company_962302"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "company_",
        "company_company_1",
        ".",
        "..",
        "../1",
        "1/2",
        "-1",
        "_1",
        "1 2",
        "1\n",
        "1\x00",
        "é",
        "1;rm",
        "x" * 65,
    ],
)
def test_what_is_no_company_id(text: str) -> None:
    with pytest.raises(ValueError, match="company id"):
        company_id(text)


@given(st.text(max_size=70))
def test_a_company_folder_never_leaves_its_place(text: str) -> None:
    try:
        identifier = company_id(text)
    except ValueError:
        return
    folder = company_folder(identifier)
    assert os.path.normpath(folder) == folder == os.path.basename(folder)
    assert company_id(folder) == identifier
