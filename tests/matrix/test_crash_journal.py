"""The journalled run dies at every step of its journal, and its whole host with it; then the host is booted again.

After each: the bot comes up by itself, on a whole login; and what the operator does next, forward and back, succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from host import Host

STEPS = ("stop", "rest", "copy", "release", "flag", "start", "healthy", "settle")
CELLS = [(step, moment) for step in STEPS for moment in ("begins", "ends")]
Move = Callable[[str], None]


@pytest.fixture(scope="module")
def move(host: Host, request: pytest.FixtureRequest) -> Move:
    """What an operator types next; or, to save time, the part of it that cuts over."""
    if request.config.getoption("--matrix") != "all":
        return host.must_cut_over
    return lambda to: host.play("deploy.yml" if to == "database" else "rollback.yml")


@pytest.fixture(autouse=True)
def on_the_files(host: Host) -> None:
    if host.store() == "database":
        host.must_cut_over("files")
    host.is_whole("files")


def killed(host: Host, step: str, moment: str, to: str, *, meant: str | None = None, **more: Any) -> None:
    """A run dies on its way to this store; it was meant to go there, or turns back from the store that was meant."""
    host.cut_over(meant or to, point={"to": to, "step": step, "moment": moment}, **more)
    host.reboot()
    # The flag says on which side of the switch it died.
    after_switch = (STEPS.index(step), moment) >= (STEPS.index("flag"), "ends")
    host.is_whole(to if after_switch else "files" if to == "database" else "database")


@pytest.mark.cells(("step", "moment"), CELLS, today=1)
def test_killed_there_and_back(host: Host, move: Move, step: str, moment: str) -> None:
    killed(host, step, moment, "database")
    move("database")
    host.is_whole("database")
    killed(host, step, moment, "files")
    move("files")
    host.is_whole("files")


@pytest.mark.cells(("step", "moment"), CELLS, today=1)
def test_killed_as_it_turns_back(host: Host, move: Move, step: str, moment: str) -> None:
    """The cut-over fails after the switch, and dies while it brings the bot back."""
    with host.silent_on("database") as failing:
        killed(host, step, moment, "files", meant="database", **failing)
    move("database")
    host.is_whole("database")
    move("files")
    host.is_whole("files")
