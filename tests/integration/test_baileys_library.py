"""What Baileys itself stores and gets, and real Signal conversations, before and after a move in each direction."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.baileys_auth.names import KEY_TYPES, Key, Names
from bot_host import COMPANY, BotHost, good, total
from postgresql_server import TestDatabase

Baileys = Callable[..., str]


def buffer(text: str) -> dict[str, str]:
    return {"type": "Buffer", "data": text}


PAIR = {"public": buffer("AQID"), "private": buffer("BAUG")}
STORED: dict[str, dict[str, Any]] = {
    "pre-key": {"1": PAIR, "812": PAIR},
    "session": {
        "79686484488.0": {"_sessions": {"AA==": {"registrationId": 7, "chains": {}}}, "version": "v1"},
        "102765716062358_1.37": {"version": "v1"},
        "102765716062358_128.99": {"version": "v1"},
        "79686484488_129.99": {"version": "v1"},
    },
    "sender-key": {
        "120363041234567890@g.us::79001234567::0": buffer("W10="),
        "79001234567-1612345678@g.us::102765716062358_1::12": buffer("W10="),
        "status@broadcast::79001234567::3": buffer("W10="),
    },
    "sender-key-memory": {
        "120363041234567890@g.us": {"79001234567@s.whatsapp.net": True, "102765716062358:3@lid": False},
        "79001234567-1612345678@g.us": {"x": True},
    },
    "app-state-sync-key": {
        "AAAAAK6J": {
            "keyData": buffer("AAECAw=="),
            "timestamp": "1763780400",
            "fingerprint": {"rawId": 1, "deviceIndexes": [0, 1]},
        },
        "AAA/AK+/": {"keyData": "AAECAw=="},
    },
    "app-state-sync-version": {
        "critical_block": {
            "version": 3,
            "hash": buffer("AAEC"),
            "indexValueMap": {"a/+=": {"valueMac": buffer("AA==")}},
        },
        "regular_low": {"version": 0, "hash": buffer(""), "indexValueMap": {}},
    },
    "lid-mapping": {"79686484488": "102765716062358", "102765716062358_reverse": "79686484488"},
    "device-list": {"79686484488": ["0", "37"], "79686484489": []},
    "tctoken": {
        "102765716062358@lid": {"token": buffer("AQ=="), "timestamp": "1763780400"},
        "79686484488@s.whatsapp.net": {"token": buffer("AQ==")},
        "__index": {"token": buffer("WyIxMDI3NjU3MTYwNjIzNThAbGlkIiwiNzk2ODY0ODQ0ODhAcy53aGF0c2FwcC5uZXQiXQ==")},
    },
    "identity-key": {"102765716062358_1.37": buffer("BQECAw=="), "79686484488.0": buffer("BQ==")},
    "contacts-tc-token": {"79686484488@s.whatsapp.net": {"token": buffer("AQ==")}},
}  # fmt: skip


@pytest.fixture
def written(bot_host: BotHost, baileys: Baileys) -> BotHost:
    """A login that Baileys wrote: every type of key, and a name with an emoji."""
    shutil.rmtree(bot_host.folder)
    creds = {
        "me": {"id": "79990000001:5@s.whatsapp.net", "name": "Салон 💇"},
        "myAppStateKeyId": "AAA/AK+/",
        "nextPreKeyId": 813,
    }
    baileys("keys.mjs", "write", bot_host.folder, stdin=json.dumps({"creds": creds, "keys": STORED}))
    return bot_host


def what_the_library_gets(baileys: Baileys, store: str, where: object, database: str = "") -> dict[str, Any]:
    wanted = {kind: [*values, "none"] for kind, values in STORED.items()}
    return json.loads(baileys("keys.mjs", "get", store, where, stdin=json.dumps(wanted), database=database))


def test_names_are_those_that_baileys_wrote(written: BotHost) -> None:
    assert set(STORED) == set(KEY_TYPES)
    names = Names()
    wanted = {names.render(Key(kind, key_id)) for kind, ids in STORED.items() for key_id in ids}
    assert set(written.contents()) == wanted | {"creds.json"}
    for kind, ids in STORED.items():
        for key_id in ids:
            assert names.parse(names.render(Key(kind, key_id))) == Key(kind, key_id)


def test_the_library_gets_the_same_from_both_stores(written: BotHost, database: TestDatabase, baileys: Baileys) -> None:
    before = what_the_library_gets(baileys, "files", written.folder)
    assert before["keys"]["lid-mapping"] == {**STORED["lid-mapping"], "none": None}
    contents = written.contents()
    written.migrate()
    moved = what_the_library_gets(baileys, "database", COMPANY, database.conninfo)
    # Baileys reads the app-state keys of its files through the same class.
    assert moved["creds"] == before["creds"]
    for kind in STORED:
        assert moved["keys"][kind] == before["keys"][kind], kind
    # Back into an empty place.
    shutil.rmtree(written.folder)
    answer = written.go_back()
    assert total(answer, "added") == len(contents)
    assert what_the_library_gets(baileys, "files", written.folder) == before
    assert set(written.contents()) == set(contents)


def test_the_identity_is_the_one_that_the_bot_tells(written: BotHost, database: TestDatabase, baileys: Baileys) -> None:
    answer = written.migrate()
    told = baileys("identity.mjs", COMPANY, database=database.conninfo)
    assert answer["companies"][COMPANY]["identity"] == told


# Conversations


def decrypt(baileys: Baileys, store: str, where: object, waiting: Path, database: str = "") -> dict[str, Any]:
    return json.loads(baileys("conversation.mjs", "decrypt", store, where, waiting, database=database))


def test_every_waiting_message_decrypts_after_each_move(
    bot_host: BotHost, database: TestDatabase, baileys: Baileys, tmp_path: Path
) -> None:
    """Files, database, files: what was encrypted for the store before is read from the store after."""
    talks, url = tmp_path / "talks", database.conninfo
    baileys("conversation.mjs", "make", talks)
    shutil.rmtree(bot_host.folder)
    (talks / "login").rename(bot_host.folder)

    # To the database.
    first = tmp_path / "first.json"
    baileys("conversation.mjs", "exchange", talks, "files", bot_host.folder, first)
    left_behind = bot_host.copy_to(tmp_path / "left-behind")
    good(bot_host.state(authority="keep"))
    bot_host.migrate()
    read = decrypt(baileys, "database", COMPANY, first, url)
    assert read["failed"] == {}, read
    assert read["total"] == {"direct": 9, "direct by LID": 9, "group": 18, "old group": 18, "first": 6}
    # It cannot be read twice: what a store that was left behind would do.
    again = decrypt(baileys, "database", COMPANY, first, url)
    assert sum(again["failed"].values()) == 60, again

    # The conversation goes on there, and back to the files.
    second = tmp_path / "second.json"
    baileys("conversation.mjs", "exchange", talks, "database", COMPANY, second, database=url)
    bot_host.go_back()
    stale = decrypt(baileys, "files", left_behind, second)
    assert sum(stale["failed"].values()) >= 24, stale
    assert set(stale["failed"]) >= {"direct", "direct by LID"}
    read = decrypt(baileys, "files", bot_host.folder, second)
    assert read["failed"] == {}, read
    assert read["total"] == {"direct": 12, "direct by LID": 12, "group": 24, "old group": 24}


def test_a_mapping_that_is_dropped_makes_its_session_unfindable(
    bot_host: BotHost, database: TestDatabase, baileys: Baileys, tmp_path: Path
) -> None:
    """Why the TTL rule keeps the mappings of users who have a session, however old they are."""
    import os

    talks, url = tmp_path / "talks", database.conninfo
    baileys("conversation.mjs", "make", talks)
    shutil.rmtree(bot_host.folder)
    (talks / "login").rename(bot_host.folder)
    for path in bot_host.folder.glob("lid-mapping-*"):
        os.utime(path, (0, 0))
    waiting = tmp_path / "waiting.json"
    baileys("conversation.mjs", "exchange", talks, "files", bot_host.folder, waiting)
    bot_host.migrate()
    kept = database.run("SELECT count(*) FROM whatsapp_keys WHERE key_type = 'lid-mapping' AND expires_at IS NULL")
    assert kept == [(6,)]  # the fourth pair is of a user without a session yet
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'lid-mapping'")
    read = decrypt(baileys, "database", COMPANY, waiting, url)
    assert read["failed"].get("direct by LID") == 9, read
    assert "direct" not in read["failed"]
