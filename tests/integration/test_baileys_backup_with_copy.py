"""baileys_auth_state with backup=true: one reading of the files for the backup and for the rows."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

from bot_host import COMPANY, BotHost, codes, good, total
from postgresql_server import TestDatabase


def _held(archive: str) -> dict[str, bytes]:
    """{file: bytes} of an archive, its manifest apart."""
    with tarfile.open(archive) as tar:
        return {
            Path(member.name).name: tar.extractfile(member).read()  # type: ignore[union-attr]
            for member in tar
            if member.name != "manifest.json"
        }


def _files(bot_host: BotHost) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bot_host.folder.iterdir()}


def test_one_call_makes_both(bot_host: BotHost, database: TestDatabase) -> None:
    answer = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))
    facts = answer["companies"][COMPANY]
    assert _held(facts["backup"]["archive"]) == _files(bot_host)  # those that the TTL rule leaves out as well
    assert facts["keys"] == len(database.rows()) - 1
    verified = good(bot_host.backup(state="verified"))
    assert verified["companies"][COMPANY]["files"] == facts["backup"]["files"] == len(_files(bot_host))


def test_both_modules_take_each_others_backup(bot_host: BotHost) -> None:
    made = good(bot_host.backup())["companies"][COMPANY]
    facts = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))["companies"][COMPANY]
    assert facts["backup"] == made
    assert good(bot_host.backup())["changed"] is False


def test_second_run_makes_no_other(bot_host: BotHost) -> None:
    time.sleep(0.15)  # past the clock tick, so that the manifest trusts the stat
    first = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))
    second = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))
    assert second["changed"] is False
    assert second["companies"][COMPANY]["backup"] == first["companies"][COMPANY]["backup"]


def test_changed_file_makes_a_whole_new_backup(bot_host: BotHost) -> None:
    time.sleep(0.15)
    first = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))
    bot_host.write("pre-key-11", {"public": "bbbb"})
    second = good(bot_host.state(backup=True, backup_dir=str(bot_host.backups)))
    assert (total(second, "added"), total(second, "changed")) == (1, 0)
    archive = second["companies"][COMPANY]["backup"]["archive"]
    assert archive != first["companies"][COMPANY]["backup"]["archive"]
    assert _held(archive) == _files(bot_host)


def test_check_mode_says_so_and_writes_nothing(bot_host: BotHost) -> None:
    answer = good(bot_host.state(check=True, backup=True, backup_dir=str(bot_host.backups)))
    assert answer["changed"] is True
    assert not bot_host.backups.exists()


def test_torn_file_leaves_neither(bot_host: BotHost, database: TestDatabase) -> None:
    (bot_host.folder / "pre-key-3.json").write_text(json.dumps({"public": "x"})[:-3])
    answer = bot_host.state(backup=True, backup_dir=str(bot_host.backups))
    assert "torn" in codes(answer)
    assert database.rows() == {}
    assert not list(bot_host.backups.rglob("*backup_*"))


def test_check_mode_foretells_that_the_newest_backup_will_do(bot_host: BotHost, database: TestDatabase) -> None:
    made = good(bot_host.backup())["companies"][COMPANY]
    answer = good(bot_host.state(check=True, backup=True, backup_dir=str(bot_host.backups)))
    assert answer["companies"][COMPANY]["backup"] == made
    assert len(list(bot_host.backups.rglob("*.tar"))) == 1
