"""auth_state_cleanup on the target: what is deleted, and what never is. The ledger's part is in tests/days."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible.module_utils.baileys_auth import whole
from ansible.module_utils.baileys_auth.archive import Backups
from ansible.module_utils.baileys_auth.errors import AuthStateError, Problem
from ansible.module_utils.watch import cleanup, permit
from bot_host import COMPANY, BotHost, codes, good
from postgresql_server import TestDatabase


def call(host: BotHost, state: str = "planned", **more: Any) -> dict[str, Any]:
    return host.call("auth_state_cleanup", host.arguments(backup_dir=str(host.backups), state=state, **more))


def clean(host: BotHost, **more: Any) -> dict[str, Any]:
    return good(call(host, "cleaned", plan=good(call(host, **more))["plan"], **more))


@pytest.fixture
def moved(bot_host: BotHost) -> BotHost:
    """On the database since just now."""
    bot_host.migrate()
    return bot_host


def test_the_plan_counts_by_type_and_touches_nothing(moved: BotHost, database: TestDatabase) -> None:
    mappings = len(list(moved.folder.glob("lid-mapping-*")))
    with moved.unchanged(database):
        answer = good(call(moved))
    facts = answer["companies"][COMPANY]
    assert answer["changed"]
    assert facts["delete"] == {"lid-mapping": mappings}
    assert (facts["files"], facts["stays"]) == (mappings, 120 - mappings)
    assert "7911" not in json.dumps(answer)


def test_only_lid_mappings_go(moved: BotHost, database: TestDatabase) -> None:
    before = moved.contents()
    answer = clean(moved)
    assert moved.contents() == {name: data for name, data in before.items() if not name.startswith("lid-mapping-")}
    with tarfile.open(answer["archive"]) as tar:
        inside = {Path(each.name).name: tar.extractfile(each).read() for each in tar if each.isfile()}  # type: ignore[union-attr]
    assert inside == before
    assert oct(os.stat(answer["archive"]).st_mode)[-3:] == "600"
    assert good(moved.backup("verified", backup=answer["backups"][COMPANY]))["companies"][COMPANY]["files"] == 120
    assert not good(call(moved))["changed"]


def test_all_goes_but_what_is_no_key(moved: BotHost) -> None:
    (moved.folder / "creds.json.bak").write_text("{}")
    (moved.folder / "notes.txt").write_text("somebody's")
    answer = clean(moved, scope="all")
    assert [path.name for path in moved.folder.iterdir()] == ["notes.txt"]
    assert answer["companies"][COMPANY]["delete"]["leftovers"] == 1
    assert answer["companies"][COMPANY]["stays"] == 1


def test_an_empty_folder_goes_too_and_both_ways_go_on(moved: BotHost, database: TestDatabase) -> None:
    before = moved.values()
    clean(moved, scope="all")
    assert not moved.folder.exists()
    assert good(moved.info())["problems"] == []
    moved.go_back()
    after = moved.values()
    rows = {name: value for name, value in before.items() if name in after}
    assert after == rows
    assert {name for name in before if name not in after} <= {name for name in before if name.startswith("lid-")}


def test_never_while_files_own_the_login(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state("database"))
    with bot_host.unchanged(database):
        assert codes(call(bot_host, "cleaned", plan="x", scope="all")) == ["files_own"]


def test_never_after_a_rollback(moved: BotHost) -> None:
    moved.go_back()
    assert codes(call(moved)) == ["files_own"]


def test_never_when_the_flag_was_switched_by_hand(moved: BotHost) -> None:
    moved.flag("files")
    assert codes(call(moved)) == ["flag_against_record"]


INCOMPLETE = {
    "no creds": ("DELETE FROM whatsapp_auth", ["flag_without_login", "row_missing"]),
    "no app-state key": ("DELETE FROM whatsapp_keys WHERE key_type = 'app-state-sync-key'", ["database_incomplete"]),
    "no sessions": ("DELETE FROM whatsapp_keys WHERE key_type = 'session'", ["database_incomplete"]),
}


@pytest.mark.parametrize(("statement", "expected"), INCOMPLETE.values(), ids=list(INCOMPLETE))
def test_never_when_the_database_has_not_all_of_it(
    moved: BotHost, database: TestDatabase, statement: str, expected: list[str]
) -> None:
    database.run(statement)
    before = moved.files()
    assert set(codes(call(moved, "cleaned", plan="x", scope="all"))) <= set(expected)
    assert moved.files() == before


def test_never_files_of_another_login(moved: BotHost, tmp_path: Path) -> None:
    """As when an app found no login and made a new one in the old folder."""
    shutil.rmtree(moved.folder)
    moved.make(files=60, seed=2, number="79990000002")
    assert codes(call(moved)) == ["identity_changed"]


def test_another_plan_than_the_listed_one_is_not_carried_out(moved: BotHost) -> None:
    plan = good(call(moved))["plan"]
    moved.write("lid-mapping-79115550000", "199955500000000")
    before = moved.files()
    assert codes(call(moved, "cleaned", plan=plan)) == ["plan_changed"]
    assert moved.files() == before


def test_a_file_that_was_written_since_stays(moved: BotHost, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(moved.folder, folder)
    planned = cleanup.CompanyPlan()
    for name in ("pre-key-1.json", "pre-key-2.json"):
        planned.files[name] = ("pre-key", cleanup.Signature.of(os.stat(folder / name)))
    time.sleep(0.02)
    (folder / "pre-key-2.json").write_text("{}")
    with pytest.raises(AuthStateError, match="it was written since it was listed"):
        cleanup._unlink(folder, planned)
    assert (folder / "pre-key-2.json").read_text() == "{}"


def test_an_archive_that_is_not_what_the_folder_holds_does_not_count(
    moved: BotHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something writes into the folder while it is archived."""
    kept = tarfile.TarFile.add

    def add(self: tarfile.TarFile, name: Any, *arguments: Any, **more: Any) -> None:
        kept(self, name, *arguments, **more)
        if name == moved.sessions:  # it calls itself for what is below; by now that is in the archive
            moved.write("pre-key-1", {"private": "other"})

    monkeypatch.setattr(tarfile.TarFile, "add", add)
    with pytest.raises(AuthStateError, match="read back, 1 of 122 entries are not what the folder holds"):
        whole.archive(moved.sessions, moved.backups, "sessions")
    assert list(moved.backups.glob("*sessions*")) == []


