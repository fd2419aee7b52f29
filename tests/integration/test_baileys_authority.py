"""Which store is right: refusals, conflicts, the choices, settle, abandon, two hosts, killed between two steps."""

from __future__ import annotations

import json
import shutil
import tarfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
from bot_host import COMPANY, BotHost, codes, good, total
from postgresql_server import TestDatabase


def record(database: TestDatabase) -> tuple | None:
    rows = database.run(
        "SELECT store, moving_to, host, revision FROM whatsapp_auth_authority WHERE company_id = %s", COMPANY
    )
    return rows[0] if rows else None


def app_sets(database: TestDatabase, key: str, value: object) -> None:
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'pre-key', %s, %s::jsonb)"
        " ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value",
        COMPANY, key, json.dumps(value),
    )  # fmt: skip


# The record


def test_the_record_of_a_whole_life(bot_host: BotHost, database: TestDatabase) -> None:
    host = bot_host.name
    good(bot_host.state(check=True))
    assert record(database) is None
    good(bot_host.state())
    assert record(database) == ("files", None, host, 1)
    good(bot_host.state())
    assert record(database) == ("files", None, host, 1)
    good(bot_host.state(authority="move"))
    assert record(database) == ("files", "database", host, 2)
    bot_host.flag("database")
    assert good(bot_host.state(authority="settle", check=True))["changed"] is True
    assert record(database) == ("files", "database", host, 2)
    assert good(bot_host.state(authority="settle"))["changed"] is True
    assert record(database) == ("database", None, host, 3)
    assert good(bot_host.state(authority="settle"))["changed"] is False
    good(bot_host.state("files", authority="move"))
    assert record(database) == ("database", "files", host, 4)
    bot_host.flag("files")
    good(bot_host.state("files", authority="settle"))
    assert record(database) == ("files", None, host, 5)
    state = json.loads((bot_host.state_dir / "state.json").read_text())
    assert state["companies"][COMPANY]["store"] == "files"
    assert (bot_host.state_dir / "state.json").stat().st_mode & 0o777 == 0o600
    assert (bot_host.state_dir).stat().st_mode & 0o777 == 0o700


def test_wrong_way_is_refused_with_the_command_for_the_other(bot_host: BotHost, database: TestDatabase) -> None:
    with bot_host.unchanged(database):
        answer = bot_host.state("files")
    assert codes(answer) == ["row_missing"]
    bot_host.migrate()
    with bot_host.unchanged(database):
        answer = bot_host.state("database")
        assert codes(answer) == ["wrong_way"]
        assert "rollback.yml" in answer["msg"]
    bot_host.go_back()
    with bot_host.unchanged(database):
        answer = bot_host.state("files")
        assert codes(answer) == ["wrong_way"]
        assert "deploy.yml" in answer["msg"]


def test_a_half_finished_move_follows_the_flag(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state(authority="move"))
    # Died before the flag: files are right.
    assert good(bot_host.info())["companies"][COMPANY]["authority"]["store"] == "files"
    good(bot_host.state(authority="move"))
    # Died after the flag: the database is.
    bot_host.flag("database")
    facts = good(bot_host.info())["companies"][COMPANY]["authority"]
    assert (facts["store"], facts["moving_to"]) == ("database", "database")
    assert codes(bot_host.state("database")) == ["wrong_way"]
    good(bot_host.state("files"))


def test_a_pre_copy_after_a_broken_off_move_takes_the_move_back(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state(authority="move"))
    good(bot_host.state())
    assert record(database)[:2] == ("files", None)


@pytest.mark.parametrize("changed", [0, 3], ids=["no file changed", "files changed"])
def test_a_row_that_somebody_wrote_between_the_copies_is_found_by_the_last(
    bot_host: BotHost, database: TestDatabase, changed: int
) -> None:
    """It takes the rows for what the pre-copy has left, until its verification tells it otherwise."""
    good(bot_host.state())
    database.run("UPDATE whatsapp_keys SET value = '{\"keyData\": \"bmV3\"}' WHERE key_type = 'pre-key'")
    for number in range(changed):
        bot_host.write(f"tctoken-7911000000{number}@lid", {"timestamp": "1"})
    with bot_host.unchanged(database):
        assert codes(bot_host.state(authority="move")) == ["conflict"]
    answer = good(bot_host.state(authority="move", conflict="files"))
    assert total(answer, "added") == changed
    assert answer["companies"][COMPANY]["verified"] is True
    assert "bmV3" not in str(database.run("SELECT value FROM whatsapp_keys WHERE key_type = 'pre-key'"))


