"""A stop that fails, with an owner killed while it wrote: nothing is started on half a creds.json.

There is no pm2: that it is asked for its processes shows that the app would be started.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from ansible.module_utils.baileys_auth.database import Database
from ansible.module_utils.cutover import run
from ansible.module_utils.cutover.run import FROM_DATABASE, CutOver
from ansible.module_utils.node_host.pm2 import Pm2Error
from ansible.module_utils.node_host.problems import HostError
from bot_host import COMPANY, BotHost, good
from cut_overs import NOBODY, cut_over
from postgresql_server import TestDatabase

Back = Callable[[CutOver], str]
ways = pytest.mark.parametrize("back", [CutOver.revert, CutOver.start_as_is])


@pytest.fixture
def pre_copied(bot_host: BotHost) -> BotHost:
    """The bot is on its files, and these are in the database already."""
    time.sleep(0.11)  # past the clock tick, so that the manifest trusts what it saw
    good(bot_host.state())
    return bot_host


def tear(host: BotHost) -> None:
    creds = host.folder / "creds.json"
    creds.write_bytes(creds.read_bytes()[:-20])


@ways
def test_the_pre_copy_takes_its_place(pre_copied: BotHost, back: Back) -> None:
    whole = pre_copied.values()
    tear(pre_copied)
    cut = cut_over(pre_copied, "database", FROM_DATABASE)
    with pytest.raises(Pm2Error):
        back(cut)
    assert pre_copied.values() == whole
    assert [said for said in cut.outcome.warnings if "the verified pre-copy is used" in said]


@ways
def test_creds_that_are_gone_come_from_the_pre_copy(pre_copied: BotHost, back: Back) -> None:
    whole = pre_copied.values()
    (pre_copied.folder / "creds.json").unlink()
    cut = cut_over(pre_copied, "database", FROM_DATABASE)
    with pytest.raises(Pm2Error):
        back(cut)
    assert pre_copied.values() == whole
    assert [said for said in cut.outcome.warnings if "was gone after the stop; the value of the verified" in said]


@ways
def test_nothing_is_started_where_the_folder_is_gone(pre_copied: BotHost, back: Back) -> None:
    shutil.rmtree(pre_copied.folder)
    with pytest.raises(HostError) as error:
        back(cut_over(pre_copied, "database", FROM_DATABASE))
    assert [problem.code for problem in error.value.problems] == ["torn"]
    assert "rollback_source=backup" in str(error.value)


@ways
def test_nothing_is_started_on_a_database_that_has_lost_the_login(
    pre_copied: BotHost, database: TestDatabase, back: Back
) -> None:
    pre_copied.migrate()
    database.run("DELETE FROM whatsapp_auth")
    with pre_copied.unchanged(), pytest.raises(HostError) as error:
        back(cut_over(pre_copied, "files", FROM_DATABASE))
    assert [problem.code for problem in error.value.problems] == ["row_missing"]
    # One that does not answer, the app waits for.
    with pytest.raises(Pm2Error):
        back(cut_over(pre_copied, "files", FROM_DATABASE, conninfo=NOBODY))


@ways
def test_what_runs_already_is_left_alone(pre_copied: BotHost, back: Back, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a reboot, where pm2 has brought it up; it may be writing what looks torn."""
    tear(pre_copied)
    state = {"processes": [{"status": "online", "stored_flag": False}], "missing": [], "pending": []}
    monkeypatch.setattr(run.pm2_states, "look", lambda _wanted: state)
    cut = cut_over(pre_copied, "database", FROM_DATABASE)
    with pre_copied.unchanged():
        said = back(cut)
    assert "the app runs on the files" in said
    # So it is where one that need not be there is not.
    state["missing"] = ["service"]
    cut.plan = replace(cut.plan, processes=replace(cut.plan.processes, names=["app", "service"], optional=["service"]))
    with pre_copied.unchanged():
        back(cut)
    # But not where a run was killed before it was started anew.
    state["pending"] = ["service"]
    with pytest.raises(Pm2Error):
        back(cut)
    state["pending"] = []
    # With the flag in pm2's memory it is on another store than .env says.
    state["processes"][0]["stored_flag"] = True
    with pytest.raises(Pm2Error):
        back(cut)


