"""After cleanup.yml: the old mappings are gone and archived, and the bot is on the database, which has its own."""

from __future__ import annotations

from server import APP, FLAG, Server


def test_the_mappings_are_gone_and_nothing_else(server: Server) -> None:
    files = server.files_by_type()
    assert files["lid-mapping"] == 0
    assert files["creds.json"] == 1
    assert files.total() == 337 - len(archived_mappings(server)) > 0


def archived_mappings(server: Server) -> list[str]:
    (archive,) = server.lines(f"find {APP}/baileys_sessions_backup -name 'sessions_*.tar*' -perm 600 -user bot")
    return [name for name in server.lines(f"tar -tf {archive}") if "/lid-mapping-" in name]


def test_what_went_is_in_an_archive(server: Server) -> None:
    assert len(archived_mappings(server)) > 200


def test_the_bot_is_up_on_the_database(server: Server) -> None:
    assert (server.health()["store"], server.health()["connection"]) == ("database", "open")
    assert server.flag_lines() == [f"{FLAG}=true"]
    assert server.rows_by_type()["lid-mapping"] > 0
