"""The lock of a host: who changes it, since when and why. One file, there whole or not at all.

`<state_dir>/lock.json`. It outlives the run that took it when that run is killed, so it says how its holder can be
looked for: the machine that the playbook ran on, which start of it, and the process.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..baileys_auth.durable import locked, make_folder, remove, sync_folder, write_new
from ..node_host import machine, procs

ALIVE, GONE, UNKNOWN = "alive", "gone", "unknown"


@dataclass(frozen=True)
class Holder:
    """One run of a playbook. `boot` … `started`: its process on the controller; `since`: ISO 8601 in UTC."""

    run: str
    who: str
    controller: str
    playbook: str
    why: str
    since: str
    machine: str = ""
    boot: str = ""
    namespace: str = ""
    pid: int = 0
    started: int = 0

    @classmethod
    def here(cls, pid: int, playbook: str, why: str) -> Holder:
        """A new run, of that process on this machine."""
        process = procs.find(pid)
        return cls(
            run=secrets.token_hex(6),
            who=os.environ.get("SUDO_USER") or getpass.getuser(),
            controller=socket.gethostname(),
            playbook=playbook,
            why=why,
            since=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            machine=machine.machine_id(),
            boot=machine.boot_id(),
            namespace=machine.pid_namespace(),
            pid=pid,
            started=process.started if process else 0,
        )

    def __str__(self) -> str:
        return f"{self.who}@{self.controller} since {self.since}, for {self.playbook} ({self.why})"

    def seen_from_here(self) -> str:
        """ALIVE or GONE where that can be told from this machine, else UNKNOWN."""
        if not self.boot or self.controller != socket.gethostname():
            return UNKNOWN
        if self.boot != machine.boot_id():
            # The machine was started anew, unless it is another one of that name.
            same = bool(self.machine) and self.machine == machine.machine_id()
            return GONE if same and _before_this_boot(self) else UNKNOWN
        if not self.namespace or self.namespace != machine.pid_namespace():
            return UNKNOWN  # another container of this machine, say
        process = procs.find(self.pid)
        return ALIVE if process is not None and process.started == self.started else GONE


class Lock:
    """The lock of one host."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "lock.json"

    def holder(self) -> Holder | None:
        """Who has it. One that cannot be read is held by somebody unknown: no run of ours leaves such a file."""
        try:
            return Holder(**json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return Holder("", "somebody", "an unknown place", "an unknown playbook", "the file is damaged", "some time")

    def take(self, holder: Holder, instead_of: str | None = None) -> bool:
        """Take it, if it is free or held by the run `instead_of`; False when another has it."""
        make_folder(self.path.parent)
        with locked(self.path.parent):
            present = self.holder()
            if present is not None:
                if present.run != instead_of:
                    return False
                remove(self.path)
            temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
            remove(temporary)
            try:
                write_new(temporary, [json.dumps(asdict(holder), indent=1).encode() + b"\n"])
                os.link(temporary, self.path)  # never over another's
            finally:
                remove(temporary)
            sync_folder(self.path.parent)
        return True

    def release(self, run: str) -> bool:
        """Give it back; False when that run does not have it (any more)."""
        if self.holder() is None:
            return False
        with locked(self.path.parent):
            present = self.holder()
            if present is None or present.run != run:
                return False
            remove(self.path)
            sync_folder(self.path.parent)
        return True


def _before_this_boot(holder: Holder) -> bool:
    stat = dict(line.split(" ", 1) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return datetime.fromisoformat(holder.since).timestamp() < float(stat["btime"])
