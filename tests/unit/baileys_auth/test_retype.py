"""Which rows a script stored under a name split in the wrong place, and what they are."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.baileys_auth.names import Key, Names
from ansible.module_utils.baileys_auth.retype import make_repair, misplaced

NAMES = Names()


def split_by_the_original(file_name: str) -> Key:
    """As the original script does: at the first `-`."""
    found = re.match(r"^(.+?)-(.+)\.json$", file_name)
    assert found
    return Key(found[1], found[2])


KEYS = [
    Key("pre-key", "1"),
    Key("session", "79686484488.0"),
    Key("session", "102765716062358_1.37"),
    Key("sender-key", "120363041234567890@g.us::79001234567::0"),
    Key("sender-key", "79001234567-1612345678@g.us::102765716062358_1::12"),
    Key("sender-key-memory", "79001234567-1612345678@g.us"),
    Key("app-state-sync-key", "AAA/AK+/"),
    Key("app-state-sync-version", "critical_unblock_low"),
    Key("lid-mapping", "102765716062358_reverse"),
    Key("device-list", "79686484488"),
    Key("identity-key", "79686484488.0"),
    Key("tctoken", "__index"),
]


@pytest.mark.parametrize("key", KEYS)
def test_key_is_read_from_what_the_original_made_of_its_name(key: Key) -> None:
    stored = split_by_the_original(NAMES.render(key))
    assert NAMES.read_again(stored) == key
    assert misplaced(stored, NAMES) == (stored != key)
    assert not misplaced(key, NAMES)


@pytest.mark.parametrize("key", [Key("sender-key", "1203@g.us::79001234567::0"), Key("app-state-sync-key", "AAA/AK+/")])
def test_id_that_was_left_as_it_stands_in_the_files_name(key: Key) -> None:
    stored = Key(key.type, NAMES.render(key).removeprefix(f"{key.type}-").removesuffix(".json"))
    assert stored != key
    assert misplaced(stored, NAMES)
    assert make_repair({stored: False}, {stored: b'{"a":1}'}, NAMES).retyped[stored][0] == key


def test_type_of_a_newer_baileys_is_no_work_of_the_scripts() -> None:
    """The bot may be using it: `session-meta`, 5 is no session of a user `meta-5`."""
    key = Key("session-meta", "5")
    repair = make_repair({key: False}, {key: b"{}"}, NAMES)
    assert (repair.changes, list(repair.left)) == (False, [key])
    assert "auth_state_key_types" in repair.left[key]


def test_id_with_a_colon_of_its_own_is_left() -> None:
    assert not misplaced(Key("session", "a:b"), NAMES)


def test_sender_key_memory_taken_for_a_sender_key() -> None:
    """As Baileys' own unreleased migration does."""
    key = Key("sender-key", "memory-120363041234567890@g.us")
    assert misplaced(key, NAMES)
    assert NAMES.read_again(key) == Key("sender-key-memory", "120363041234567890@g.us")


def repaired(wrong: dict[Key, bytes], **right: bool) -> dict[str, dict[str, int]]:
    expiring = {**dict.fromkeys(wrong, False), **{Key(*name.split("/")): value for name, value in right.items()}}
    return make_repair(expiring, wrong, NAMES).by_type()


def counts(retyped: int = 0, superseded: int = 0, unexpired: int = 0, left: int = 0) -> dict[str, int]:
    return {"retyped": retyped, "superseded": superseded, "unexpired": unexpired, "left": left}


def test_values_get_the_form_that_baileys_reads() -> None:
    wrong = {
        Key("pre", "key-1"): b'{"private": {"type": "Buffer", "data": [1, 2, 3]}}',
        Key("lid", "mapping-79686484488"): b"102765716062358",
    }
    found = make_repair(dict.fromkeys(wrong, False), wrong, NAMES)
    assert found.retyped == {
        Key("pre", "key-1"): (Key("pre-key", "1"), b'{"private": {"data": "AQID", "type": "Buffer"}}'),
        Key("lid", "mapping-79686484488"): (Key("lid-mapping", "79686484488"), b'"102765716062358"'),
    }


def test_row_that_the_app_wrote_since_wins() -> None:
    assert repaired({Key("pre", "key-1"): b"{}"}, **{"pre-key/1": False}) == {"pre": counts(superseded=1)}


def test_two_rows_of_one_key_are_both_left() -> None:
    wrong = {
        Key("sender", "key-memory-1@g.us"): b'{"a": true}',
        Key("sender-key", "memory-1@g.us"): b'{"b": true}',
        Key("zzz", "1"): b"{}",
    }
    assert repaired(wrong) == {"sender": counts(left=1), "sender-key": counts(left=1), "zzz": counts(left=1)}


def test_value_that_baileys_would_not_read_is_left() -> None:
    found = make_repair({}, {Key("device", "list-79686484488"): b'{"no": "array"}'}, NAMES)
    assert found.left == {Key("device", "list-79686484488"): "a device-list must be an array"}
    assert not found.changes


def test_only_lid_mappings_may_expire() -> None:
    found = make_repair(
        {Key("lid-mapping", "1"): True, Key("pre-key", "1"): True, Key("session", "1.0"): False}, {}, NAMES
    )
    assert found.unexpired == {Key("pre-key", "1")}
