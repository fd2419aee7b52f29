"""Proof that nothing writes the login while it is copied."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..baileys_auth.folder import open_folder
from ..baileys_auth.names import Names, company_folder
from ..node_host import procs
from ..node_host.problems import HostError, Problem

_STILL = 0.06  # seconds between the two looks: more than the kernel's clock tick


def prove(sessions_dir: Path, company_ids: list[str], names: Names) -> None:
    """Raise HostError when a process has a login's folder open, or its files change although the owners are stopped."""
    before = [_look(sessions_dir / company_folder(company), names) for company in company_ids]
    strays = _holders([sessions_dir / company_folder(company) for company in company_ids])
    if strays:
        listed = ", ".join(f"{process.pid} ({process.command})" for process in strays)
        raise HostError(
            Problem(
                "login_in_use",
                str(sessions_dir),
                f"the owners are stopped, and these processes still have the login open: {listed}",
                f"Look what they do, stop them and run again: ps -fp {','.join(str(each.pid) for each in strays)}",
            )
        )
    time.sleep(_STILL)
    if before != [_look(sessions_dir / company_folder(company), names) for company in company_ids]:
        raise HostError(
            Problem(
                "login_not_at_rest",
                str(sessions_dir),
                "the owners are stopped, and the files of the login still change: something else writes them",
                "Look for a second copy of the app and for cleanup jobs (crontab -l), stop them and run again",
            )
        )


def _look(folder: Path, names: Names) -> object:
    if not folder.is_dir():
        return None
    with open_folder(folder, names) as opened:
        return opened.list().signatures


def _holders(folders: list[Path]) -> list[procs.Running]:
    """The processes, this one apart, that have a file of these folders open or stand in one of them."""
    inside = tuple(f"{os.path.realpath(folder)}/" for folder in folders)
    own, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        try:
            links = [os.readlink(link) for link in (entry / "cwd", *(entry / "fd").iterdir())]
        except OSError:
            continue  # it has ended, or is another user's
        if any(f"{link}/".startswith(inside) for link in links) and (process := procs.find(int(entry.name))):
            found.append(process)
    return found
