"""baileys_auth_state, database to the files: exact names and values, a delta, and round trips."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from bot_host import COMPANY, BotHost, codes, good, total
from postgresql_server import TestDatabase


@pytest.fixture
def moved(bot_host: BotHost) -> BotHost:
    """A login that was moved: the app runs on the database."""
    time.sleep(0.11)  # past the clock tick, so that the manifest trusts what it saw
    bot_host.migrate()
    return bot_host


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def app_sets(database: TestDatabase, kind: str, key: str, value: Any) -> None:
    """What the app does while it runs on the database."""
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, %s, %s, %s::jsonb)"
        " ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value",
        COMPANY, kind, key, json.dumps(value),
    )  # fmt: skip


def test_files_database_files_is_identical(moved: BotHost, tmp_path: Path) -> None:
    before = moved.contents()
    times = {path.name: path.stat().st_mtime_ns for path in moved.folder.iterdir()}
    answer = moved.go_back()
    assert answer["changed"] is False
    assert moved.contents() == before
    # Also when the folder is gone: but for the mappings that the TTL rule never moved.
    moved.migrate()
    shutil.rmtree(moved.folder)
    answer = moved.go_back()
    kept = json.loads((moved.state_dir / f"manifests/company_{COMPANY}.json").read_text().splitlines()[0])["entries"]
    after = moved.contents()
    assert len(after) == kept == total(answer, "added")
    assert {name: json.loads(data) for name, data in after.items()} == {
        name: json.loads(before[name]) for name in after
    }
    assert set(before) - set(after) == {name for name in before if name.startswith("lid-mapping-7911")} - set(after) | {
        name for name in before if name.startswith("lid-mapping-1999")
    } - set(after)
    assert {name: os.stat(moved.folder / name).st_mtime_ns for name in after if name.startswith("lid-mapping")} == {
        name: times[name] for name in after if name.startswith("lid-mapping")
    }
    assert {oct(path.stat().st_mode & 0o777) for path in moved.folder.iterdir()} == {"0o600"}


def test_database_files_database_is_identical(moved: BotHost, database: TestDatabase) -> None:
    before = database.logins()
    shutil.rmtree(moved.folder)
    shutil.rmtree(moved.state_dir / "manifests")  # nothing but the rows is left
    moved.go_back()
    database.run("DELETE FROM whatsapp_keys; DELETE FROM whatsapp_auth")
    shutil.rmtree(moved.state_dir / "manifests")
    moved.migrate()
    after = database.logins()
    assert after["creds"] == before["creds"]

    def seconds(rows: list[tuple]) -> list[tuple]:
        return [(*row[:4], round(row[4].timestamp(), 3) if row[4] else None) for row in rows]

    assert seconds(after["keys"]) == seconds(before["keys"])


def test_changed_added_and_removed_rows_follow(moved: BotHost, database: TestDatabase) -> None:
    before = moved.files()
    app_sets(database, "session", "102765710000001_1.1", {"version": "v9"})
    app_sets(database, "sender-key", "79001234567-1612345678@g.us::102765710000009_1::12", [{"senderKeyId": 8}])
    app_sets(database, "app-state-sync-key", "ZZZ/+A==", {"keyData": "AA=="})
    app_sets(database, "lid-mapping", "79990000077", "555000000000077")
    database.run("UPDATE whatsapp_keys SET expires_at = 'infinity' WHERE key_id = '79990000077'")  # a way to say never
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id IN ('1', '2')")
    plan = good(moved.state("files", authority="move", check=True))
    assert moved.files() == before
    answer = moved.go_back()
    assert answer["companies"][COMPANY]["actions"] == plan["companies"][COMPANY]["actions"]
    assert (total(answer, "added"), total(answer, "changed"), total(answer, "removed")) == (3, 1, 2)
    files = moved.contents()
    assert files["session-102765710000001_1.1.json"] == compact({"version": "v9"})
    assert files["sender-key-79001234567-1612345678@g.us--102765710000009_1--12.json"] == compact([{"senderKeyId": 8}])
    assert files["app-state-sync-key-ZZZ__+A==.json"] == compact({"keyData": "AA=="})
    assert files["lid-mapping-79990000077.json"] == b'"555000000000077"'
    assert "pre-key-1.json" not in files
    # Only what changed was written.
    after = moved.files()
    changed = {Path(name).name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {
        "session-102765710000001_1.1.json", "sender-key-79001234567-1612345678@g.us--102765710000009_1--12.json",
        "app-state-sync-key-ZZZ__+A==.json", "lid-mapping-79990000077.json", "pre-key-1.json", "pre-key-2.json", ".env",
    }  # fmt: skip
    assert good(moved.info())["companies"][COMPANY]["agree"] is True
    changed_path = moved.folder / "session-102765710000001_1.1.json"
    assert time.time() - changed_path.stat().st_mtime < 60


def test_mappings_left_out_stay_in_the_files(moved: BotHost, database: TestDatabase) -> None:
    left = {name for name in moved.contents() if name.startswith(("lid-mapping-7911", "lid-mapping-1999"))}
    app_sets(database, "pre-key", "99", {})
    answer = moved.go_back()
    assert left <= set(moved.contents())
    assert total(answer, "removed") == 0
    # And the next way there is no change for them either.
    answer = moved.migrate()
    assert total(answer, "added") == 0


def test_rows_past_their_expiry_come_back(moved: BotHost, database: TestDatabase) -> None:
    database.run("UPDATE whatsapp_keys SET expires_at = now() - interval '1 hour' WHERE expires_at IS NOT NULL")
    expired = [key for (key,) in database.run("SELECT key_id FROM whatsapp_keys WHERE expires_at < now()")]
    assert expired
    shutil.rmtree(moved.folder)
    moved.go_back()
    assert {f"lid-mapping-{key}.json" for key in expired} <= set(moved.contents())


def test_rows_that_the_cleanup_deleted_keep_their_files(moved: BotHost, database: TestDatabase) -> None:
    """The app's cleanup is no wish of the library's to delete the mapping."""
    manifest = moved.state_dir / f"manifests/company_{COMPANY}.json"
    keys = [key for (key,) in database.run("SELECT key_id FROM whatsapp_keys WHERE expires_at IS NOT NULL")]
    text = manifest.read_text()
    for (expiry,) in database.run("SELECT DISTINCT extract(epoch FROM expires_at)::float8 FROM whatsapp_keys"):
        if expiry:
            text = text.replace(str(expiry), str(time.time() - 100))
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines[1:]:
        for entry in line:
            entry[5] = time.time() - 100 if entry[5] else None
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    database.run("DELETE FROM whatsapp_keys WHERE expires_at IS NOT NULL")
    answer = moved.go_back()
    assert total(answer, "removed") == 0
    assert {f"lid-mapping-{key}.json" for key in keys} <= set(moved.contents())


def test_into_an_empty_place(moved: BotHost, database: TestDatabase) -> None:
    shutil.rmtree(moved.folder)
    shutil.rmtree(moved.state_dir)
    answer = moved.go_back()
    assert total(answer, "added") == len(database.rows())
    assert moved.folder.stat().st_mode & 0o777 == 0o700


def test_files_that_are_gone_are_no_conflict(moved: BotHost, database: TestDatabase) -> None:
    """As after a cleanup, which takes the lid-mappings of the files alone; or after one by hand."""
    kept = {key_id for (key_id,) in database.run("SELECT key_id FROM whatsapp_keys WHERE key_type = 'lid-mapping'")}
    assert kept
    before = moved.values()
    for path in (*moved.folder.glob("lid-mapping-*.json"), moved.folder / "pre-key-1.json"):
        path.unlink()
    answer = moved.go_back()
    assert answer["companies"][COMPANY]["archived"] is None
    gone = {name for name in before if name.startswith("lid-mapping-")} - {f"lid-mapping-{key}.json" for key in kept}
    assert moved.values() == {name: value for name, value in before.items() if name not in gone}


def test_old_files_in_any_shape_do_not_stop_the_way_back(
    moved: BotHost, database: TestDatabase, tmp_path: Path
) -> None:
    """Nothing in a store that is not right can stop the way back; what is not Baileys' stays."""
    folder = moved.folder
    (folder / "session-102765710000001_1.1.json").write_text("torn")
    (folder / "creds.json").write_text("")
    (folder / "notes.txt").write_text("mine")
    target = tmp_path / "elsewhere"
    target.write_text("not ours")
    (folder / "pre-key-1.json").unlink()
    (folder / "pre-key-1.json").symlink_to(target)
    answer = moved.state("files", authority="move")
    assert codes(answer) == ["conflict"]
    answer = good(moved.state("files", authority="move", conflict="database"))
    archive = Path(answer["companies"][COMPANY]["archived"])
    assert archive.stat().st_mode & 0o777 == 0o600
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"company_{COMPANY}/notes.txt" in listed
    assert (folder / "notes.txt").read_text() == "mine"
    assert target.read_text() == "not ours"
    assert not (folder / "pre-key-1.json").is_symlink()
    kept = {name: value for name, value in moved.contents().items() if name != "notes.txt"}
    rows = {json.dumps(json.loads(text), sort_keys=True) for text in database.rows().values()}
    assert {json.dumps(json.loads(data), sort_keys=True) for data in kept.values()} >= rows


