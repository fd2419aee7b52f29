"""After the deploy that failed: the bot is up again on its files, on the code of before, with the login of before."""

from __future__ import annotations

from server import APP, FLAG, OWNERS, Server


def test_the_bot_is_up_on_its_files(server: Server) -> None:
    health = server.health()
    assert (health["store"], health["connection"]) == ("files", "open")
    assert {server.processes()[name]["pm2_env"]["status"] for name in OWNERS} == {"online"}


def test_the_new_code_was_tried(server: Server) -> None:
    """Prepared, tried, and up again: a run that had failed before the stop would leave one start."""
    assert server.starts()["baileys-service"] >= 3


def test_the_code_is_that_of_before(server: Server) -> None:
    assert server.lines(f"git -C {APP} rev-list --count HEAD") == ["1"]
    assert server.lines(f"git -C {APP} status --porcelain") == []


def test_the_flag_is_off(server: Server) -> None:
    assert server.flag_lines() in ([], [f"{FLAG}=false"])


def test_the_login_is_whole(server: Server) -> None:
    creds = server.creds()
    query = "SELECT creds->>'registrationId', creds->'signedIdentityKey'->'public'->>'data' FROM whatsapp_auth"
    assert server.sql(query) == [[str(creds["registrationId"]), creds["signedIdentityKey"]["public"]["data"]]]
    assert server.files_by_type().total() >= 337
