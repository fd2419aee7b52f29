"""The step "copy" of a cut-over, and what it makes of another store that cannot be copied."""

from __future__ import annotations

import errno
import json
import shutil
import time
from typing import Any

import pytest
from ansible.module_utils.baileys_auth.database import Database
from ansible.module_utils.baileys_auth.manifest import ManifestStore
from ansible.module_utils.cutover import run
from ansible.module_utils.cutover.run import AS_THEY_ARE, BEST, FROM_BACKUP, CutOver
from ansible.module_utils.node_host.problems import HostError
from bot_host import COMPANY, BotHost, codes, good
from cut_overs import NOBODY, cut_over
from postgresql_server import TestDatabase

OTHERS = ["100001", "962303"]  # one is copied before it, one behind it


def step(cut: CutOver) -> None:
    dict(cut.steps())["copy"]()


@pytest.fixture
def moved(bot_host: BotHost) -> BotHost:
    time.sleep(0.11)  # past the clock tick, so that the manifest trusts what it saw
    bot_host.migrate()
    return bot_host


def app_writes(database: TestDatabase, company: str = COMPANY, step: int = 1) -> None:
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)"
        " VALUES (%s, 'session', '79990000001.0', %s::jsonb)"
        " ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value",
        company, json.dumps({"step": step}),
    )  # fmt: skip


def session(host: BotHost, company: str = COMPANY) -> Any:
    return host.values(company).get("session-79990000001.0.json")


def test_login_that_was_made_anew_costs_no_other_login_its_keys(bot_host: BotHost, database: TestDatabase) -> None:
    for number, company in enumerate(OTHERS):
        bot_host.make(40, company, number=f"7999000001{number}")
    bot_host.company_ids = [OTHERS[0], COMPANY, OTHERS[1]]
    time.sleep(0.11)
    bot_host.migrate()
    for company in bot_host.company_ids:
        app_writes(database, company)
    # The app did not find this one, and has made a new one.
    database.run(
        "UPDATE whatsapp_auth SET creds = jsonb_set(creds, '{registrationId}', '1') WHERE company_id = %s", COMPANY
    )
    old = bot_host.contents()
    step(cut_over(bot_host, "files", BEST))
    assert bot_host.contents() == old
    assert [session(bot_host, company) for company in OTHERS] == [{"step": 1}, {"step": 1}]


def test_database_that_is_gone_is_never_gone_back_to(bot_host: BotHost, database: TestDatabase) -> None:
    """A way back to the files fails behind the switch, and the database with it: the files are the best there is."""
    time.sleep(0.11)
    bot_host.migrate()
    bot_host.go_back()
    cut = cut_over(bot_host, "database", BEST, conninfo=NOBODY)
    record = (bot_host.state_dir / "state.json").read_text()
    with pytest.raises(HostError) as error:
        step(cut)
    assert [problem.code for problem in error.value.problems] == ["database_unreachable"]
    assert (bot_host.state_dir / "state.json").read_text() == record


@pytest.mark.parametrize("what", ["no folder", "no creds", "torn creds"])
def test_files_that_are_no_login_are_not_gone_back_to(moved: BotHost, database: TestDatabase, what: str) -> None:
    """The app would make a new login on them, whatever loss was accepted."""
    if what == "no folder":
        shutil.rmtree(moved.folder)
    elif what == "no creds":
        (moved.folder / "creds.json").unlink()
    else:
        (moved.folder / "creds.json").write_text('{"noiseKey":')
    with moved.unchanged(database), pytest.raises(HostError) as error:
        step(cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=True))
    assert "rollback_source=backup" in str(error.value)


@pytest.mark.parametrize("accepted", [True, False])
def test_database_that_goes_silent_does_not_keep_files_from_being_taken_as_they_are(
    moved: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, accepted: bool
) -> None:
    """It lets one in and then says nothing, as behind a pooler whose server is gone."""
    monkeypatch.setattr(Database, "has_login", lambda *_: time.sleep(30))
    cut = cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=accepted, copy_timeout=0.5)
    if not accepted:
        with pytest.raises(HostError) as error:
            step(cut)
        assert [problem.code for problem in error.value.problems] == ["key_loss"]
        return
    step(cut)
    assert list(cut.outcome.results) == [COMPANY]
    assert cut.outcome.results[COMPANY].identity


