"""The smoke test when it fails, in the real playbook: it ends in time, says why, and the deploy goes back by itself."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Days, ends_well
from driver import Run

CONTACT, NOBODY = "79001234567", "79001119999"
ANSWERS = [
    {"tool": "send_message", "arguments": {"phone": CONTACT, "message": "Test"}},
    {"tool": "get_last_response", "arguments": {"phone": NOBODY}, "wait": 3},
]
# It reads what it is asked, and says nothing.
HANGS = [sys.executable, "-c", "import sys, time; sys.stdin.readline(); time.sleep(600)"]
# What is wrong, and what is said of it.
FAULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no answer": (
        {"health_smoke_calls": ANSWERS},
        ["tool get_last_response", "No response received", "roll back"],
    ),
    "server down": (
        {"health_smoke_command": [], "health_smoke_url": "http://127.0.0.1:9/mcp"},
        ["MCP server http://127.0.0.1:9/mcp", "failed while connecting to it", "check its address"],
    ),
    "server that hangs": (
        {"health_smoke_command": HANGS, "health_smoke_timeout": 5},
        ["no answer within 5 s while starting it", "give a longer timeout"],
    ),
}


@pytest.fixture(scope="module")
def days(days: Days) -> Days:
    """The bot on its files, and a controller and a ledger that know nothing of the days before."""
    if days.sandbox.health()["store"] == "database":
        ends_well(days.sandbox.play("rollback.yml"))
    return days


def failed(run: Run, words: list[str]) -> None:
    assert run.rc == 2, run.output[-4000:]
    assert "Send the test message through MCP" in run.output
    for each in words:
        assert each in run.message(), run.message()


def alive(command: list[str]) -> list[str]:
    """Processes that run this very command."""
    wanted = "\0".join(command).encode() + b"\0"
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if read(path) == wanted]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("name", FAULTS)
def test_the_deploy_fails_in_time_and_goes_back_by_itself(days: Days, name: str) -> None:
    variables, words = FAULTS[name]
    sandbox, identity = days.sandbox, days.sandbox.health()["identity"]
    begun = time.monotonic()
    run = sandbox.play("deploy.yml", "-e", json.dumps(variables))
    assert time.monotonic() - begun < 240
    failed(run, [*words, "What it wrote meanwhile was taken along"])
    assert (sandbox.health()["store"], sandbox.health()["identity"]) == ("files", identity)
    assert sandbox.converse(CONTACT, f"after {name}") == f"Answer to: after {name}"
    assert NOBODY not in run.output
    assert alive(HANGS) == []


def test_asked_for_alone_it_fails_and_moves_nothing(days: Days) -> None:
    ends_well(days.sandbox.play("deploy.yml"))
    processes = days.sandbox.processes()
    run = days.sandbox.play("deploy.yml", "--tags", "smoke", "-e", json.dumps(FAULTS["no answer"][0]))
    failed(run, FAULTS["no answer"][1])
    assert days.sandbox.processes() == processes
    assert days.sandbox.health()["store"] == "database"
    ends_well(days.sandbox.play("deploy.yml", "--tags", "smoke"))
