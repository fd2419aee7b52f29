"""A playbook run through ansible-runner: its events, and its death at one of them."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
from ansible.module_utils.node_host import procs
from driver import PROJECT, Sandbox

Event = dict[str, Any]


@dataclass
class Played:
    """How a run went: its tasks in the order of their results, and whether it was killed."""

    rc: int
    events: list[Event] = field(default_factory=list)
    killed: bool = False

    def changed(self) -> list[str]:
        """The names of the tasks that changed something."""
        return [event["event_data"]["task"] for event in self.events if changed(event)]


def changed(event: Event) -> bool:
    return event["event"] == "runner_on_ok" and bool(event["event_data"]["res"].get("changed"))


def play(
    sandbox: Sandbox,
    playbook: str,
    kill_after: Callable[[Event], bool] = lambda _event: False,
    project: Path = PROJECT,
    **variables: Any,
) -> Played:
    """Run a playbook; SIGKILL to its whole process group at the first event that `kill_after` picks."""
    played = Played(rc=-1)
    environment = {
        "SANDBOX": str(sandbox.root),
        "TERM": "dumb",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def look(event: Event) -> bool:
        if "event_data" not in event:
            return False  # a line that belongs to no task
        played.events.append(event)
        if not played.killed and kill_after(event):
            played.killed = True
            kill(event["pid"])
        return False  # no file of it is needed

    with tempfile.TemporaryDirectory() as folder:
        runner = ansible_runner.run(
            private_data_dir=folder,
            project_dir=str(project),
            playbook=playbook,
            extravars=variables,
            envvars=environment,
            verbosity=1,
            quiet=True,
            event_handler=look,
        )
        played.rc = runner.rc
        sandbox.outputs.append(runner.stdout.read())
    return played


def kill(controller: int) -> None:
    """The controller and its workers, each a process group; what they started on the host lives on."""
    family = procs.with_descendants([controller])
    workers = [process for process in family if process.parent == controller]
    for pid in (controller, *(worker.pid for worker in workers)):
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
