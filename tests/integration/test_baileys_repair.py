"""baileys_auth_repair on a database that was filled as the app's original script fills it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bot_host import COMPANY, Answer, BotHost, codes, good
from postgresql_server import TestDatabase

Baileys = Callable[..., str]
INSERT = "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, expires_at) VALUES (%s, %s, %s, %s, {})"


def fill_as_the_original(host: BotHost, database: TestDatabase) -> None:
    """Names split at the first `-`, unreadable files skipped, an expiry on every row; then the flag."""
    with psycopg.connect(database.conninfo) as connection:
        for name, data in host.contents().items():
            if name == "creds.json":
                connection.execute(
                    "INSERT INTO whatsapp_auth (company_id, creds) VALUES (%s, %s)", [COMPANY, data.decode()]
                )
            elif found := re.match(r"^(.+?)-(.+)\.json$", name):
                statement = INSERT.format("now() + interval '7 days'")
                connection.execute(statement, [COMPANY, found[1], found[2], data.decode()])
    host.flag("database")


def repair(host: BotHost, *, check: bool = False, **more: object) -> Answer:
    return host.call("baileys_auth_repair", host.arguments(**more), _check=check)


def counts(answer: Answer, action: str) -> int:
    return sum(count[action] for count in answer["companies"][COMPANY]["actions"].values())


@pytest.fixture
def filled(bot_host: BotHost, database: TestDatabase) -> BotHost:
    fill_as_the_original(bot_host, database)
    return bot_host


def test_plan_first_then_the_same_for_real(filled: BotHost, database: TestDatabase) -> None:
    before = database.rows()
    with filled.unchanged(database):
        planned = good(repair(filled, check=True))
    assert planned["changed"]
    done = good(repair(filled))
    assert done["companies"][COMPANY]["actions"] == planned["companies"][COMPANY]["actions"]
    assert done["diff"] == planned["diff"]
    assert counts(done, "retyped") == sum(not key_type.startswith(("session", "tctoken")) for key_type, _ in before) - 1
    assert counts(done, "left") == 0

    # Every row is what the right migration makes of the files, no key lost.
    repaired = database.rows()
    filled.flag("files")
    database.run("TRUNCATE whatsapp_auth, whatsapp_keys, whatsapp_auth_authority")
    good(filled.state("database", authority="keep", lid_mapping_ttl_days=0))
    assert repaired == database.rows()


def test_second_run_finds_nothing(filled: BotHost, database: TestDatabase) -> None:
    good(repair(filled))
    with filled.unchanged(database):
        answer = good(repair(filled))
    assert not answer["changed"]
    assert answer["companies"][COMPANY]["archived"] is None


def test_rows_of_before_are_archived(filled: BotHost, database: TestDatabase) -> None:
    before = database.rows()
    archive = Path(good(repair(filled))["companies"][COMPANY]["archived"])
    assert archive.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert len(lines) == len(before)
    assert {(line["key_type"], line["key_id"]) for line in lines} == set(before)


def test_row_that_the_bot_wrote_since_is_kept(filled: BotHost, database: TestDatabase) -> None:
    new = '{"public": "new", "private": "new"}'
    database.run(INSERT.format("NULL"), COMPANY, "pre-key", "1", new)
    answer = good(repair(filled))
    assert counts(answer, "superseded") == 1
    rows = database.run("SELECT value FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id = '1'")
    assert rows == [(json.loads(new),)]
    assert database.run("SELECT count(*) FROM whatsapp_keys WHERE key_type = 'pre'") == [(0,)]


def test_only_mappings_expire_afterwards(filled: BotHost, database: TestDatabase) -> None:
    good(repair(filled))
    expiring = database.run("SELECT DISTINCT key_type FROM whatsapp_keys WHERE expires_at IS NOT NULL")
    assert expiring == [("lid-mapping",)]


def test_what_is_not_understood_is_left_and_said(filled: BotHost, database: TestDatabase) -> None:
    database.run(INSERT.format("NULL"), COMPANY, "notes", "79686484488", "{}")
    answer = good(repair(filled))
    assert counts(answer, "left") == 1
    assert "1 notes" in json.dumps(answer["warnings"])
    assert "79686484488" not in json.dumps(answer)
    assert database.run("SELECT count(*) FROM whatsapp_keys WHERE key_type = 'notes'") == [(1,)]


def test_trigger_that_loses_a_row_is_found_and_nothing_kept(bot_host: BotHost, fresh_database: TestDatabase) -> None:
    bot_host.conninfo = fresh_database.conninfo
    fill_as_the_original(bot_host, fresh_database)
    fresh_database.run(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN IF new.key_type = 'pre-key' THEN RETURN NULL; END IF; RETURN new; END$$"
    )
    fresh_database.run("CREATE TRIGGER lose BEFORE INSERT ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION lose()")
    before = fresh_database.rows()
    assert codes(repair(bot_host)) == ["verification_failed"]
    assert fresh_database.rows() == before


def test_login_that_its_files_hold_is_refused(bot_host: BotHost, database: TestDatabase) -> None:
    fill_as_the_original(bot_host, database)
    bot_host.flag("files")
    with bot_host.unchanged(database):
        answer = repair(bot_host)
    assert codes(answer) == ["files_own"]
    assert "auth_state_conflict=files" in answer["msg"]


def test_company_without_a_login_is_refused(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.flag("database")
    assert codes(repair(bot_host, company_ids=["404404"])) == ["row_missing"]


def test_real_conversations_decrypt_again(
    bot_host: BotHost, database: TestDatabase, baileys: Baileys, tmp_path: Path
) -> None:
    """First without the repair, where whatever needs a sender key, a stored pre-key or a mapping fails."""
    talks, waiting, url = tmp_path / "talks", tmp_path / "waiting.json", database.conninfo
    baileys("conversation.mjs", "make", talks)
    shutil.rmtree(bot_host.folder)
    (talks / "login").rename(bot_host.folder)
    baileys("conversation.mjs", "exchange", talks, "files", bot_host.folder, waiting)
    fill_as_the_original(bot_host, database)

    database.run("CREATE SCHEMA unrepaired")
    try:
        for table in ("whatsapp_auth", "whatsapp_keys"):
            database.run(f"CREATE TABLE unrepaired.{table} (LIKE public.{table} INCLUDING ALL)")
            database.run(f"INSERT INTO unrepaired.{table} SELECT * FROM public.{table}")
        aside = f"{url}?options=-csearch_path%3Dunrepaired"
        read = json.loads(baileys("conversation.mjs", "decrypt", "database", COMPANY, waiting, database=aside))
        assert sum(read["failed"].values()) >= 20, read
        assert set(read["failed"]) >= {"group", "old group", "first"}
    finally:
        database.run("DROP SCHEMA unrepaired CASCADE")

    good(repair(bot_host))
    read = json.loads(baileys("conversation.mjs", "decrypt", "database", COMPANY, waiting, database=url))
    assert read["failed"] == {}, read
    assert sum(read["total"].values()) == 60