def test_way_back_that_was_cut_off_while_it_placed_files_is_no_conflict(
    moved: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot goes on on the database; what the files got is neither the last transfer's nor what is there now."""
    for number in (1, 2):
        app_writes(database, step=number)
        database.run(f"DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id = '{number}'")
        with monkeypatch.context() as disk:
            disk.setattr(ManifestStore, "prepare", full)
            assert moved.state("files", authority="move")["failed"]
        assert session(moved) == {"step": number}
    app_writes(database, step=3)
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'pre-key', '1', '{\"new\": 1}')",
        COMPANY,
    )
    answer = moved.go_back()
    assert answer["companies"][COMPANY]["archived"] is None
    assert session(moved) == {"step": 3}
    assert moved.values()["pre-key-1.json"] == {"new": 1}
    # And it is forgotten: from now on the same is somebody else's.
    moved.migrate()
    moved.write("session-79990000001.0", {"step": 1})
    app_writes(database, step=4)
    assert codes(moved.state("files", authority="move")) == ["conflict"]


def turning_back(host: BotHost, source: str) -> CutOver:
    """The database was given up for the files, the flag switched; and then the run failed."""
    cut = cut_over(host, "files", source, accept_key_loss=True)
    step(cut)
    host.flag("files")
    back = CutOver(cut.plan.opposite(), cut.journal, "a1")
    back._at_rest, back._listings = cut._at_rest, {}
    back._at_rest.look()
    return back


@pytest.mark.parametrize("source", [AS_THEY_ARE, FROM_BACKUP])
def test_store_that_was_given_up_is_what_it_was_when_that_fails(
    moved: BotHost, database: TestDatabase, source: str
) -> None:
    """Behind the switch, on its way back to the database: what the files have is old, and is not copied over it."""
    good(moved.backup())
    app_writes(database)
    before = database.rows()
    back = turning_back(moved, source)
    step(back)
    assert database.rows() == before
    # And from there the way back with every key is open.
    moved.flag("database")
    good(moved.state("database", authority="settle"))
    moved.go_back()
    assert session(moved) == {"step": 1}


def test_giving_the_database_up_in_vain_leaves_the_plain_way_back(moved: BotHost, database: TestDatabase) -> None:
    """It failed, or was killed, before the switch: the bot went on on the database."""
    app_writes(database)
    step(cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=True))
    app_writes(database, step=2)
    moved.go_back()
    assert session(moved) == {"step": 2}


def paired_again(database: TestDatabase, account: str = "79991112233:1@s.whatsapp.net") -> None:
    """Another login in the database; without an account it is one that an app has made that found none."""
    text = json.dumps({"id": account} if account else None)
    database.run(
        "UPDATE whatsapp_auth SET creds = jsonb_set(jsonb_set(creds, '{registrationId}', '1'), '{me}', %s::jsonb)"
        " WHERE company_id = %s",
        text,
        COMPANY,
    )


def test_files_of_a_login_that_was_paired_again_since_are_not_gone_back_to(
    moved: BotHost, database: TestDatabase
) -> None:
    paired_again(database)
    with moved.unchanged(database), pytest.raises(HostError) as error:
        step(cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=True))
    assert [problem.code for problem in error.value.problems] == ["identity_changed"]
    good(moved.state("files", authority="abandon", accept_key_loss=True, conflict="files"))


def test_one_that_was_paired_again_is_known_in_the_apps_own_spelling(moved: BotHost, database: TestDatabase) -> None:
    """Its Buffers as arrays."""
    paired_again(database)
    path = "{signedIdentityKey,public,data}"
    database.run(f"UPDATE whatsapp_auth SET creds = jsonb_set(creds, '{path}', to_jsonb(ARRAY{list(range(32))}))")
    with pytest.raises(HostError) as error:
        step(cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=True))
    assert [problem.code for problem in error.value.problems] == ["identity_changed"]