def test_another_host_holds_the_login(bot_host: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    """Even one that is a copy of the first, our own folder included."""
    bot_host.migrate()
    shutil.copytree(bot_host.root, tmp_path / "second")
    second = BotHost(tmp_path / "second", database.conninfo, bot_host.run_module, "bot-2")
    with second.unchanged(database):
        for answer in (
            second.state("database"),
            second.state("files"),
            second.state("database", authority="settle"),
        ):
            assert codes(answer) == ["owned_elsewhere"]
            assert "bot-1" in answer["msg"]
    assert "owned_elsewhere" in [problem["code"] for problem in good(second.info())["problems"]]


def test_a_host_with_a_new_name_holds_its_login_still(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    bot_host.name = "renamed"
    assert good(bot_host.info())["problems"] == []
    good(bot_host.state("files", authority="move"))
    assert record(database)[2] == "renamed"
    # The name was changed and its own record is gone: it says the old name, as the refusal told.
    (bot_host.state_dir / "state.json").unlink()
    bot_host.name = "another"
    refused = bot_host.state("files", authority="move")
    assert codes(refused) == ["owned_elsewhere"]
    assert "-e auth_state_host=renamed" in refused["msg"]
    bot_host.name = "renamed"
    good(bot_host.state("files", authority="move"))


def test_two_hosts_one_database_one_login(bot_host: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    second = BotHost(tmp_path / "second", database.conninfo, bot_host.run_module, "bot-2")
    second.sessions.mkdir(parents=True)
    second.flag("files")
    shutil.copytree(bot_host.folder, second.folder)
    good(bot_host.state())
    with second.unchanged(database):
        assert codes(second.state()) == ["owned_elsewhere"]


# The flag against the record


def test_flag_switched_on_by_hand(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    bot_host.flag("database")
    with bot_host.unchanged(database):
        for destination in ("files", "database"):
            assert codes(bot_host.state(destination)) == ["flag_against_record"]
    # The app has run on the database since.
    app_sets(database, "50", {"a": 1})
    answer = good(bot_host.state("files", authority="move", conflict="database"))
    assert total(answer, "added") == 1
    bot_host.flag("files")
    good(bot_host.state("files", authority="settle"))
    assert record(database)[:2] == ("files", None)
    assert bot_host.values()["pre-key-50.json"] == {"a": 1}


def test_flag_switched_off_by_hand(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    bot_host.flag("files")
    with bot_host.unchanged(database):
        assert codes(bot_host.state("database")) == ["flag_against_record"]
    # The app has run on the files since.
    bot_host.write("pre-key-51", {"a": 1})
    good(bot_host.state("database", authority="move", conflict="files"))
    bot_host.flag("database")
    good(bot_host.state("database", authority="settle"))
    assert database.rows()["pre-key", "51"] == '{"a": 1}'


def test_the_store_that_the_app_reads_is_never_written(bot_host: BotHost, database: TestDatabase) -> None:
    """Whoever names a store whose flag is not on has to switch the flag first."""
    bot_host.migrate()
    bot_host.flag("files")
    app_sets(database, "50", {"a": 1})
    with bot_host.unchanged(database):
        answer = bot_host.state("files", authority="move", conflict="database")
        assert codes(answer) == ["flag_against_record"]
    bot_host.flag("database")
    bot_host.go_back()
    bot_host.flag("database")
    with bot_host.unchanged(database):
        answer = bot_host.state("database", authority="move", conflict="files")
        assert codes(answer) == ["flag_against_record"]


def test_flag_on_without_a_row_is_a_new_login_about_to_happen(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.flag("database")
    with bot_host.unchanged(database):
        assert codes(bot_host.state("database")) == ["flag_without_login"]
    assert "flag_without_login" in [problem["code"] for problem in good(bot_host.info())["problems"]]
    # The way out that it names.
    assert "rollback_source=files -e auth_state_conflict=files" in bot_host.state("database")["msg"]
    assert good(bot_host.info(conflict="files"))["problems"] == []
    assert not good(bot_host.state("files", authority="abandon", conflict="files"))["changed"]
    bot_host.flag("files")
    good(bot_host.state("files", authority="settle", conflict="files"))
    assert record(database)[:2] == ("files", None)


def test_moved_by_hand_long_ago_is_adopted(bot_host: BotHost, database: TestDatabase) -> None:
    """No record, no manifest, the flag on and the row there: the database is right, and that is said."""
    good(bot_host.state(lid_mapping_ttl_days=0))
    database.run("DELETE FROM whatsapp_auth_authority")
    shutil.rmtree(bot_host.state_dir)
    bot_host.flag("database")
    facts = good(bot_host.info())["companies"][COMPANY]
    assert facts["authority"]["store"] == "database"
    assert facts["authority"]["evidence"]
    assert codes(bot_host.state("database")) == ["wrong_way"]
    assert good(bot_host.state("database", authority="settle"))["changed"] is True
    assert record(database)[:2] == ("database", None)
    good(bot_host.state("files"))


# Conflicts


def test_rows_that_nobody_accounts_for(bot_host: BotHost, database: TestDatabase) -> None:
    """The original script's rows, for example."""
    database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES (%s, '{\"registrationId\": 1}')", COMPANY)
    app_sets(database, "1", {"somebody": "else"})
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'pre', 'key-9', '{}')", COMPANY
    )
    for check in (True, False):
        with bot_host.unchanged(database):
            answer = bot_host.state(check=check)
            assert codes(answer) == ["conflict"]
            assert "1 creds, 1 pre, 1 pre-key" in answer["msg"]
            assert codes(bot_host.state(check=check, conflict="database")) == ["conflict"]
    before = database.rows()
    with bot_host.unchanged(database):
        plan = good(bot_host.state(conflict="files", check=True))
    answer = good(bot_host.state(conflict="files"))
    assert plan["companies"][COMPANY]["actions"] == answer["companies"][COMPANY]["actions"]
    archive = Path(answer["companies"][COMPANY]["archived"])
    assert archive.stat().st_mode & 0o777 == 0o600
    assert archive.parent == bot_host.backups / f"company_{COMPANY}"
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {(line["key_type"], line["key_id"]): line["value"] for line in lines} == before
    assert ("pre", "key-9") not in database.rows()


def test_equal_rows_are_adopted(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    database.run("DELETE FROM whatsapp_auth_authority")
    shutil.rmtree(bot_host.state_dir)
    before = database.logins()
    answer = good(bot_host.state())
    assert answer["changed"] is False
    assert database.logins() == before


def test_both_sides_changed(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    app_sets(database, "1", {"database": 1})
    bot_host.write("pre-key-1", {"files": 1})
    app_sets(database, "70", {"database": 1})
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id = '2'")
    with bot_host.unchanged(database):
        answer = bot_host.state()
        assert codes(answer) == ["conflict"]
        assert "3 pre-key" in answer["msg"]
    good(bot_host.state(conflict="files"))
    rows = database.rows()
    assert rows["pre-key", "1"] == '{"files": 1}'
    assert ("pre-key", "70") not in rows
    assert ("pre-key", "2") in rows


def test_the_same_change_on_both_sides_is_no_conflict(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    app_sets(database, "1", {"same": 1})
    bot_host.write("pre-key-1", {"same": 1})
    assert good(bot_host.state())["changed"] is False


def test_two_archives_in_one_second_are_two(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    archives = set()
    for turn in range(3):
        app_sets(database, "1", {"turn": turn})
        archives.add(good(bot_host.state(conflict="files"))["companies"][COMPANY]["archived"])
    assert len(archives) == 3
    for archive in archives:
        assert Path(archive).exists()


def test_files_changed_after_the_move_are_a_conflict_on_the_way_back(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    bot_host.write("pre-key-1", {"by": "a stray process"})
    app_sets(database, "2", {"database": 1})
    with bot_host.unchanged(database):
        assert codes(bot_host.state("files")) == ["conflict"]
    answer = good(bot_host.state("files", conflict="database"))
    archive = Path(answer["companies"][COMPANY]["archived"])
    with tarfile.open(archive) as tar:
        assert json.load(tar.extractfile(f"company_{COMPANY}/pre-key-1.json")) == {"by": "a stray process"}
    assert bot_host.values()["pre-key-1.json"] != {"by": "a stray process"}


def test_another_identity_is_not_carried_over(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    creds = bot_host.values()["creds.json"]
    bot_host.write("creds", {**creds, "registrationId": creds["registrationId"] + 1})
    with bot_host.unchanged(database):
        assert codes(bot_host.state()) == ["identity_changed"]


# Giving a store up


def test_abandon_wants_the_loss_accepted_and_archives(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    app_sets(database, "80", {"new": 1})
    files = bot_host.contents()
    with bot_host.unchanged(database):
        answer = bot_host.state("files", authority="abandon")
        assert codes(answer) == ["key_loss"]
        assert "1 pre-key" in answer["msg"]
        assert good(bot_host.state("files", authority="abandon", accept_key_loss=True, check=True))["changed"] is True
    answer = good(bot_host.state("files", authority="abandon", accept_key_loss=True))
    archive = Path(answer["companies"][COMPANY]["archived"])
    assert '"80"' in archive.read_text()
    assert record(database)[:2] == ("database", "files")
    bot_host.flag("files")
    good(bot_host.state("files", authority="settle"))
    assert bot_host.contents() == files
    # The rows that were given up stand in nobody's way.
    good(bot_host.state("database", authority="move"))
    assert ("pre-key", "80") not in database.rows()


def test_abandon_without_a_loss_needs_nothing(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    answer = good(bot_host.state("files", authority="abandon"))
    assert answer["companies"][COMPANY]["archived"] is None
    bot_host.flag("files")
    assert good(bot_host.state("files", authority="abandon"))["changed"] is False


def test_abandon_and_settle_without_the_database(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    answer = bot_host.state("files", authority="abandon", conninfo="")
    assert codes(answer) == ["key_loss"]
    good(bot_host.state("files", authority="abandon", accept_key_loss=True, conninfo=""))
    bot_host.flag("files")
    good(bot_host.state("files", authority="settle", conninfo=""))
    # The database is back, its record is the older copy.
    facts = good(bot_host.info())["companies"][COMPANY]["authority"]
    assert facts["store"] == "files"


def test_settle_against_the_flag_is_refused(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state(authority="move"))
    with bot_host.unchanged(database):
        assert codes(bot_host.state("database", authority="settle")) == ["flag_against_record"]


# Killed between two steps


def test_killed_between_commit_and_the_manifests_rename(
    bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils.baileys_auth.manifest import ManifestStore

    bot_host.write("pre-key-1", {"old": 1})
    good(bot_host.state())
    bot_host.write("pre-key-1", {"new": 1})

    class Killed(BaseException):
        pass

    def killed(self: ManifestStore, company: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ManifestStore, "commit", killed)
        with pytest.raises(Killed):
            bot_host.state()
    assert (bot_host.state_dir / f"manifests/company_{COMPANY}.json.next").exists()
    assert database.rows()["pre-key", "1"] == '{"new": 1}'
    # The new rows are accounted for: no conflict, though the old manifest knows nothing of them.
    bot_host.write("pre-key-1", {"newer": 1})
    assert total(good(bot_host.state(check=True)), "changed") == 1
    assert (bot_host.state_dir / f"manifests/company_{COMPANY}.json.next").exists()
    assert total(good(bot_host.state()), "changed") == 1
    assert not (bot_host.state_dir / f"manifests/company_{COMPANY}.json.next").exists()


def test_killed_before_the_commit(bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.module_utils.baileys_auth.transfer import Transfer

    good(bot_host.state())
    bot_host.write("pre-key-1", {"new": 1})
    before = database.tables()

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "record", killed)
        with pytest.raises(Killed):
            bot_host.state()
    assert database.tables() == before
    assert (bot_host.state_dir / f"manifests/company_{COMPANY}.json.next").exists()
    assert total(good(bot_host.state()), "changed") == 1


def test_a_lost_or_damaged_manifest(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    manifest = bot_host.state_dir / f"manifests/company_{COMPANY}.json"
    whole = manifest.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\0" * 100, b"[]\n", whole.replace(b'"format": 1', b'"format": 9')):
        manifest.write_bytes(damaged)
        assert good(bot_host.state())["changed"] is False
    # Without a base, what differs is nobody's.
    manifest.unlink()
    bot_host.write("pre-key-1", {"new": 1})
    assert codes(bot_host.state()) == ["conflict"]


@pytest.mark.parametrize("text", ["{", '{"companies": {"962302": {"store": "files"}}}', '{"companies": []}'])
def test_a_damaged_state_file(bot_host: BotHost, database: TestDatabase, text: str) -> None:
    good(bot_host.state())
    (bot_host.state_dir / "state.json").write_text(text)
    with bot_host.unchanged(database):
        assert codes(bot_host.state()) == ["state_file"]


# Two at once


def test_two_runs_at_once_one_is_told(bot_host: BotHost, database: TestDatabase) -> None:
    with psycopg.connect(database.conninfo) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('baileys_auth_state/' || %s, 0))", [COMPANY])
        with bot_host.unchanged(database):
            for answer in (bot_host.state(), bot_host.state("database", authority="settle")):
                assert codes(answer)[0] in ("locked", "flag_against_record")
            assert codes(bot_host.state()) == ["locked"]
    good(bot_host.state())


def test_many_processes_at_once(bot_host: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    """Two runs of one host and one of another: each ends well or is told, and the login is whole."""
    second = BotHost(tmp_path / "second", database.conninfo, None, "bot-2")
    second.sessions.mkdir(parents=True)
    second.flag("files")
    shutil.copytree(bot_host.folder, second.folder)
    processes = [
        host.process("baileys_auth_state", host.arguments(destination="database"))
        for host in (bot_host, second, bot_host, second)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    hosts = {0: "bot-1", 1: "bot-2", 2: "bot-1", 3: "bot-2"}
    winners = {hosts[place] for place, answer in enumerate(answers) if not answer.get("failed")}
    assert len(winners) == 1, answers
    for answer in answers:
        if answer.get("failed"):
            assert codes(answer)[0] in ("locked", "owned_elsewhere")
    rows = database.rows()
    winner = bot_host if winners == {"bot-1"} else second
    assert json.loads(rows["creds", ""]) == winner.values()["creds.json"]
    winner.run_module = bot_host.run_module
    assert good(winner.state())["changed"] is False
    assert good(winner.info())["companies"][COMPANY]["agree"] is True


def test_two_runs_of_many_companies_at_once(bot_host: BotHost, database: TestDatabase) -> None:
    """Different companies do not wait for each other, and the host's copy of the records keeps both."""
    bot_host.make(60, "1001", number="79990000002")
    processes = [
        bot_host.process("baileys_auth_state", bot_host.arguments(destination="database", company_ids=[company]))
        for company in (COMPANY, "1001")
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert not [answer for answer in answers if answer.get("failed")]
    state = json.loads((bot_host.state_dir / "state.json").read_text())
    assert set(state["companies"]) == {COMPANY, "1001"}


def test_a_lock_on_the_tables_is_waited_for_and_then_said(
    bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils.baileys_auth import database as database_module

    monkeypatch.setattr(database_module, "_LOCK_TIMEOUT", "300ms")
    with psycopg.connect(database.conninfo) as other:
        other.execute("LOCK TABLE whatsapp_keys IN ACCESS EXCLUSIVE MODE")
        answer = bot_host.state()
        assert codes(answer) == ["database_error"]
        assert "55P03" in answer["msg"]
    # Held for a moment only: waited for.
    monkeypatch.setattr(database_module, "_LOCK_TIMEOUT", "10s")
    with psycopg.connect(database.conninfo) as other:
        other.execute("LOCK TABLE whatsapp_keys IN ACCESS EXCLUSIVE MODE")
        timer = threading.Timer(0.3, other.rollback)
        timer.start()
        start = time.monotonic()
        good(bot_host.state())
        assert time.monotonic() - start > 0.2
        timer.join()