def test_a_folder_where_a_key_belongs_is_named_before_anything_is_written(
    moved: BotHost, database: TestDatabase
) -> None:
    (moved.folder / "pre-key-77.json").mkdir()
    app_sets(database, "pre-key", "77", {})
    app_sets(database, "pre-key", "78", {})
    with moved.unchanged():
        answer = moved.state("files", authority="move")
    assert codes(answer) == ["foreign"]
    assert "pre-key-77.json" in answer["msg"]


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize(
    ("kind", "key", "value", "code"),
    [
        ("pre", "key-1", "{}", "rows_foreign"),  # what the original script's parsing made
        ("session", "a\nb", "{}", "rows_foreign"),
        ("session", "../../x", "{}", "rows_foreign"),
        ("session", "a:b", "{}", "rows_foreign"),
        ("session", "x" * 300, "{}", "rows_foreign"),
        ("session", "a.backup.b", "{}", "rows_foreign"),
        ("sender-key", "memory-1", "{}", "rows_foreign"),
        ("pre-key", "", "{}", "rows_foreign"),
        ("lid-mapping", "79990000055", "79990000055", "value_refused"),  # digits without quotes: a number
        ("device-list", "79990000055", "{}", "value_refused"),
        ("pre-key", "5", '{"a": 12345678901234567890123}', "value_refused"),
    ],
)
def test_rows_that_no_file_can_hold(
    moved: BotHost, database: TestDatabase, many: bool, kind: str, key: str, value: str, code: str
) -> None:
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, %s, %s, %s::jsonb)"
        " ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value",
        COMPANY, kind, key, value,
    )  # fmt: skip
    if many:  # so many rows to fetch that they are streamed
        shutil.rmtree(moved.folder)
    with moved.unchanged(database):
        answer = moved.state("files", authority="move")
    assert codes(answer) == [code]
    assert "79990000055" not in json.dumps(answer)


