"""The journalled run dies at every step of its journal, and its whole host with it; then the host is booted again."""

from __future__ import annotations

import pytest
from host import Host

STEPS = ("stop", "rest", "copy", "release", "flag", "start", "healthy", "settle")
CELLS = [(to, step, moment) for to in ("database", "files") for step in STEPS for moment in ("begins", "ends")]


@pytest.mark.parametrize(("to", "step", "moment"), CELLS)
def test_killed(host: Host, to: str, step: str, moment: str) -> None:
    there, back = ("deploy.yml", "rollback.yml") if to == "database" else ("rollback.yml", "deploy.yml")
    if host.store() == to:
        host.play(back)
    host.is_whole()
    host.cut_over(to, kill={"to": to, "step": step, "moment": moment})
    host.reboot()
    host.is_whole()
    host.play(there)
    host.is_whole(to)
    host.play(back)
    host.is_whole()
