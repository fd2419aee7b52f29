"""baileys_auth_info: what is where, whether it agrees, and that looking changes nothing."""

from __future__ import annotations

import json
import re
import shutil
import time

import psycopg
import pytest
from bot_host import COMPANY, BotHost, good, tree
from postgresql_server import TestDatabase


def found(host: BotHost, **options: object) -> dict:
    return good(host.info(**options))


def facts(host: BotHost) -> dict:
    return found(host)["companies"][COMPANY]


def problems(answer: dict) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


def test_before_during_and_after(bot_host: BotHost, database: TestDatabase) -> None:
    seen = facts(bot_host)
    assert seen["authority"] == {
        "store": "files", "evidence": "the flag is off", "moving_to": None, "since": None, "host": None,
    }  # fmt: skip
    assert (seen["files"]["present"], seen["files"]["count"]) == (True, 120)
    assert sum(seen["files"]["by_type"].values()) == 120
    assert (seen["database"]["present"], seen["manifest"], seen["agree"]) == (False, None, None)

    moved = bot_host.migrate()["companies"][COMPANY]
    seen = facts(bot_host)
    assert (seen["authority"]["store"], seen["authority"]["host"]) == ("database", "bot-1")
    assert seen["authority"]["since"]
    assert (seen["agree"], seen["differences"]) == (True, {})
    assert seen["database"]["count"] == moved["keys"] == database.count()
    assert seen["database"]["identity"] == seen["files"]["identity"] == moved["identity"]
    assert seen["database"]["digest"] == seen["manifest"]["digest"] == moved["digest"]
    assert seen["database"]["expiring_types"] == ["lid-mapping"]
    assert seen["manifest"]["keys"] == moved["keys"]
    assert seen["manifest"]["left_out"] == 120 - 1 - moved["keys"]


def test_looking_changes_nothing(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    manifests = bot_host.state_dir / "manifests"
    shutil.copy(manifests / f"company_{COMPANY}.json", manifests / f"company_{COMPANY}.json.next")
    before = tree(bot_host.root)
    with bot_host.unchanged(database):
        facts(bot_host)
    assert tree(bot_host.root) == before
    # It could not if it wanted to.
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')
    try:
        assert facts(bot_host)["agree"] is True
    finally:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{database.name}" RESET default_transaction_read_only')


def test_differences_by_type(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id IN ('1', '2')")
    database.run("UPDATE whatsapp_keys SET value = '{}' WHERE key_type = 'pre-key' AND key_id = '3'")
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'session', '7.0', '{}')", COMPANY
    )
    seen = facts(bot_host)
    assert seen["agree"] is False
    assert seen["differences"] == {
        "pre-key": {"files_only": 2, "database_only": 0, "different": 1},
        "session": {"files_only": 0, "database_only": 1, "different": 0},
    }


def test_what_was_written_since_the_transfer(bot_host: BotHost, database: TestDatabase) -> None:
    """Which store an app writes to, whatever it says."""
    assert facts(bot_host)["since_transfer"] is None
    bot_host.migrate()
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 0}
    # A mapping that ages away is no writing.
    database.run("DELETE FROM whatsapp_keys WHERE expires_at IS NOT NULL")
    manifest = bot_host.state_dir / "manifests" / f"company_{COMPANY}.json"
    manifest.write_text(re.sub(r"1\d{9}\.\d+\]", "1.5]", manifest.read_text()))
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 0}

    database.run("UPDATE whatsapp_keys SET value = '{}' WHERE key_type = 'pre-key' AND key_id = '3'")
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id = '2'")
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 2}
    bot_host.write("pre-key-3", {})
    (bot_host.folder / "pre-key-2.json").unlink()
    bot_host.write("pre-key-99999", {})
    # One that is gone was taken by a cleanup.
    assert facts(bot_host)["since_transfer"] == {"files": 2, "rows": 2}
    # Without the database nobody knows of any.
    assert found(bot_host, conninfo=None)["companies"][COMPANY]["since_transfer"] == {"files": 2, "rows": 0}


def test_files_that_a_way_back_in_vain_has_left_were_written_by_nobody(
    bot_host: BotHost, database: TestDatabase
) -> None:
    """The database was given up for them, and was gone back to: it may hold other values than they."""
    bot_host.migrate()
    database.run("UPDATE whatsapp_keys SET value = '{}' WHERE key_type = 'pre-key'")
    good(bot_host.state("files", authority="abandon", accept_key_loss=True))
    good(bot_host.state("database", authority="settle"))
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 0}
    bot_host.write("pre-key-3", {"written": 1})
    assert facts(bot_host)["since_transfer"] == {"files": 1, "rows": 0}


def test_rows_that_the_app_spelt_in_its_own_way_were_not_written_since(
    bot_host: BotHost, database: TestDatabase
) -> None:
    bot_host.migrate()
    database.run("UPDATE whatsapp_keys SET value = '{\"a\": 1.50}' WHERE key_type = 'pre-key' AND key_id = '3'")
    bot_host.go_back()
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 0}
    database.run("UPDATE whatsapp_keys SET value = '{\"a\": 2}' WHERE key_type = 'pre-key' AND key_id = '3'")
    assert facts(bot_host)["since_transfer"] == {"files": 0, "rows": 1}


