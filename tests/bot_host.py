"""The app's folders on one host, and the baileys_auth_* modules called on them as the roles call them."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import auth_states

PROJECT = Path(__file__).resolve().parents[1]
COMPANY = "962302"
FLAG = "USE_DATABASE_AUTH_STATE"
Answer = dict[str, Any]


@dataclass
class BotHost:
    """`state`, `info`, `backup` run a module and give its whole answer."""

    root: Path
    conninfo: str
    run_module: Callable[..., Answer] | None = None
    name: str = "bot-1"
    company_ids: list[str] = field(default_factory=lambda: [COMPANY])

    @property
    def sessions(self) -> Path:
        return self.root / "ai-admin" / "baileys_sessions"

    @property
    def state_dir(self) -> Path:
        return self.root / "ai-admin" / ".auth-state"

    @property
    def backups(self) -> Path:
        return self.root / "ai-admin" / "baileys_sessions_backup"

    @property
    def env_file(self) -> Path:
        return self.root / "ai-admin" / ".env"

    @property
    def folder(self) -> Path:
        return self.company()

    def company(self, company: str = COMPANY) -> Path:
        return self.sessions / f"company_{company}"

    def make(self, files: int = 120, company: str = COMPANY, **options: Any) -> Path:
        self.sessions.mkdir(parents=True, exist_ok=True)
        if not self.env_file.exists():
            self.flag("files")
        return auth_states.make(self.company(company), files, **options)

    def flag(self, store: str) -> None:
        self.env_file.write_text(f"PORT=3000\n{FLAG}={'true' if store == 'database' else 'false'}\n")

    # What the roles do

    def arguments(self, **more: Any) -> Answer:
        return {
            "conninfo": self.conninfo,
            "sessions_dir": str(self.sessions),
            "state_dir": str(self.state_dir),
            "env_file": str(self.env_file),
            "host": self.name,
            "company_ids": self.company_ids,
            **more,
        }

    def call(self, module: str, arguments: Answer, **options: Any) -> Answer:
        assert self.run_module is not None
        try:
            return self.run_module(module, **options, **arguments)
        finally:
            gc.enable()  # a module's own short process does without

    def state(self, destination: str = "database", *, check: bool = False, **more: Any) -> Answer:
        return self.call("baileys_auth_state", self.arguments(destination=destination, **more), _check=check)

    def info(self, **more: Any) -> Answer:
        return self.call("baileys_auth_info", self.arguments(**more))

    def backup(self, state: str = "present", *, check: bool = False, **more: Any) -> Answer:
        arguments = {
            "state": state,
            "sessions_dir": str(self.sessions),
            "state_dir": str(self.state_dir),
            "backup_dir": str(self.backups),
            "company_ids": self.company_ids,
        }
        return self.call("baileys_auth_backup", {**arguments, **more}, _check=check)

    def migrate(self, **more: Any) -> Answer:
        """The app moves to the database: last copy, flag, and the record."""
        answer = good(self.state("database", authority="move", **more))
        self.flag("database")
        good(self.state("database", authority="settle"))
        return answer

    def go_back(self, **more: Any) -> Answer:
        """The app moves back to its files."""
        answer = good(self.state("files", authority="move", **more))
        self.flag("files")
        good(self.state("files", authority="settle"))
        return answer

    def process(self, module: str, arguments: Answer, *, check: bool = False, **options: Any) -> subprocess.Popen[str]:
        """The module in a process of its own, its answer on standard output."""
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "tests/module_process.py"), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**arguments, "_check": check}))
        process.stdin.close()
        process.stdin = None
        return process

    # What an onlooker sees

    def files(self) -> dict[str, str]:
        """Every file, folder and link of the app but our own folder: mode, time, contents."""
        return {
            path: facts
            for path, facts in tree(self.root / "ai-admin").items()
            if path != ".auth-state" and not path.startswith(".auth-state/")
        }

    def contents(self, company: str = COMPANY) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.company(company).iterdir()) if path.is_file()}

    def values(self, company: str = COMPANY) -> dict[str, Any]:
        return {name: json.loads(data) for name, data in self.contents(company).items()}

    def write(self, key: str, value: Any, age_days: float = 0.0) -> Path:
        return auth_states.write(self.folder, key, value, age_days)

    def copy_to(self, root: Path) -> Path:
        return Path(shutil.copytree(self.folder, root))

    @contextmanager
    def unchanged(self, *databases: Any) -> Iterator[None]:
        """The app's files and these databases are the same after the block as before."""
        before = self.files(), [database.tables() for database in databases]
        yield
        after = self.files(), [database.tables() for database in databases]
        assert after == before


def tree(root: Path) -> dict[str, str]:
    seen = {}
    for folder, folders, names in os.walk(root):
        for name in sorted(folders + names):
            path = Path(folder, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                seen[str(path.relative_to(root))] = (
                    f"{oct(status.st_mode)} {status.st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                )
            else:
                target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
                seen[str(path.relative_to(root))] = f"{oct(status.st_mode)} {target}"
    return seen


def good(answer: Answer) -> Answer:
    """The answer of a run that must not fail."""
    assert not answer.get("failed"), answer.get("msg", answer)
    return answer


def codes(answer: Answer) -> list[str]:
    """The codes of what a failed run found."""
    assert answer.get("failed"), answer
    assert answer["msg"]
    return [problem["code"] for problem in answer["problems"]]


def total(answer: Answer, action: str, company: str = COMPANY) -> int:
    return sum(counts[action] for counts in answer["companies"][company]["actions"].values())
