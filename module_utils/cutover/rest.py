"""Proof that nothing writes a login while it is copied, and that nothing but its owners opens it afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from ..baileys_auth.folder import Listing, open_folder
from ..baileys_auth.transfer import Settings
from ..node_host import cron_jobs, procs
from ..node_host.problems import HostError, Problem

_RUNTIMES = ("node", "bun", "deno")  # an editor that has the script open runs nothing
_CRON = cron_jobs.PATHS
_STILL = 0.06  # seconds that the files must be still before the copy: more than the kernel's clock tick


def cleanup_jobs(sessions_dir: Path) -> list[str]:
    """A warning for each line of cron that looks as if it deleted files of a login, and says nothing of what is in it.

    No more than a warning: whether it fires while the login moves is only seen then (`Rest.still`).
    """
    return [
        f"{where}: a job of cron deletes in {sessions_dir}, or cleans old keys up there. When it fires while the login"
        " is copied the cut-over is given up; and keys must not be deleted by age. Take that line out"
        for where in cron_jobs.cleaning(sessions_dir, _CRON)
    ]


class Rest:
    """The logins of one cut-over, whose owners are stopped. `scripts`: what the owners run."""

    def __init__(self, settings: Settings, company_ids: list[str], scripts: Iterable[str]) -> None:
        self._sessions_dir, self._names = settings.sessions_dir, settings.names
        self._folders = {company: settings.folder(company) for company in company_ids}
        self._scripts = {os.path.realpath(script) for script in scripts}
        self._seen: dict[str, Listing] = {}

    def look(self) -> dict[str, Listing]:
        """The files of each company as they are; `still` tells what changes from now on.

        Looked at before the owners are stopped, it takes less time once they are.
        """
        self._seen = {company: self._list(company) for company in self._folders}
        return {company: replace(seen, signatures=dict(seen.signatures)) for company, seen in self._seen.items()}

    def prove(self) -> None:
        """Raise HostError when another process has a login open, or when its files change all the same."""
        self.look()
        self.nobody_else(())
        time.sleep(_STILL)
        self.still()

    def still(self) -> None:
        """Raise HostError when a file was added, changed or removed since the last look."""
        if any(seen != self._list(company) for company, seen in self._seen.items()):
            jobs = cron_jobs.cleaning(self._sessions_dir, _CRON)
            raise HostError(
                Problem(
                    "login_not_at_rest",
                    str(self._sessions_dir),
                    "the owners are stopped, and the files of the login still change: something else writes them",
                    "Look for a second copy of the app and for cleanup jobs"
                    f" ({'; '.join(jobs) or 'crontab -l'}), stop them and run again",
                )
            )

    def nobody_else(self, owners: Collection[int]) -> None:
        """Raise HostError when a process that is not below one of these has a login open, or runs its app."""
        family = {process.pid for process in procs.with_descendants(owners)}
        strays = [process for process in self._users() if process.pid not in family]
        if not strays:
            return
        listed = ", ".join(f"{process.pid} ({process.command})" for process in strays)
        raise HostError(
            Problem(
                "login_in_use",
                str(self._sessions_dir),
                f"processes that pm2 does not know as its owners have the login open: {listed}."
                " Two of them on one login end in error 440 and in lost keys",
                f"Look what they do, stop them and run again: ps -fp {','.join(str(each.pid) for each in strays)}",
            )
        )

    def _list(self, company: str) -> Listing:
        folder = self._folders[company]
        if not folder.is_dir():
            return Listing()
        with open_folder(folder, self._names) as opened:
            return opened.list(self._seen.get(company))

    def _users(self) -> list[procs.Running]:
        """Those, this process apart, that have a file of a login open, or run the script of an owner."""
        inside = tuple(f"{os.path.realpath(folder)}/" for folder in self._folders.values())

        def uses(process: procs.Running) -> bool:
            return any(f"{path}/".startswith(inside) for path in procs.opened(process.pid)) or (
                (procs.program(process.pid) or process.command).startswith(_RUNTIMES)
                and not self._scripts.isdisjoint(procs.arguments(process.pid))
            )

        return [
            process
            for process in map(procs.find, procs.pids())
            if process and process.pid != os.getpid() and uses(process)
        ]
