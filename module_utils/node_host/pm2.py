"""pm2 from the outside: read its list, stop, start and restart processes, and see whether they are really up.

What the pm2 command hides: another user sees an empty list and silently starts a daemon of its own; "online"
and exit 0 while the application crash-loops; an environment kept across restarts, which beats the .env file.
"""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import procs
from .mask import mask
from .pm2_list import Process, definition, parse_jlist, saved_processes
from .problems import HostError, Problem

_ONLINE = "online"
_AT_REST = ("stopped", "errored")


class Pm2Error(HostError):
    """pm2 is not there, does not know a process, or could not do what was asked."""


def _error(code: str, where: str, problem: str, remedy: str) -> Pm2Error:
    return Pm2Error(Problem(code, where, problem, remedy))


@dataclass(frozen=True)
class Daemon:
    """The living pm2 daemon of one PM2_HOME."""

    pid: int | None
    home: str
    user: str


@dataclass(frozen=True)
class Step:
    """What is to be done with one name. ``action``: none, missing, start, restart, stop, recreate, delete, define."""

    name: str
    action: str
    pm_ids: tuple[int, ...] = ()

    @property
    def changes(self) -> bool:
        return self.action not in ("none", "missing")


@dataclass
class Up:
    """One process after a start, as watched over a window."""

    name: str
    pm_id: int
    pid: int | None = None
    status: str = "unknown"
    restarts_before: int | None = None
    restarts_after: int = 0
    uptime_ms: int = 0
    crashes: int = 0  # times that another pid was seen, or a restart counted, during the watch
    up: bool = False


def plan(processes: Sequence[Process], names: Iterable[str], state: str, defined: Iterable[str] = ()) -> list[Step]:
    """What ``state`` (started, stopped, restarted, absent) asks for, process by process, in the order given.

    ``defined``: names that have a definition to start from though pm2 does not know them. Pure.
    """
    steps, has_definition = [], set(defined)
    for name in names:
        mine = [process for process in processes if process.name == name]
        ids = tuple(process.pm_id for process in mine)
        if not mine:
            definable = state in ("started", "restarted") and name in has_definition
            steps.append(Step(name, "define" if definable else "missing"))
        elif state == "absent":
            steps.append(Step(name, "delete", ids))
        elif state == "stopped":
            moving = tuple(process.pm_id for process in mine if process.pid or process.status not in _AT_REST)
            steps.append(Step(name, "stop" if moving else "none", moving))
        elif any(process.stored for process in mine):
            steps.append(Step(name, "recreate", ids))
        elif state == "restarted":
            steps.append(Step(name, "restart", ids))
        else:
            resting = tuple(process.pm_id for process in mine if process.status in ("stopped", "errored", "stopping"))
            steps.append(Step(name, "start" if resting else "none", resting))
    return steps


def inspect(processes: Sequence[Process], names: Iterable[str], optional: Iterable[str] = ()) -> list[Problem]:
    """What makes pm2 start or stop one of these processes behind our back, and which are not there. Pure."""
    problems, may_miss = [], set(optional)
    known = ", ".join(sorted({mask(process.name) for process in processes})) or "none"
    for name in names:
        mine = [process for process in processes if process.name == name]
        if not mine and name not in may_miss:
            problems.append(
                Problem(
                    "pm2_process_unknown",
                    f"pm2 process {name}",
                    f"pm2 does not know it (it knows: {known})",
                    "Correct the name, or start it once from its ecosystem file",
                )
            )
        for process in mine[:1]:
            where = f"pm2 process {name}"
            if process.watch:
                problems.append(
                    Problem(
                        "pm2_watch",
                        where,
                        "pm2 watches its files and restarts it when one changes, .env included",
                        "Remove `watch` from its definition: pm2 delete it, then pm2 start it again",
                    )
                )
            if process.cron_restart and process.cron_restart != "0":
                problems.append(
                    Problem(
                        "pm2_cron_restart",
                        where,
                        f"pm2 restarts it by the clock ({process.cron_restart})",
                        f"pm2 restart {name} --cron-restart 0",
                    )
                )
            if process.exec_mode == "cluster" or len(mine) > 1:
                problems.append(
                    Problem(
                        "pm2_cluster_mode",
                        where,
                        f"it runs in {process.exec_mode} mode with {len(mine)} instance(s): more than one process"
                        " can open the same login",
                        "Set exec_mode to fork and remove `instances` in its definition: pm2 delete, pm2 start",
                    )
                )
    return problems


