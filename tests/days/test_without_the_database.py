"""The database is lost after a cleanup: the archive is what is left.

The last story of these, by its name: the bot's keys are older afterwards than those of whom it has talked to.
"""

from __future__ import annotations

import shutil

from conftest import Days, ends_well, refused
from driver import COMPANY

STRANGER = "79005560042"


def test_rollback_still_works_from_the_archive_when_the_database_is_lost(days: Days) -> None:
    """The folder as the cleanup has left it, which is away, and what it has archived."""
    sandbox, identity = days.sandbox, days.sandbox.health()["identity"]
    archive = max((sandbox.backups / f"company_{COMPANY}").glob("backup_*.tar")).name
    ends_well(sandbox.play("deploy.yml"))
    shutil.rmtree(sandbox.company)
    with days.database_down():
        back = ("rollback.yml", "-e", "rollback_source=backup", "-e", f"rollback_backup={archive}")
        refused(sandbox.play(*back), "accept_key_loss=true")
        ends_well(sandbox.play(*back, "-e", "accept_key_loss=true"))
    assert (sandbox.health()["store"], sandbox.health()["identity"]) == ("files", identity)
    # Its keys are older than the last message of each chat: a new one is read.
    assert sandbox.converse(STRANGER, "from the archive") == "Answer to: from the archive"