def test_old_backups_go_by_retention(moved: BotHost) -> None:
    folder = moved.backups / f"company_{COMPANY}"
    folder.mkdir(parents=True)
    for day in (1, 2, 3):
        (folder / f"backup_2026100{day}T000000Z.tar").write_text("x")
        facts = {"archive": f"backup_2026100{day}T000000Z.tar", "created": f"2026-10-0{day}T00:00:00+00:00"}
        facts |= {"files": 1, "bytes": 1, "sha256": "", "digest": "", "identity": ""}
        (folder / f"backup_2026100{day}T000000Z.json").write_text(json.dumps(facts))
    (folder / "backup_by_the_original").mkdir()
    answer = good(call(moved, backup_keep=1, backup_days=30))
    assert answer["companies"][COMPANY]["backups"] == ["backup_20261001T000000Z.tar", "backup_20261002T000000Z.tar"]
    assert good(call(moved, backup_keep=3))["companies"][COMPANY]["backups"] == []
    clean(moved, backup_keep=1, backup_days=30)
    left = sorted(path.name for path in folder.glob("*.tar"))
    assert left[0] == "backup_20261003T000000Z.tar"
    assert (folder / "backup_by_the_original").is_dir()


def test_no_backup_goes_that_the_plan_does_not_name(moved: BotHost) -> None:
    for number in (1, 2):
        moved.write("lid-mapping-79115550000", f"19995550000000{number}")
        good(moved.backup())
    before = sorted(moved.backups.glob("company_*/*.tar"))
    moved.write("lid-mapping-79115550000", "199955500000003")
    clean(moved, backup_keep=1, backup_days=30)
    assert len(before) > 1
    assert set(before) < set(moved.backups.glob("company_*/*.tar"))


def test_nothing_goes_without_the_backup_of_a_whole_login(moved: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise AuthStateError(Problem("no_space", "the disk", "it is full", "Free some"))

    plan = good(call(moved))["plan"]
    before = moved.contents()
    monkeypatch.setattr(Backups, "create", full)
    assert codes(call(moved, "cleaned", plan=plan)) == ["no_space"]
    assert moved.contents() == before


def test_what_stops_half_way_says_what_is_gone(moved: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger has to tell of it: files that are gone unsaid look like somebody else's doing."""
    plan = good(call(moved))["plan"]
    unlink, gone = os.unlink, []

    def third_fails(path: Any, **options: Any) -> None:
        if "lid-mapping" in str(path):
            if len(gone) == 2:
                raise PermissionError(1, "Operation not permitted")
            gone.append(path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", third_fails)
    answer = call(moved, "cleaned", plan=plan)
    monkeypatch.undo()

    assert codes(answer) == ["not_deleted"]
    assert "2 files are gone" in answer["msg"]
    assert answer["companies"][COMPANY]["delete"] == {"lid-mapping": 2}
    assert answer["files"][COMPANY]["count"] == 118
    entry = permit.entry(answer, "lid_mapping", datetime.now(timezone.utc), "real")
    assert (entry["verdict"], entry["deleted"]) == ("bad", {COMPANY: {"lid-mapping": 2}})
    clean(moved)
    assert not list(moved.folder.glob("lid-mapping-*"))


def test_database_that_goes_away_in_the_middle_leaves_it_said(moved: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = good(call(moved))["plan"]

    def lost(settings: Any, database: Any, company: str, planned: Any) -> int:
        cleanup._unlink(settings.folder(company), planned)
        database._connection.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(cleanup, "delete", lost)
    answer = call(moved, "cleaned", plan=plan)
    assert answer["failed"]
    assert answer["archive"]
    assert answer["since"][COMPANY]
    mappings = answer["companies"][COMPANY]["delete"]["lid-mapping"]
    assert mappings > 0
    assert answer["files"][COMPANY]["count"] == 120 - mappings