def resting(processes: Sequence[Process], optional: Iterable[str], owners: Iterable[str]) -> list[str]:
    """The optional ones that were stopped on purpose: started, the app would run twice. Pure.

    `owners`: whom the last run has started, which one that is stopped is not among. Where there was no run, it is
    stopped beside another that runs.
    """
    known = set(owners)
    if not known and not any(process.status == _ONLINE for process in processes):
        return []
    stopped = {process.name for process in processes if process.status == "stopped"}
    others = {process.name for process in processes if process.status != "stopped"}
    return sorted(stopped & set(optional) - others - known)


def notes(processes: Sequence[Process], names: Iterable[str], saved: dict[str, Any]) -> list[Problem]:
    """What an operator should know of these processes though it stops nothing. ``saved``: as ``Pm2.saved``. Pure."""
    found, wanted = [], set(names)
    for process in processes:
        if process.name not in wanted:
            continue
        where = f"pm2 process {process.name}"
        if process.stored_flag:
            found.append(
                Problem(
                    "pm2_flag_stored",
                    where,
                    "pm2 keeps the flag in the environment of this process, where it beats the .env file",
                    "Only delete and start with a clean environment removes it (drop_stored does that)",
                )
            )
        if process.status != _ONLINE:
            found.append(Problem("pm2_not_online", where, f"its status is {process.status}", "See its error log"))
        kept = saved["processes"].get(process.name)
        if kept is None:
            found.append(Problem("pm2_not_saved", where, "a reboot would not bring it back", "pm2 save"))
        elif kept["stored_flag"]:
            found.append(
                Problem(
                    "pm2_flag_saved",
                    where,
                    "pm2's saved list (dump.pm2) holds the flag; pm2 resurrect would bring it back",
                    "pm2 save, once the running list is right",
                )
            )
    if saved["present"] and int(saved["mode"], 8) & 0o077:
        found.append(
            Problem(
                "pm2_dump_readable",
                "pm2's saved list (dump.pm2)",
                f"others may read it (mode {saved['mode']}), and it holds every process's environment",
                f"chmod 600 {saved['path']}",
            )
        )
    return found


def unsaved(processes: Sequence[Process], saved: dict[str, Any]) -> list[dict[str, str | None]]:
    """What ``pm2 save`` would change in the saved list: ``[{name, saved, now}]`` with status words. Pure.

    Statuses are compared as a reboot sees them: stopped, or not.
    """

    def rest(status: str | None) -> str | None:
        return status if status is None else ("stopped" if status == "stopped" else _ONLINE)

    now = {process.name: process.status for process in processes}
    then = {name: entry["status"] for name, entry in saved["processes"].items()}
    return [
        {"name": name, "saved": then.get(name), "now": now.get(name)}
        for name in sorted(now.keys() | then.keys())
        if rest(then.get(name)) != rest(now.get(name))
    ]


