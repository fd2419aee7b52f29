"""After rollback.yml: the bot is on its files, which hold what the database held."""

from __future__ import annotations

from server import FLAG, OWNERS, Server


def test_the_bot_is_up_on_its_files(server: Server) -> None:
    health = server.health()
    assert (health["store"], health["connection"]) == ("files", "open")
    for name in OWNERS:
        assert server.processes()[name]["pm2_env"]["status"] == "online"
        assert server.processes()[name]["pm2_env"]["unstable_restarts"] == 0


def test_every_row_is_a_file_of_the_same_value(server: Server) -> None:
    """Also that which only the database had. (The test message has moved a session since, and what goes with one.)"""
    files, rows = server.values(), server.rows()
    assert len(rows) > 50
    assert "pre-key-999999.json" in rows
    differ = {name for name, value in rows.items() if files.get(name) != value}
    assert {name for name in differ if not name.startswith("session-")} == set()
    assert len(differ) < 5


def test_it_is_the_login_that_it_was(server: Server) -> None:
    creds = server.creds()
    query = "SELECT creds->>'registrationId', creds->'signedIdentityKey'->'public'->>'data' FROM whatsapp_auth"
    assert server.sql(query) == [[str(creds["registrationId"]), creds["signedIdentityKey"]["public"]["data"]]]


def test_the_flag_is_one_line(server: Server) -> None:
    assert server.flag_lines() == [f"{FLAG}=false"]
