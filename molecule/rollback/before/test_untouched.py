"""After check mode: the bot is on the database, as it was."""

from __future__ import annotations

from server import FLAG, OWNERS, Server


def test_the_bot_was_not_touched(server: Server) -> None:
    processes = server.processes()
    assert {processes[name]["pm2_env"]["status"] for name in OWNERS} == {"online"}
    assert {server.starts()[name] for name in OWNERS} == {2}, "prepared, and deployed"
    assert server.health()["store"] == "database"
    assert server.flag_lines() == [f"{FLAG}=true"]
