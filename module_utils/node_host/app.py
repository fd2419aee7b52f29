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
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone would fetch what is asked for
}
_PARTS = (".git", "package.json", "node_modules")
_NO_BRANCH = 2  # git ls-remote --exit-code
# By a host's own npm settings, or since another package has it.
_MAY_BE_LEFT_OUT = ("dev", "optional", "devOptional", "peer", "extraneous", "inBundle")
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
    `exclude`: the repository's own list of what it does not track.
    """

    commit: str = ""
    branch: str = ""
    changed: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    exclude: str | None = None
    error: str | None = None


def code(app_dir: Path, env_file: Path, sessions_dir: Path) -> Code:
    """Of the repository there, if there is one."""
    git = ("git", "-C", str(app_dir))
    status = Command(*git, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z")
    inside = [os.path.relpath(path, app_dir) for path in (env_file, sessions_dir) if _inside(app_dir, path)]
    tracked = Command(*git, "ls-files", "-z", "--", *inside) if inside else None
    exclude = Command(*git, "rev-parse", "--git-path", "info/exclude")
    returned, output, error = status.done()
    names = tracked.done()[1].split("\0")[:-1] if tracked else []
    excluded = exclude.done()[1].strip()
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
        exclude=str(app_dir / excluded) if excluded else None,
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


def has_commits_of_its_own(app_dir: Path, remote: str) -> bool | None:
    """Whether the app's branch could not be fast-forwarded to this commit; None where that was not fetched yet."""
    git = ("git", "-C", str(app_dir))
    if Command(*git, "cat-file", "-e", f"{remote}^{{commit}}").done()[0] != 0:
        return None
    return {0: False, 1: True}.get(Command(*git, "merge-base", "--is-ancestor", "HEAD", remote).done()[0])


def has_dependencies(app_dir: Path) -> bool:
    """Whether node_modules holds the versions that the lock file asks for: by npm's own note of what it has installed.

    Without such a note (another package manager's, or an older npm's) a folder that is there has to do.
    """
    modules = app_dir / "node_modules"
    if not modules.is_dir():
        return False
    wanted = _packages(app_dir / "npm-shrinkwrap.json") or _packages(app_dir / "package-lock.json")
    present = _packages(modules / ".package-lock.json")
    if wanted is None or present is None:
        return True
    return all(
        _is_same(facts, present.get(name, {}))
        for name, facts in wanted.items()
        if name.startswith("node_modules/") and not any(facts.get(kind) for kind in _MAY_BE_LEFT_OUT)
    )


def _packages(path: Path) -> dict[str, dict[str, Any]] | None:
    try:
        packages = json.loads(path.read_bytes())["packages"]
        return {name: dict(facts) for name, facts in packages.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_same(wanted: dict[str, Any], present: dict[str, Any]) -> bool:
    alike = present.get("integrity") in (None, wanted.get("integrity", present.get("integrity")))
    return wanted.get("version") == present.get("version") and alike


def _inside(folder: Path, path: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def disks(paths: Iterable[Path], mounts: str) -> list[dict[str, Any]]:
    """Space and inodes below each folder that exists, and where its filesystem is mounted. `mounts`: /proc's mountinfo.

    statvfs and not the mounts fact: that one leaves out overlay and bind mounts, the disk of a container.
    """
    found = []
    for path in paths:
        if not os.path.exists(path):  # also where this user may not look
            continue
        space = os.statvfs(path)
        found.append(
            {
                "path": str(path),
                "mount": mount_of(path, mounts),
                "free_mb": space.f_bavail * space.f_frsize >> 20,
                "free_inodes": space.f_favail,
                "inodes": space.f_files,  # 0 where the filesystem does not count them
            }
        )
    return found


def mount_of(path: Path, mounts: str) -> str:
    """Where the filesystem of this folder is mounted, or would be of one that is not there yet."""
    points = [_unescaped(line.split()[4]) for line in mounts.splitlines()]
    real = Path(os.path.realpath(path))
    return max((point for point in points if real.is_relative_to(point)), key=len, default="?")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def settings(env_file: Path, flag: str) -> tuple[str | None, list[Problem]]:
    """(the flag, what is wrong with the file). No other value of it leaves this function."""
    try:
        dotenv.check_flag(flag, None)
        values = dotenv.values(dotenv.read(env_file))
    except HostError as error:
        return None, error.problems
    problems = _writable(env_file)
    try:
        postgrest.from_environment(values)
    except HostError as error:
        problems += error.problems
    return show_switch(values.get(flag)), problems


def _writable(env_file: Path) -> list[Problem]:
    """The flag is written with the app stopped: that is no moment to find out that it cannot be."""
    real = Path(os.path.realpath(env_file))
    if os.geteuid() == 0 or (real.stat().st_uid == os.geteuid() and os.access(real.parent, os.W_OK)):
        return []
    return [
        Problem(
            "env_not_writable",
            str(env_file),
            "this user cannot replace it, and the flag has to be written there",
            f"Give the file and its folder to the user of the app: chown it, {real} and {real.parent}",
        )
    ]


def look(
    app_dir: Path, sessions_dir: Path, env_file: Path, flag: str, remote: str | None, branch: str, **more: Path
) -> dict[str, Any]:
    """All of it; the remote and the tools only where a `remote` is given. What takes longest is begun first.

    `more`: other folders, by a name of their own, whose filesystem is asked for; they may be there only later.
    """
    git = ("git", "-C", str(app_dir))
    asked = Command(*git, "ls-remote", "--exit-code", remote, f"refs/heads/{branch}") if remote else None
    tools = Command("npm", "version", "--json") if remote else None
    found = code(app_dir, env_file, sessions_dir)
    value, problems = settings(env_file, flag)
    mounts = Path("/proc/self/mountinfo").read_text()
    folders = {"app": app_dir, "sessions": sessions_dir, **more}
    return {
        "present": found.error is None or any(os.path.exists(app_dir / name) for name in _PARTS),
        "has_dependencies": has_dependencies(app_dir),
        "code": {**vars(found), "changed": list(found.changed), "secrets": list(found.secrets)},
        "disks": disks((app_dir, sessions_dir), mounts),
        "mounts": {name: mount_of(path, mounts) for name, path in folders.items()},
        "flag": value,
        "problems": [each.as_dict() for each in problems],
        "node": _node(tools) if tools else None,
        "remote": _remote(asked, app_dir) if asked else None,
    }


def _node(tools: Command) -> dict[str, Any]:
    returned, output, error = tools.done()
    try:
        return {"version": json.loads(output)["node"], "error": None}
    except (ValueError, KeyError, TypeError):
        return {"version": None, "error": error or f"npm version ended with {returned}"}


def _remote(asked: Command, app_dir: Path) -> dict[str, Any]:
    returned, output, error = asked.done()
    commit = (output.split() or [None])[0] if returned == 0 else None
    return {
        "commit": commit,
        "error": error if returned != 0 else None,
        "has_branch": returned != _NO_BRANCH,
        "diverged": has_commits_of_its_own(app_dir, commit) if commit else None,
    }
