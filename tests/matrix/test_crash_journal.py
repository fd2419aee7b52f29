"""The journalled run dies at every step of its journal, and its whole host with it; then the host is booted again.

After each: the bot comes up by itself, on a whole login; and what the operator does next, forward and back, succeeds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from host import Host

STEPS = ("stop", "rest", "copy", "release", "flag", "start", "healthy", "settle")
CELLS = [(to, step, moment) for to in ("database", "files") for step in STEPS for moment in ("begins", "ends")]
Move = Callable[[str], None]


@pytest.fixture(scope="module")
def move(host: Host, request: pytest.FixtureRequest) -> Move:
    """What an operator types next; or, to save time, the part of it that cuts over."""
    if request.config.getoption("--matrix") != "all":
        return host.must_cut_over
    return lambda to: host.play("deploy.yml" if to == "database" else "rollback.yml")


@pytest.mark.cells(("to", "step", "moment"), CELLS, today=1)
def test_killed(host: Host, move: Move, to: str, step: str, moment: str) -> None:
    before = "files" if to == "database" else "database"
    if host.store() == to:
        host.must_cut_over(before)
    host.is_whole(before)
    host.cut_over(to, point={"to": to, "step": step, "moment": moment})
    host.reboot()
    # The flag says on which side of the switch it died.
    after_switch = (STEPS.index(step), moment) >= (STEPS.index("flag"), "ends")
    host.is_whole(to if after_switch else before)
    move(to)
    host.is_whole(to)
    move(before)
    host.is_whole(before)


@pytest.mark.cells(("step", "moment"), [(step, moment) for step in STEPS for moment in ("begins", "ends")], today=1)
def test_killed_on_the_way_back(host: Host, move: Move, step: str, moment: str) -> None:
    """The cut-over fails after the switch, and dies while it brings the bot back."""
    if host.store() == "database":
        host.must_cut_over("files")
    host.is_whole("files")
    with host.silent_on("database") as failing:
        host.cut_over("database", point={"to": "files", "step": step, "moment": moment}, **failing)
    host.reboot()
    after_switch = (STEPS.index(step), moment) >= (STEPS.index("flag"), "ends")
    host.is_whole("files" if after_switch else "database")
    move("database")
    host.is_whole("database")
    move("files")
    host.is_whole("files")
