"""After the deploy that failed: the bot was never stopped, and no half of a login is in the tables."""

from __future__ import annotations

from server import APP, OWNERS, Server


def test_the_bot_was_never_stopped(server: Server) -> None:
    assert {server.starts()[name] for name in OWNERS} == {1}
    assert (server.health()["store"], server.health()["connection"]) == ("files", "open")
    assert server.flag_lines() == []


def test_no_half_of_a_login_is_in_the_tables(server: Server) -> None:
    assert server.sql("SELECT (SELECT count(*) FROM whatsapp_auth) + (SELECT count(*) FROM whatsapp_keys)") == [["0"]]


def test_the_code_is_that_of_before(server: Server) -> None:
    assert server.lines(f"git -C {APP} rev-list --count HEAD") == ["1"]
