"""A stop that fails, with an owner killed while it wrote: nothing is started on half a creds.json.

There is no pm2: that it is asked for its processes shows that the app would be started.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from ansible.module_utils.baileys_auth.database import Database
from ansible.module_utils.cutover.run import FROM_DATABASE, CutOver
from ansible.module_utils.node_host.pm2 import Pm2Error
from ansible.module_utils.node_host.problems import HostError
from bot_host import BotHost, good
from cut_overs import NOBODY, cut_over

Back = Callable[[CutOver], str]
pytestmark = pytest.mark.parametrize("back", [CutOver.revert, CutOver.start_as_is])


@pytest.fixture
def pre_copied(bot_host: BotHost) -> BotHost:
    """The bot is on its files, and these are in the database already."""
    time.sleep(0.11)  # past the clock tick, so that the manifest trusts what it saw
    good(bot_host.state())
    return bot_host


def tear(host: BotHost) -> None:
    creds = host.folder / "creds.json"
    creds.write_bytes(creds.read_bytes()[:-20])


def test_the_pre_copy_takes_its_place(pre_copied: BotHost, back: Back) -> None:
    whole = pre_copied.values()
    tear(pre_copied)
    cut = cut_over(pre_copied, "database", FROM_DATABASE)
    with pytest.raises(Pm2Error):
        back(cut)
    assert pre_copied.values() == whole
    assert [said for said in cut.outcome.warnings if "the verified pre-copy is used" in said]


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


def test_it_is_not_started_where_there_is_no_copy(pre_copied: BotHost, back: Back) -> None:
    tear(pre_copied)
    with pre_copied.unchanged(), pytest.raises(HostError) as error:
        back(cut_over(pre_copied, "database", FROM_DATABASE, conninfo=NOBODY))
    assert [problem.code for problem in error.value.problems] == ["torn"]
    assert "Do not start the app" in str(error.value)


def test_files_of_a_bot_on_the_database_do_not_matter(pre_copied: BotHost, back: Back) -> None:
    pre_copied.migrate()
    tear(pre_copied)
    with pre_copied.unchanged(), pytest.raises(Pm2Error):
        back(cut_over(pre_copied, "files", FROM_DATABASE))
