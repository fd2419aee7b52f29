"""The ways to move a login from files to the database, each from the same start: no rows, no backup, warm files."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import command
from .command import Cost
from .logins import Login, change
from .modules import Modules
from .sandbox import PROJECT, Sandbox

CHANGED = 300  # keys that change between two runs
Steps = dict[str, Cost]


class Ways:
    """The three ways, on one sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        (folder / "payloads").mkdir()
        self.modules = Modules(folder / "payloads")
        self.env_file = folder / ".env"
        self.phases: dict[str, float] = {}  # seconds by phase, of the last copy of one login
        self.first_phases: dict[int, dict[str, float]] = {}  # of the last first copy, by files
        self._seed = 0

    def ours(self, login: Login) -> Steps:
        """(a) The modules: backup and copy as two tasks, both in one, and the way back."""
        steps: Steps = {}
        self._reset(login)
        steps["backup"] = self._measure(lambda: self._backup(login))
        steps["migrate"] = self._measure(lambda: self._state("database", login))
        steps["two tasks"] = steps["backup"] + steps["migrate"]
        self._reset(login)
        steps["whole"] = self._measure(lambda: self._state("database", login, backup=True))
        self.first_phases[login.files] = self.phases
        steps["unchanged"] = self._measure(lambda: self._state("database", login, backup=True))
        self._seed += 1
        change(login, CHANGED, self._seed)
        steps["changed"] = self._measure(lambda: self._state("database", login, backup=True))
        self._state("database", login, authority="move")
        self._flag(database=True)
        self._state("database", login, authority="settle")
        self.sandbox.sql(
            "UPDATE whatsapp_keys SET value = jsonb_set(value, '{version}', to_jsonb('v1.' || %s))"
            " WHERE (key_type, key_id) IN"
            " (SELECT key_type, key_id FROM whatsapp_keys WHERE key_type = 'session' ORDER BY key_id LIMIT %s)",
            str(self._seed),
            CHANGED,
        )
        steps["back, changed"] = self._measure(lambda: self._state("files", login, authority="move"))
        # Into an empty folder; the login's own comes back afterwards, since the other ways read it too.
        own = login.folder.with_name(f"aside_{login.company}")
        login.folder.rename(own)
        steps["back, empty folder"] = self._measure(lambda: self._state("files", login, authority="move"))
        shutil.rmtree(login.folder)
        own.rename(login.folder)
        return steps

    def original(self, login: Login) -> Steps:
        """(b) What the original script does, by its description."""
        self._reset(login)
        argv = [self.sandbox.node, PROJECT / "bench" / "original_way.mjs", login.folder, self._backups, login.company]
        return {"whole": self._measure(lambda: command.run(argv, env=self.sandbox.bot_environment)[0])}

    def limit(self, login: Login) -> Steps:
        """(c) What the tools of the system do at best: tar, and one COPY and merge of rows that are ready."""
        self._reset(login)
        tar = ["/bin/tar", "-cf", self._backups / "login.tar", "-C", login.folder, "."]
        steps = {
            "tar": self._measure(lambda: command.run(tar)[0]),
            "copy and merge": self._measure(lambda: self._copy_and_merge(login)),
        }
        steps["whole"] = steps["tar"] + steps["copy and merge"]
        return steps

    def many(self, logins: list[Login]) -> Steps:
        """(a) again, with many companies in one call."""
        self._reset(*logins)
        return {
            "whole": self._measure(lambda: self._state("database", *logins, backup=True)),
            "unchanged": self._measure(lambda: self._state("database", *logins, backup=True)),
        }

    def empty(self) -> Cost:
        """A module that does nothing."""
        return self.modules.run("ping")[0]

    def _copy_and_merge(self, login: Login) -> Cost:
        """Without Python's own start, which is no part of the limit."""
        argv = [sys.executable, PROJECT / "bench" / "copy_and_merge.py", login.creds_rows, login.keys_rows]
        cost, output = command.run(argv, env={"DATABASE_URL": self.sandbox.database_url})
        return replace(cost, seconds=float(output))

    @property
    def _backups(self) -> Path:
        return self.folder / "backups"

    def migrate(self, login: Login) -> None:
        """Not measured: rows for what is measured next."""
        self.start_over()
        self._state("database", login)

    def start_over(self) -> None:
        """Empty tables, no backup, no manifest, the flag off."""
        for name in ("backups", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self._backups.mkdir()
        self._flag(database=False)
        self.sandbox.drop_tables()
        self.modules.run("baileys_auth_schema", conninfo=self.sandbox.database_url, state="present")

    def _reset(self, *logins: Login) -> None:
        self.start_over()
        for login in logins:
            for path in login.folder.iterdir():
                path.read_bytes()

    def _flag(self, *, database: bool) -> None:
        self.env_file.write_text(f"USE_DATABASE_AUTH_STATE={str(database).lower()}\n")

    def _measure(self, work: Callable[[], Cost]) -> Cost:
        self.sandbox.settle()
        time.sleep(0.2)  # files written just before would count as perhaps still being written
        return work()

    def _backup(self, *logins: Login) -> Cost:
        return self.modules.run("baileys_auth_backup", backup_dir=str(self._backups), **self._files(logins))[0]

    def _state(self, destination: str, *logins: Login, authority: str = "keep", backup: bool = False) -> Cost:
        cost, result = self.modules.run(
            "baileys_auth_state",
            destination=destination,
            authority=authority,
            backup=backup,
            conninfo=self.sandbox.database_url,
            env_file=str(self.env_file),
            backup_dir=str(self._backups),
            **self._files(logins),
        )
        self.phases = result["companies"][logins[0].company]["seconds"]
        moved = [result["companies"][login.company]["keys"] for login in logins]
        if authority != "settle" and moved != [login.files - 1 for login in logins]:
            raise RuntimeError("not every key moved, so the time means nothing")
        return cost

    def _files(self, logins: tuple[Login, ...]) -> dict[str, Any]:
        return {
            "sessions_dir": str(logins[0].folder.parent),
            "state_dir": str(self.folder / "state"),
            "company_ids": [login.company for login in logins],
        }
