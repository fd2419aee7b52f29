"""The app as a deploy finds it: its tools, its code and the remote's, the disk, its settings. Reads only."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import dotenv, postgrest
from .mask import mask
from .pm2_list import show_switch
from .problems import HostError, Problem

_REMOTE_TIMEOUT = 60  # seconds
_GIT = {
    "GIT_TERMINAL_PROMPT": "0",  # no question for a password: there is nobody to answer
    "GIT_OPTIONAL_LOCKS": "0",  # or status refreshes the index: a write
}
_PARTS = (".git", "package.json", "node_modules")
_NO_BRANCH = 2  # git ls-remote --exit-code
_FIELDS = {"1": 7, "2": 8, "u": 9}  # before the name, by the kind of a line of git status


class Command:
    """A command that was begun, and goes on beside others."""

    def __init__(self, *words: str, timeout: float = _REMOTE_TIMEOUT) -> None:
        self._timeout, self._process, self._error = timeout, None, ""
        try:
            self._process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                errors="replace", env={**os.environ, **_GIT}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._error = f"{words[0]}: {error.strerror}"

    def done(self) -> tuple[int | None, str, str]:
        """(exit code, output, the line of its errors that says why); no code where it does not run, or does not end."""
        if self._process is None:
            return None, "", self._error
        try:
            output, errors = self._process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # with git's ssh, which holds the pipes
            self._process.communicate()
            return None, "", f"no answer within {self._timeout:g} s"
        lines = errors.strip().splitlines() or [""]
        return (
            self._process.returncode,
            output,
            mask(next((each for each in lines if each.startswith("fatal:")), lines[-1])),
        )


@dataclass(frozen=True)
class Code:
    """What git says of the app's folder. `changed`: tracked files that differ from the commit, as they may be shown.

    `secrets`: how many files of the login are tracked, and .env if it is: what git must never put in place.
    """

    commit: str = ""
    branch: str = ""
    changed: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    error: str | None = None


def code(app_dir: Path, env_file: Path, sessions_dir: Path) -> Code:
    """Of the repository there, if there is one."""
    git = ("git", "-C", str(app_dir))
    status = Command(*git, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z")
    inside = [os.path.relpath(path, app_dir) for path in (env_file, sessions_dir) if _inside(app_dir, path)]
    tracked = Command(*git, "ls-files", "-z", "--", *inside) if inside else None
    returned, output, error = status.done()
    names = tracked.done()[1].split("\0")[:-1] if tracked else []
    if returned != 0:
        return Code(error=error)
    facts, changed = read_status(output)
    env = os.path.relpath(env_file, app_dir)
    login = sum(name != env and "/company_" in f"/{name}" for name in names)
    return Code(
        commit=facts.get("branch.oid", ""),
        branch=facts.get("branch.head", ""),
        changed=tuple(map(mask, changed)),
        secrets=tuple([env] * (env in names) + [f"{login} files of the login"] * (login > 0)),
    )


def read_status(output: str) -> tuple[dict[str, str], list[str]]:
    """({header: value}, changed files) of `git status --porcelain=v2 --branch -z`."""
    facts, changed = {}, []
    entries = iter(output.split("\0"))
    for entry in entries:
        kind, _, rest = entry.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            facts[name] = value
        elif kind in _FIELDS:
            changed.append(rest.split(" ", _FIELDS[kind])[-1])
            if kind == "2":
                next(entries, None)  # where it was before
    return facts, changed


def _inside(folder: Path, path: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def disks(paths: Iterable[Path], mounts: str) -> list[dict[str, Any]]:
    """Space and inodes below each folder that exists, and where its filesystem is mounted. `mounts`: /proc's mountinfo.

    statvfs and not the mounts fact: that one leaves out overlay and bind mounts, the disk of a container.
    """
    points = [_unescaped(line.split()[4]) for line in mounts.splitlines()]
    found = []
    for path in paths:
        if not os.path.exists(path):  # also where this user may not look
            continue
        real, space = Path(os.path.realpath(path)), os.statvfs(path)
        found.append(
            {
                "path": str(path),
                "mount": max((point for point in points if real.is_relative_to(point)), key=len, default="?"),
                "free_mb": space.f_bavail * space.f_frsize >> 20,
                "free_inodes": space.f_favail,
                "inodes": space.f_files,  # 0 where the filesystem does not count them
            }
        )
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def settings(env_file: Path, flag: str) -> tuple[str | None, list[Problem]]:
    """(the flag, what is wrong with the file). No other value of it leaves this function."""
    try:
        dotenv.check_flag(flag, None)
        values = dotenv.values(dotenv.read(env_file))
    except HostError as error:
        return None, error.problems
    problems: list[Problem] = []
    try:
        postgrest.from_environment(values)
    except HostError as error:
        problems = error.problems
    return show_switch(values.get(flag)), problems


def look(
    app_dir: Path, sessions_dir: Path, env_file: Path, flag: str, remote: str | None, branch: str
) -> dict[str, Any]:
    """All of it; the remote and the tools only where a `remote` is given. What takes longest is begun first."""
    git = ("git", "-C", str(app_dir))
    asked = Command(*git, "ls-remote", "--exit-code", remote, f"refs/heads/{branch}") if remote else None
    tools = Command("npm", "version", "--json") if remote else None
    found = code(app_dir, env_file, sessions_dir)
    value, problems = settings(env_file, flag)
    return {
        "present": found.error is None or any(os.path.exists(app_dir / name) for name in _PARTS),
        "has_dependencies": os.path.exists(app_dir / "node_modules"),
        "code": {**vars(found), "changed": list(found.changed), "secrets": list(found.secrets)},
        "disks": disks((app_dir, sessions_dir), Path("/proc/self/mountinfo").read_text()),
        "flag": value,
        "problems": [each.as_dict() for each in problems],
        "node": _node(tools) if tools else None,
        "remote": _remote(asked) if asked else None,
    }


def _node(tools: Command) -> dict[str, Any]:
    returned, output, error = tools.done()
    try:
        return {"version": json.loads(output)["node"], "error": None}
    except (ValueError, KeyError, TypeError):
        return {"version": None, "error": error or f"npm version ended with {returned}"}


def _remote(asked: Command) -> dict[str, Any]:
    returned, output, error = asked.done()
    commit = (output.split() or [None])[0] if returned == 0 else None
    return {"commit": commit, "error": error if returned != 0 else None, "has_branch": returned != _NO_BRANCH}
