"""The hosts of the fleet, as an operator works them with one command, and as an onlooker sees each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from driver import PROJECT, Run, Sandbox, files_below

INVENTORY = ("-i", "inventory/sandbox", "-i", str(PROJECT / "tests" / "fleet" / "inventory"))
COMPANIES = {"sandbox": "962302", "second": "962303", "third": "962304"}


class Fleet:
    """`hosts` by their names in the inventory; the first one has the database."""

    def __init__(self, first: Sandbox) -> None:
        self.first = first
        others = {name: Sandbox(Path(f"{first.root}-{name}")) for name in ("second", "third")}
        self.hosts = {"sandbox": first, **others}

    def play(self, playbook: str, *arguments: str) -> Run:
        return self.first.play(playbook, *INVENTORY, *arguments)

    def login(self, name: str) -> Path:
        return self.hosts[name].app / "baileys_sessions" / f"company_{COMPANIES[name]}"

    def state_dir(self, name: str) -> Path:
        return self.hosts[name].app / ".auth-state"

    def seen(self, name: str) -> dict[str, Any]:
        """All that a run could change of a host: its app's files, its rows, its processes."""
        host, company = self.hosts[name], COMPANIES[name]
        rows = [(table, row) for table, rows in self.first.rows().items() for row in rows if company in row]
        state = sorted(str(path) for path in self.state_dir(name).rglob("*"))
        return {"files": files_below(host.app), "rows": rows, "processes": host.processes(), "state": state}