@ways
def test_no_move_is_under_way_any_more(
    bot_host: BotHost, database: TestDatabase, back: Back, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a flag that somebody switches by hand days later would pass for the end of it. The run was killed."""
    time.sleep(0.11)
    dict(cut_over(bot_host, "database", FROM_DATABASE).steps())["copy"]()
    assert database.run("SELECT store, moving_to FROM whatsapp_auth_authority") == [("files", "database")]
    up = {"processes": [{"status": "online", "stored_flag": False}], "missing": [], "pending": []}
    monkeypatch.setattr(run.pm2_states, "look", lambda _wanted: up)
    back(cut_over(bot_host, "database", FROM_DATABASE))
    assert database.run("SELECT store, moving_to FROM whatsapp_auth_authority") == [("files", None)]


@ways
@pytest.mark.parametrize("how", ["down", "silent"])
def test_the_backup_does_where_the_database_does_not_answer(
    pre_copied: BotHost, back: Back, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pre_copied.values()
    good(pre_copied.backup())
    tear(pre_copied)
    monkeypatch.setattr(Database, "values", lambda *_: time.sleep(30))
    more = {"conninfo": NOBODY} if how == "down" else {"copy_timeout": 0.5}
    cut = cut_over(pre_copied, "database", FROM_DATABASE, **more)
    with pytest.raises(Pm2Error):
        back(cut)
    assert pre_copied.values() == whole
    assert [said for said in cut.outcome.warnings if "the newest backup is used" in said]


@ways
def test_it_is_not_started_where_there_is_no_copy(pre_copied: BotHost, back: Back) -> None:
    tear(pre_copied)
    with pre_copied.unchanged(), pytest.raises(HostError) as error:
        back(cut_over(pre_copied, "database", FROM_DATABASE, conninfo=NOBODY))
    assert [problem.code for problem in error.value.problems] == ["torn"]
    assert "Do not start the app" in str(error.value)


@ways
def test_files_of_a_bot_on_the_database_do_not_matter(pre_copied: BotHost, back: Back) -> None:
    pre_copied.migrate()
    tear(pre_copied)
    with pre_copied.unchanged(), pytest.raises(Pm2Error):
        back(cut_over(pre_copied, "files", FROM_DATABASE))


@ways
def test_trouble_with_one_login_hides_no_other(bot_host: BotHost, back: Back) -> None:
    bot_host.make(40, "100001", number="79990000010")
    bot_host.company_ids = ["100001", COMPANY]
    time.sleep(0.11)
    good(bot_host.state())
    tear(bot_host)
    bot_host.company("100001").rename(bot_host.root / "elsewhere")
    bot_host.company("100001").symlink_to(bot_host.root / "elsewhere")
    cut = cut_over(bot_host, "database", FROM_DATABASE, conninfo=NOBODY, looks=False)
    with pytest.raises(HostError) as error:
        back(cut)
    assert "torn" in [problem.code for problem in error.value.problems]


def test_file_that_an_owner_is_writing_is_left_to_it(pre_copied: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the stop did not reach: half a file at each look, and another half each time."""
    cut = cut_over(pre_copied, "database", FROM_DATABASE)
    half, whole = pre_copied.folder / "pre-key-1.json", pre_copied.contents()["pre-key-1.json"]
    look = CutOver._look

    def looks(self: CutOver, company: str) -> object:
        half.write_bytes(whole[: len(whole) - looks.times])
        looks.times += 1
        return look(self, company)

    looks.times = 5
    monkeypatch.setattr(CutOver, "_look", looks)
    tear(pre_copied)
    with pytest.raises(Pm2Error):
        cut.revert()
    assert half.read_bytes() == whole[: len(whole) - looks.times + 1]
    assert [said for said in cut.outcome.warnings if "creds.json was torn by the stop" in said]
    assert not [said for said in cut.outcome.warnings if "pre-key" in said]


@pytest.mark.parametrize("creds", ["whole", "torn"])
def test_way_to_the_files_of_a_bot_that_is_on_them(pre_copied: BotHost, creds: str) -> None:
    """Left between the two by a run that was killed before its switch."""
    whole = pre_copied.values()
    cut = cut_over(pre_copied, "files", FROM_DATABASE, flag_store="files")
    if creds == "torn":
        tear(pre_copied)
    dict(cut.steps())["rest"]()
    assert pre_copied.values() == whole