def test_login_made_anew_for_an_excluded_company(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1002", number="79990000003")
    bot_host.migrate()
    assert problems(found(bot_host, excluded=["1002"])) == []
    database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES ('1002', '{}')")
    answer = found(bot_host, excluded=["1002"])
    assert problems(answer) == ["row_of_excluded"]
    assert answer["problems"][0]["where"] == "company 1002"


def test_expired_rows(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    database.run("UPDATE whatsapp_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
    database.run("UPDATE whatsapp_keys SET expires_at = now() + interval '1 h' WHERE key_type = 'pre-key'")
    seen = facts(bot_host)["database"]
    assert seen["expired"] == 8
    assert seen["expiring_types"] == ["lid-mapping", "pre-key"]


def test_other_logins_that_would_be_made_anew(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1001", number="79990000002")
    bot_host.make(60, "1002", number="79990000003")
    answer = found(bot_host, excluded=["1002"])
    assert answer["other_companies"] == ["1001"]
    assert problems(answer) == ["company_not_moved"]
    assert "1001" in answer["problems"][0]["where"]
    # Moved in a run of its own, it is in nobody's way.
    bot_host.company_ids = ["1001"]
    bot_host.migrate()
    bot_host.company_ids = [COMPANY]
    bot_host.flag("files")
    assert problems(found(bot_host, excluded=["1002"])) == []


def test_all_companies(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1001", number="79990000002")
    bot_host.company_ids = []
    assert set(found(bot_host)["companies"]) == {COMPANY, "1001"}
    assert set(found(bot_host, excluded=["company_1001"])["companies"]) == {COMPANY}


def test_one_account_twice(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1001")
    bot_host.company_ids = [COMPANY, "1001"]
    assert problems(found(bot_host)) == ["login_twice"]


@pytest.mark.parametrize("problem", ["folder_missing", "creds_missing", "torn", "unknown_files", "sessions_missing"])
def test_everything_that_stands_in_the_way(bot_host: BotHost, database: TestDatabase, problem: str) -> None:
    if problem == "folder_missing":
        shutil.rmtree(bot_host.folder)
    elif problem == "creds_missing":
        (bot_host.folder / "creds.json").unlink()
    elif problem == "torn":
        (bot_host.folder / "pre-key-1.json").write_text("{")
    elif problem == "unknown_files":
        (bot_host.folder / "pre-key-x.json").write_text("{}")
    else:
        shutil.rmtree(bot_host.sessions)
    assert problem in problems(found(bot_host))


def test_what_is_wrong_with_old_files_is_a_finding(bot_host: BotHost, database: TestDatabase) -> None:
    """Once the database is right, the old files may be anything."""
    bot_host.migrate()
    (bot_host.folder / "creds.json").write_text("")
    answer = found(bot_host)
    assert problems(answer) == []
    assert any("old files" in finding for finding in answer["findings"])
    shutil.rmtree(bot_host.folder)
    answer = found(bot_host)
    assert problems(answer) == []
    assert answer["companies"][COMPANY]["files"]["present"] is False


def test_leftovers_are_named_and_masked(bot_host: BotHost, database: TestDatabase) -> None:
    (bot_host.folder / "session-79686484488.0.json.tmp").touch()
    (bot_host.folder / ".DS_Store").touch()
    (bot_host.folder / "bad\udcff.bak").touch()
    leftovers = facts(bot_host)["files"]["leftovers"]
    assert len(leftovers) == 3
    assert ".DS_Store" in leftovers
    assert "79686484488" not in json.dumps(leftovers)
    good(bot_host.state())


def test_without_the_database(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    answer = found(bot_host, conninfo="")
    assert (answer["database_compared"], answer["stats"], answer["tables"]) == (False, None, None)
    seen = answer["companies"][COMPANY]
    assert (seen["authority"]["store"], seen["database"], seen["agree"]) == ("database", None, None)
    bad = bot_host.conninfo.replace("127.0.0.1", "127.0.0.2")
    answer = found(bot_host, conninfo=bad)
    assert answer["database_compared"] is False
    assert problems(answer) == ["database_unreachable"]


def test_it_is_fast_the_second_time(bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not change since the manifest is not opened."""
    from ansible.module_utils.baileys_auth.folder import Folder

    time.sleep(0.12)
    good(bot_host.state())
    read = []
    original = Folder.read_bytes
    monkeypatch.setattr(Folder, "read_bytes", lambda self, name, size: read.append(name) or original(self, name, size))
    facts(bot_host)
    assert set(read) <= {"creds.json", "tctoken-__index.json"}


def test_the_dashboard(bot_host: BotHost, fresh_database: TestDatabase) -> None:
    """What step 6 of the runbook looks at in the browser."""
    bot_host.conninfo = fresh_database.conninfo
    bot_host.migrate()
    answer = found(bot_host)
    assert set(answer["tables"]) == {"whatsapp_auth", "whatsapp_keys", "whatsapp_auth_authority"}
    keys = answer["tables"]["whatsapp_keys"]
    assert keys["row_security"]
    assert keys["policies"] == [{"name": "service_role_all", "for": "ALL", "to": ["service_role"]}]
    assert keys["grants"].keys() == {"service_role"}
    assert [index["columns"] for index in keys["indexes"]] == [["expires_at"], ["company_id", "key_type", "key_id"]]
    assert answer["cron_jobs"] is None
    # The original's way, and pg_cron.
    fresh_database.run(
        "CREATE POLICY everybody ON whatsapp_keys FOR ALL USING (true); GRANT SELECT ON whatsapp_keys TO PUBLIC;"
        "CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint, schedule text, command text, active boolean);"
        "INSERT INTO cron.job VALUES (1, '0 */6 * * *', 'SELECT cleanup_expired_whatsapp_keys()', true),"
        " (2, '* * * * *', 'SELECT 1', true)"
    )
    answer = found(bot_host)
    keys = answer["tables"]["whatsapp_keys"]
    assert {"name": "everybody", "for": "ALL", "to": ["everybody"]} in keys["policies"]
    assert keys["grants"]["everybody"] == ["SELECT"]
    (job,) = answer["cron_jobs"]
    assert (job["name"], job["schedule"], job["active"], job["last"]) == ("1", "0 */6 * * *", True, None)
