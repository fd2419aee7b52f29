"""A sandbox as an operator works it, and as an onlooker sees it before and after."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

PROJECT = Path(__file__).resolve().parents[2]
COMPANY = "962302"
FLAG = "USE_DATABASE_AUTH_STATE"
PROCESSES = ("ai-admin-worker-v2", "baileys-service")


@dataclass(frozen=True)
class Run:
    """One run of ansible-playbook."""

    rc: int
    output: str

    def recap(self, host: str = "sandbox") -> dict[str, int]:
        """The host's line at the end: ok, changed, failed and so on."""
        found = re.search(rf"^{host} +: (ok=.*)$", self.output, re.M)
        assert found, self.output[-3000:]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", found[1])}

    def message(self, host: str = "sandbox") -> str:
        """How the run ended for the host, in words; wrapped lines joined."""
        starts = [match.start() for match in re.finditer(rf"^fatal: \[{host}\]", self.output, re.M)]
        messages = [" ".join(self.output[start : self._end_of(start)].split()) for start in starts]
        # The verdict at the very end only points at the one before.
        own = [message for message in messages if "more about it stands above" not in message]
        assert own, self.output[-3000:]
        return own[-1]

    def _end_of(self, start: int) -> int | None:
        end = re.compile(r"^\S", re.M).search(self.output, self.output.index("\n", start) + 1)
        return end.start() if end else None


@dataclass
class Sandbox:
    """The sandbox under ``root``, as an operator and as an onlooker."""

    root: Path
    outputs: list[str] = field(default_factory=list)

    @property
    def app(self) -> Path:
        return self.root / "ai-admin"

    @property
    def company(self) -> Path:
        return self.app / "baileys_sessions" / f"company_{COMPANY}"

    @property
    def backups(self) -> Path:
        return self.app / "baileys_sessions_backup"

    @property
    def database_url(self) -> str:
        return (self.root / "secrets" / "database_url").read_text().strip()

    @property
    def health_port(self) -> int:
        return json.loads((self.root / "ports.json").read_text())["health"]

    # What an operator types

    def play(self, playbook: str, *arguments: str) -> Run:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, *arguments]
        environment = os.environ | {"SANDBOX": str(self.root), "ANSIBLE_NOCOLOR": "1"}
        if "-vvv" in arguments:  # as older releases of ansible-core have shown what a module was told
            environment["ANSIBLE_INJECT_INVOCATION"] = "1"
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        self.outputs.append(output)
        return Run(done.returncode, output)

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        command = ["git", "-C", str(folder or self.app), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def pm2(self, *arguments: str) -> str:
        environment = os.environ | {
            "PM2_HOME": str(self.root / "pm2"),
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
        }
        return subprocess.run(["pm2", *arguments], env=environment, check=True, capture_output=True, text=True).stdout

    # What the bot does

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.health_port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read())

    def health(self) -> dict[str, Any]:
        return self.ask("/health")["companies"][0]

    def converse(self, phone: str, text: str) -> str:
        """Send a message and wait for the contact's answer: both ratchets of the stored session have moved."""
        self.ask("/send", {"phone": phone, "message": text, "company_id": COMPANY})
        query = urlencode({"phone": phone, "company_id": COMPANY})
        for _ in range(50):
            answer = self.ask(f"/last-response?{query}")["response"]
            if answer:
                return answer
            time.sleep(0.1)
        raise AssertionError("the contact has not answered")

    # What an onlooker sees

    def flag_lines(self) -> list[str]:
        return [line for line in (self.app / ".env").read_text().splitlines() if FLAG in line]

    def processes(self) -> dict[str, tuple[int, int, str]]:
        listed = self.pm2("jlist")
        return {
            process["name"]: (process["pid"], process["pm2_env"]["restart_time"], process["pm2_env"]["status"])
            for process in json.loads(listed[listed.index("[{") :])
        }

    def rows(self) -> dict[str, Any]:
        """Both tables, whole, and what else is in the schema."""
        with psycopg.connect(self.database_url) as connection:
            names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
            tables = [name for (name,) in connection.execute(names)]
            return {
                table: sorted(str(row) for row in connection.execute(f'SELECT * FROM public."{table}"'))
                for table in tables
            }

    def snapshot(self) -> dict[str, Any]:
        return {"files": files_below(self.app), "rows": self.rows(), "processes": self.processes()}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Disk, database and pm2 are the same after the block as before."""
        before = self.snapshot()
        yield
        assert difference(before, self.snapshot()) == {}


@contextmanager
def built() -> Iterator[Sandbox]:
    """A sandbox of the tests' own, as before the runbook; removed afterwards."""
    # Not pytest's own folder: that one is private, and the database's user must pass through.
    root = Path(tempfile.mkdtemp(prefix="auth-state-sandbox-"))
    sandbox = Sandbox(root)
    made = sandbox.play("playbooks/sandbox.yml")
    try:
        assert made.rc == 0, made.output[-6000:]
        yield sandbox
    finally:
        removed = sandbox.play("playbooks/sandbox_clean.yml")
        assert removed.rc == 0, removed.output[-3000:]
        assert not root.exists()


def files_below(app: Path) -> dict[str, str]:
    """Every file of an app: mode and contents. Our own folder aside, and of node_modules only which one it is."""
    seen = {}
    for folder, folders, names in os.walk(app):
        relative = Path(folder).relative_to(app)
        if relative == Path():
            folders[:] = [name for name in folders if name not in (".auth-state", "node_modules")]
            modules = app / "node_modules"
            seen["node_modules"] = str(modules.stat().st_ino if modules.exists() else None)
        seen[str(relative)] = oct(Path(folder).stat().st_mode)
        for name in names:
            file = Path(folder, name)
            seen[str(relative / name)] = f"{oct(file.stat().st_mode)} {hashlib.sha256(file.read_bytes()).hexdigest()}"
    return seen


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What differs between two snapshots, place by place."""
    found = {}
    for part, old in before.items():
        new = after[part]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                found[f"{part}: {key}"] = (old.get(key), new.get(key))
    return found
