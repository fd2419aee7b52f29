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
from ansible.module_utils.cutover.run import AS_THEY_ARE, BEST, CutOver
from ansible.module_utils.node_host.problems import HostError
from bot_host import COMPANY, BotHost, codes
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


def full(*_unused: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "manifests")
