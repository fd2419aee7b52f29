"""After deploy.yml: the bot is on the database with the login that it had, every key of it."""

from __future__ import annotations

from server import APP, FLAG, OWNERS, Server


def test_the_bot_is_up_on_the_database(server: Server) -> None:
    health = server.health()
    assert (health["store"], health["connection"]) == ("database", "open")
    for name in OWNERS:
        assert server.processes()[name]["pm2_env"]["status"] == "online"
        assert server.processes()[name]["pm2_env"]["unstable_restarts"] == 0


def test_it_is_the_login_that_it_was(server: Server) -> None:
    rows = server.sql(
        "SELECT company_id, creds->>'registrationId', creds->'signedIdentityKey'->'public'->>'data' FROM whatsapp_auth"
        f" WHERE company_id = '{server.company}'"
    )
    creds = server.creds()
    assert rows == [[server.company, str(creds["registrationId"]), creds["signedIdentityKey"]["public"]["data"]]]


def test_every_key_is_a_row(server: Server) -> None:
    """By type, as far as the messages since did not make new ones; mappings long out of use are left out."""
    files, rows = server.files_by_type(), server.rows_by_type()
    assert files.pop("creds.json") == 1
    assert 0 < rows["lid-mapping"] < files.pop("lid-mapping")
    assert rows - files == {"lid-mapping": rows["lid-mapping"]}
    assert files - rows == {}


def test_every_value_is_that_of_its_file(server: Server) -> None:
    """But for the sessions that the messages since have moved."""
    files = server.values()
    differ = {name for name, value in server.rows().items() if files.get(name) != value}
    assert {name for name in differ if not name.startswith("session-")} == set()
    assert len(differ) < 5


def test_mappings_are_strings_and_nothing_else_expires(server: Server) -> None:
    mapping = "key_type = 'lid-mapping'"
    wrong = f"({mapping}) <> (jsonb_typeof(value) = 'string') OR (NOT {mapping} AND expires_at IS NOT NULL)"
    assert server.sql(f"SELECT key_type, key_id FROM whatsapp_keys WHERE {wrong}") == []
    ((expiring,),) = server.sql(f"SELECT count(*) FROM whatsapp_keys WHERE {mapping} AND expires_at > now()")
    assert int(expiring) > 0


def test_the_flag_is_one_line(server: Server) -> None:
    assert server.flag_lines() == [f"{FLAG}=true"]


def test_the_newest_code_runs(server: Server) -> None:
    assert server.lines(f"git -C {APP} rev-list --count HEAD") == ["2"]
    assert server.lines(f"git -C {APP} status --porcelain") == []
    assert server.lines(f"git -C {APP} worktree list --porcelain | grep -c ^worktree") == ["1"]
