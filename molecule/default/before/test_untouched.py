"""After check mode: the server is as it was prepared."""

from __future__ import annotations

from server import APP, OWNERS, STATE, Server


def test_the_bot_was_not_touched(server: Server) -> None:
    assert {server.starts()[name] for name in OWNERS} == {1}
    assert server.health()["store"] == "files"
    assert server.flag_lines() == []


def test_nothing_was_written(server: Server) -> None:
    assert not server.host.file(STATE).exists
    assert not server.host.file(f"{APP}/baileys_sessions_backup").exists
    assert server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [["0"]]


def test_the_code_is_one_commit_behind(server: Server) -> None:
    assert server.lines(f"git -C {APP} rev-list --count HEAD") == ["1"]
    assert server.lines(f"git -C {APP} status --porcelain") == []