class Pm2:
    """One user's pm2. Every call of the command gets a clean environment, so that no secret of the caller's
    can enter what pm2 stores.

    ``home``: PM2_HOME (default: ~/.pm2 of the user). ``search_path``: folders put before PATH, for a pm2 and
    node that a non-interactive shell does not see (nvm). ``timeout``: seconds for one call of the command.
    """

    def __init__(
        self,
        home: str | None = None,
        executable: str = "pm2",
        search_path: Iterable[str] = (),
        timeout: float = 60,
    ) -> None:
        account = pwd.getpwuid(os.geteuid())
        self.user = account.pw_name
        self.home = os.path.abspath(os.path.expanduser(home)) if home else os.path.join(account.pw_dir, ".pm2")
        self._account_home = account.pw_dir
        self._executable = executable
        self._path = os.pathsep.join([*search_path, os.environ.get("PATH") or os.defpath])
        self._timeout = timeout
        self._labels: set[str] = set()  # names and namespaces in the last list

    # ------------------------------------------------------------------------------------------- reading

    def daemon(self) -> Daemon:
        """The living daemon. Pm2Error when there is none; looking never starts one."""
        where = f"pm2 of user {self.user} in {self.home}"
        path = os.path.join(self.home, "rpc.sock")
        if len(os.fsencode(path)) > 107:
            raise _error(
                "pm2_home_too_long",
                where,
                "its path is too long: pm2 puts sockets there, and Linux allows 107 bytes for a socket's path",
                "Use a shorter pm2_home",
            )
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(5)
                probe.connect(path)
        except PermissionError:
            raise _error(
                "pm2_of_another_user",
                where,
                "the daemon belongs to another user, or its folder may not be entered",
                "Run as the application's user (ansible_user, or become_user), or correct pm2_home",
            ) from None
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise _error(
                "pm2_no_daemon",
                where,
                "no pm2 daemon is running there",
                "If another user runs the application, connect or become that user, or correct pm2_home;"
                " after a reboot, bring its processes back with: pm2 resurrect",
            ) from None
        except OSError as error:
            raise _error(
                "pm2_no_answer", where, f"its daemon does not answer ({error})", "Check pm2_home; then: pm2 ping"
            ) from None
        pid = None
        with suppress(OSError, ValueError):
            pid = int(Path(self.home, "pm2.pid").read_text("ascii"))
        return Daemon(pid, self.home, self.user)

    def executable(self) -> str:
        """The absolute path of the pm2 command. Pm2Error says where one lies that is not on PATH."""
        found = shutil.which(self._executable, path=self._path)
        if found:
            return os.path.abspath(found)
        seen = [
            path
            for pattern in ("~/.nvm/versions/node/*/bin/pm2", "~/.local/bin/pm2", "~/.npm-global/bin/pm2",
                            "/usr/local/bin/pm2", "/opt/*/bin/pm2")
            for path in glob.glob(pattern.replace("~", self._account_home, 1))
        ]  # fmt: skip
        raise _error(
            "pm2_not_found",
            f"pm2 ({self._executable})",
            "the command is not on PATH of a non-interactive shell",
            f"Put {os.path.dirname(seen[-1])} into app_path (there is one)"
            if seen
            else "Put the folder that holds node and pm2 into app_path, or install it: npm install -g pm2",
        )

    def processes(self, flag: str | None = None, drop: Iterable[str] = ()) -> list[Process]:
        """All processes that the daemon knows. ``flag`` and ``drop`` as in ``pm2_list.parse_jlist``."""
        self.daemon()
        done = self._run("jlist")
        try:
            found = parse_jlist(done.stdout, flag, drop)
        except ValueError as error:
            raise _error("pm2_no_list", f"pm2 in {self.home}", str(error), "Try: pm2 jlist; pm2 update") from None
        self._labels = {label for process in found for label in (process.name, str(process.raw.get("namespace")))}
        return found

    def saved(self, flag: str | None = None) -> dict[str, Any]:
        """What a reboot would bring back: ``{path, present, mode, processes: {name: {status, stored_flag}}}``."""
        path = self._saved_list
        try:
            return {
                "path": str(path),
                "present": True,
                "mode": f"{path.stat().st_mode & 0o7777:04o}",
                "processes": saved_processes(path.read_text("utf-8"), flag),
            }
        except (OSError, ValueError):
            return {"path": str(path), "present": False, "mode": None, "processes": {}}

    # ------------------------------------------------------------------------------------------ changing

    def stop(self, processes: Sequence[Process], timeout: float = 30) -> None:
        """Stop these and wait until their pids, and all that descended from them, are really gone."""
        family = procs.with_descendants(process.pid for process in processes if process.pid)
        self._run("stop", *self._targets(processes), timeout=timeout + self._timeout)
        self._wait_gone(processes, family, timeout)

    def delete(self, processes: Sequence[Process], timeout: float = 30) -> None:
        """Stop these, forget them, and wait until they are really gone."""
        family = procs.with_descendants(process.pid for process in processes if process.pid)
        self._run("delete", *self._targets(processes), timeout=timeout + self._timeout)
        self._wait_gone(processes, family, timeout)

    def restart(self, processes: Sequence[Process]) -> None:
        """pm2's plain restart, which also starts what is stopped; the stored environment stays."""
        self._run("restart", *self._targets(processes))

    def recreate(self, processes: Sequence[Process], drop: Iterable[str], timeout: float = 30) -> None:
        """Delete one name's processes and start it again as it was, minus the variables ``drop``.

        Nothing less removes a variable from pm2. The definition is first written beside pm2's own files
        (0600, durable), so that ``start_pending`` can finish what a crash interrupts.
        """
        name, path = processes[0].name, self._pending_path(processes[0].name)
        entry = definition(processes[0], drop)
        _write_private(path, json.dumps({"apps": [entry]}))
        self.delete(processes, timeout)
        self.start_pending(name)

    def pending(self) -> list[str]:
        """Names whose recreation was interrupted between delete and start."""
        return [str(entry["name"]) for entry in self._pending()]

    def pending_logs(self) -> list[dict[str, Any]]:
        """The logs of those: {path, process, stream}."""
        return [
            {"path": entry[field], "process": str(entry["name"]), "stream": stream}
            for entry in self._pending()
            for field, stream in (("out_file", "out"), ("error_file", "err"))
            if entry.get(field)
        ]

    def _pending(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted(Path(self.home).glob("recreate-*.json")):
            with suppress(OSError, ValueError, LookupError, TypeError):
                entry = json.loads(path.read_text("utf-8"))["apps"][0]
                found.append({**entry, "name": entry["name"]})
        return found

    def start_pending(self, name: str) -> None:
        """Start what ``recreate`` has deleted, then remove its definition."""
        path = self._pending_path(name)
        self._run("start", str(path))
        path.unlink()

    def start_from(self, ecosystem: str, names: Sequence[str]) -> None:
        """Start these names from an ecosystem file; a daemon is started where there is none."""
        self._run("start", ecosystem, "--only", ",".join(names), cwd=os.path.dirname(ecosystem))

    def save(self) -> None:
        """Make the present list survive a reboot, readable by its user only (pm2 writes it 0644)."""
        self._run("save")
        self.close_saved()

    def close_saved(self) -> None:
        """The saved list as it is, for its owner alone: it holds the environment of every process."""
        with suppress(OSError):  # none there, or another user's: what can be read of it is said all the same
            self._saved_list.chmod(0o600)

    @property
    def _saved_list(self) -> Path:
        return Path(self.home, "dump.pm2")

    def wait_up(
        self,
        names: Sequence[str],
        window: float,
        timeout: float,
        before: dict[str, int] | None = None,
        max_crashes: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> list[Up]:
        """Watch until each process has been online for ``window`` seconds with the same pid and no restart.

        Gives up after ``timeout`` seconds, or early when one is errored or has crashed ``max_crashes`` times.
        Never raises for a process that is not up: look at ``up``. ``before``: restart counts by name.
        """
        deadline, watched = clock() + timeout, {}
        while True:
            now, processes = time.time(), [p for p in self.processes() if p.name in names]
            for process in processes:
                state = watched.setdefault(process.pm_id, _Watch((before or {}).get(process.name)))
                state.see(process, clock(), now, window)
            ups = [watched[process.pm_id].up for process in processes]
            absent = [Up(name, -1, status="unknown to pm2") for name in names if name not in {u.name for u in ups}]
            hopeless = absent or any(up.status == "errored" or up.crashes >= max_crashes for up in ups)
            if hopeless or all(up.up for up in ups) or clock() >= deadline:
                return ups + absent
            # pm2's list costs 0.15 s of a core: look again when the windows can be over, or a pid has gone.
            pause_until = min(deadline, clock() + min(1.0, max(0.1, _longest_rest(watched, clock(), window))))
            while clock() < pause_until and all(up.pid is None or procs.find(up.pid) for up in ups):
                time.sleep(0.02)
            if any(up.pid is not None and not procs.find(up.pid) for up in ups):
                time.sleep(0.1)  # pm2 is about to start it again; do not ask it in a tight loop

    # ----------------------------------------------------------------------------------------- internals

    def _targets(self, processes: Sequence[Process]) -> list[str]:
        """By number, since pm2 takes some names for something else ("all", /…/, x.json, a namespace). But a
        number it takes for a name or namespace first, so where one is called so it cannot be said safely."""
        ids = [str(process.pm_id) for process in processes]
        for number in ids:
            if number in self._labels:
                raise _error(
                    "pm2_number_name",
                    f"pm2 process {processes[0].name}",
                    f"another process or namespace is called {number}, which is this one's number in pm2,"
                    " so that pm2 would act on that one instead",
                    f"Give what is called {number} a name that is no number: pm2 delete it, then pm2 start it",
                )
        return ids

    def _pending_path(self, name: str) -> Path:
        plain = "".join(char if char.isalnum() or char in "-_" else "_" for char in name)
        return Path(self.home, f"recreate-{plain}.json")

    def _wait_gone(self, processes: Sequence[Process], family: Iterable[procs.Running], timeout: float) -> None:
        left = procs.wait_gone(family, timeout)
        if left:
            names = ", ".join(sorted({process.name for process in processes}))
            still = ", ".join(f"{process.pid} ({process.command})" for process in left)
            raise _error(
                "pm2_still_running",
                f"pm2 process {names}",
                f"{timeout:g} s after pm2 stopped it, its processes still run: {still}",
                f"Look what they do, then: kill {' '.join(str(process.pid) for process in left)}",
            )

    def _environment(self) -> dict[str, str]:
        return {"PATH": self._path, "HOME": self._account_home, "PM2_HOME": self.home, "LANG": "C.UTF-8"}

    def _run(
        self, command: str, *arguments: str, timeout: float | None = None, cwd: str = "/"
    ) -> subprocess.CompletedProcess[str]:
        executable = self.executable()
        where = f"pm2 {command} {' '.join(arguments)}".rstrip()
        try:
            done = subprocess.run(
                [executable, command, *arguments],
                env=self._environment(),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout or self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _error(
                "pm2_hangs",
                where,
                f"pm2 did not finish within {timeout or self._timeout:g} s",
                f"Look at {self.home}/pm2.log; try: pm2 ping",
            ) from None
        except OSError as error:
            raise _error("pm2_not_run", where, f"cannot be run ({error.strerror})", f"Try: {executable} -v") from None
        if done.returncode != 0:
            # stdout may hold the list with its environments: only pm2's own error lines are shown.
            lines = [line for line in f"{done.stderr}\n{done.stdout}".splitlines() if "[ERROR]" in line]
            lines = lines or [line for line in done.stderr.splitlines() if line.strip()]
            said = mask(" ".join(lines[-3:])) or "nothing"
            raise _error("pm2_failed", where, f"ended with {done.returncode}: {said}", f"Look at {self.home}/pm2.log")
        return done


class _Watch:
    """What was seen of one pm2 process while waiting for it to be up."""

    def __init__(self, restarts_before: int | None) -> None:
        self.up = Up("", -1, restarts_before=restarts_before)
        self.since: float | None = None  # monotonic time since when this very start has been running
        self._start: tuple[int | None, int, int] | None = None

    def see(self, process: Process, monotonic: float, now: float, window: float) -> None:
        up, start = self.up, (process.pid, process.restart_time, process.started_ms)
        if self._start is not None and start != self._start and process.restart_time != self._start[1]:
            up.crashes += max(1, process.restart_time - self._start[1])
        if process.status != _ONLINE or not process.pid:
            self.since = None
        elif self.since is None or start != self._start:
            self.since = monotonic - process.uptime_ms(now) / 1000
        self._start = start
        up.name, up.pm_id, up.pid, up.status = process.name, process.pm_id, process.pid, process.status
        up.restarts_after, up.uptime_ms = process.restart_time, process.uptime_ms(now)
        up.up = self.since is not None and monotonic - self.since >= window and procs.find(process.pid or 0) is not None


def _longest_rest(watched: dict[int, _Watch], monotonic: float, window: float) -> float:
    """Seconds until the last of the windows that run can be over; 0 when one does not run at all."""
    rests = [watch.since + window - monotonic if watch.since is not None else 0.0 for watch in watched.values()]
    return min([max(rests, default=0.0), *(rest for rest in rests if rest == 0.0)])


def _write_private(path: Path, content: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