@pytest.mark.parametrize("creds", ["{}", "[]", '{"registrationId": 1}'])
def test_creds_in_the_database_that_are_none(moved: BotHost, database: TestDatabase, creds: str) -> None:
    database.run("UPDATE whatsapp_auth SET creds = %s::jsonb", creds)
    shutil.rmtree(moved.folder)
    with moved.unchanged(database):
        assert codes(moved.state("files", authority="move"))[0] in ("creds_foreign", "value_refused")


def test_no_row_of_the_company(moved: BotHost, database: TestDatabase) -> None:
    database.run("DELETE FROM whatsapp_auth")
    with moved.unchanged(database):
        assert codes(moved.state("files", authority="move")) == ["row_missing"]


def test_rows_that_the_app_spelt_in_its_own_way(moved: BotHost, database: TestDatabase) -> None:
    """1.50 is 1.5, and the array form of a Buffer is its base64: no conflict, and nothing to write for the first."""
    app_sets(database, "pre-key", "1", {"public": {"type": "Buffer", "data": [1, 2, 3]}})
    database.run("UPDATE whatsapp_keys SET value = '{\"a\": 1.50}' WHERE key_type = 'pre-key' AND key_id = '2'")
    moved.go_back()
    assert moved.values()["pre-key-1.json"] == {"public": {"type": "Buffer", "data": "AQID"}}
    assert moved.contents()["pre-key-2.json"] == b'{"a":1.5}'
    moved.write("pre-key-2", {"a": 1.5})
    answer = moved.migrate()
    assert total(answer, "changed") <= 2
    good(moved.state("files", check=True))


def test_the_same_change_in_two_spellings_is_no_conflict(moved: BotHost, database: TestDatabase) -> None:
    database.run("UPDATE whatsapp_keys SET value = '{\"a\": 1.50}' WHERE key_type = 'pre-key' AND key_id = '2'")
    moved.write("pre-key-2", {"a": 1.5})
    assert good(moved.state("files", authority="move"))["changed"] is False


def test_the_second_way_back_changes_nothing(moved: BotHost) -> None:
    good(moved.state("files", authority="move"))
    with moved.unchanged():
        answer = good(moved.state("files", authority="move"))
    assert answer["changed"] is False


def test_staged_files_of_a_killed_run_go_away(moved: BotHost, database: TestDatabase) -> None:
    staging = moved.state_dir / "staging" / f"company_{COMPANY}"
    staging.mkdir(parents=True)
    (staging / "pre-key-1.json").write_text("half")
    app_sets(database, "pre-key", "1", {"a": 1})
    moved.go_back()
    assert moved.values()["pre-key-1.json"] == {"a": 1}
    assert not any((moved.state_dir / "staging").rglob("*.json"))


def test_a_file_that_changes_meanwhile_is_found(moved: BotHost, database: TestDatabase, monkeypatch: Any) -> None:
    """Something writes into the folder during the way back: the read-back sees it."""
    from ansible.module_utils.baileys_auth.staging import Staging

    original = Staging.place

    def place(self: Staging, removed: Any) -> None:
        original(self, removed)
        moved.write("pre-key-5", {"written": "meanwhile"})

    monkeypatch.setattr(Staging, "place", place)
    app_sets(database, "pre-key", "1", {"a": 1})
    answer = moved.state("files", authority="move")
    assert codes(answer) == ["verification_failed"]