@pytest.mark.parametrize("what", ["no account", "no identity"])
def test_login_that_is_none_keeps_nobody_from_the_files(moved: BotHost, database: TestDatabase, what: str) -> None:
    if what == "no account":
        paired_again(database, "")
    else:
        database.run("UPDATE whatsapp_auth SET creds = creds - 'registrationId'")
    step(cut_over(moved, "files", AS_THEY_ARE, accept_key_loss=True))


def test_way_to_the_files_is_not_taken_back_to_a_database_without_the_login(
    moved: BotHost, database: TestDatabase
) -> None:
    database.run("DELETE FROM whatsapp_auth")
    back = turning_back(moved, AS_THEY_ARE)
    with moved.unchanged(database), pytest.raises(HostError) as error:
        step(back)
    assert [problem.code for problem in error.value.problems] == ["row_missing"]


@pytest.mark.parametrize("key_type", ["session", "pre-key", "app-state-sync-key"])
def test_database_that_has_lost_a_type_of_keys_is_not_copied_over_the_files(
    moved: BotHost, database: TestDatabase, key_type: str
) -> None:
    files = moved.contents()
    assert any(name.startswith(key_type) for name in files)
    database.run("DELETE FROM whatsapp_keys WHERE key_type = %s", key_type)
    with moved.unchanged(database):
        assert codes(moved.state("files", authority="move")) == ["rows_gone"]
    # In a way back of its own, which nobody is asked about, the files are the best there is.
    step(cut_over(moved, "files", BEST))
    assert moved.contents() == files


def test_file_whose_row_is_gone_is_kept(moved: BotHost, database: TestDatabase) -> None:
    name = next(each for each in moved.contents() if each.startswith("session-"))
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'session' AND key_id = %s", name[8:-5])
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'pre-key' AND key_id = '1'")
    data = moved.contents()[name]
    moved.go_back()
    assert name not in moved.contents()
    kept = moved.state_dir / "aside" / "removed" / moved.folder.name
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {name: data}


def test_backup_that_was_put_in_place_by_a_killed_run_is_no_conflict(moved: BotHost, database: TestDatabase) -> None:
    """It was killed before it gave the database up: the flag still names that, and the plain way back is open."""
    moved.flag("files")
    moved.write("pre-key-1", {"in": "the backup"})
    good(moved.backup())
    moved.write("pre-key-1", {"later": 1})
    moved.flag("database")
    app_writes(database)
    cut = cut_over(moved, "files", FROM_BACKUP, accept_key_loss=True)
    cut._restore()
    assert moved.values()["pre-key-1.json"] == {"in": "the backup"}
    moved.go_back()
    assert session(moved) == {"step": 1}


def test_folder_of_before_is_back_where_a_backup_was_put_in_vain(
    bot_host: BotHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    good(bot_host.backup())
    bot_host.write("pre-key-1", {"later": 1})
    before = bot_host.contents()
    monkeypatch.setattr(run.pm2_states, "carry_out", lambda _wanted: None)
    cut = cut_over(bot_host, "files", FROM_BACKUP, flag_store="files")
    step(cut)
    assert bot_host.contents() != before
    cut._undo_restore()
    assert bot_host.contents() == before


def test_row_that_somebody_else_wrote_since_the_pre_copy_is_a_conflict(
    bot_host: BotHost, database: TestDatabase
) -> None:
    """Also where the files have changed the same key."""
    time.sleep(0.11)
    good(bot_host.state("database"))
    database.run("UPDATE whatsapp_auth SET creds = jsonb_set(creds, '{nextPreKeyId}', '9999')")
    creds = json.loads(bot_host.contents()["creds.json"])
    bot_host.write("creds", {**creds, "nextPreKeyId": 10})
    with bot_host.unchanged(database):
        assert codes(bot_host.state("database", authority="move")) == ["conflict"]


def full(*_unused: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "manifests")
