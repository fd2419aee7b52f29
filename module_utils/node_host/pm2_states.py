"""Bring named pm2 processes into a wanted state: plan, do, watch, report. What the module pm2_process does."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import logs, pm2, procs
from .pm2_list import Process, show_switch
from .problems import Problem


@dataclass(frozen=True)
class Wanted:
    """The options of pm2_process, described there."""

    names: list[str]
    state: str = "info"
    optional: Sequence[str] = ()
    started: Sequence[str] = ()
    drop_stored: Sequence[str] = ()
    flag: str | None = None
    ecosystem: str | None = None
    save: bool = False
    pm2_home: str | None = None
    executable: str = "pm2"
    search_path: Sequence[str] = ()
    window_seconds: float = 5
    timeout: float = 60
    stop_timeout: float = 30
    max_crashes: int = 3

    @classmethod
    def owners(cls, params: Mapping[str, Any]) -> Wanted:
        """The owners of a login, as the options of every module name them that looks at the app."""
        return cls(
            params["processes"], optional=params["optional_processes"], pm2_home=params["pm2_home"], flag=params["flag"]
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", list(dict.fromkeys(self.names)))

    def needed(self, pending: Sequence[str]) -> set[str]:
        """Those that must be there: not the optional ones, unless a killed run has deleted them (`pending`)."""
        return set(self.names) - (set(self.optional) - set(pending))

    def pm2(self) -> pm2.Pm2:
        return pm2.Pm2(self.pm2_home, self.executable, self.search_path)


def look(wanted: Wanted) -> dict[str, Any]:
    """The result of state=info. Changes nothing, starts no daemon, raises nothing: see ``problems`` in it."""
    begin, host = time.monotonic(), wanted.pm2()
    try:
        daemon, processes = host.daemon(), host.processes(wanted.flag, wanted.drop_stored)
    except pm2.Pm2Error as error:
        return _result(wanted, [], begin, problems=error.as_dicts(), observations=[])
    saved, named = host.saved(wanted.flag), [process for process in processes if process.name in wanted.names]
    # These wait for a run that ends what another began.
    pending = sorted(set(host.pending()) & set(wanted.names) - {process.name for process in named})
    may_miss = [*wanted.optional, *pending]
    return _result(
        wanted,
        processes,
        begin,
        problems=[problem.as_dict() for problem in pm2.inspect(processes, wanted.names, may_miss)],
        observations=[note.as_dict() for note in pm2.notes(processes, wanted.names, saved)],
        unsaved=pm2.unsaved(processes, saved),
        daemon=asdict(daemon),
        pending=pending,
        resting=pm2.resting(named, wanted.optional, wanted.started),
    )


def carry_out(wanted: Wanted, check_mode: bool = False) -> dict[str, Any]:
    """Reach the wanted state; the module's result. Pm2Error: nothing was done, or a process is not up (or not gone)."""
    begin, host = time.monotonic(), wanted.pm2()
    before = _known(wanted, host)
    pending = host.pending()
    steps = pm2.plan(before, wanted.names, wanted.state, wanted.names if wanted.ecosystem else pending)
    _refuse(wanted, steps, before, pending)
    changes = any(step.changes for step in steps)
    up: list[pm2.Up] = []
    if not check_mode:
        sizes = {process.err_log_path: _size(process.err_log_path) for process in before}
        _do(wanted, host, steps, before, pending)
        if wanted.state in ("started", "restarted"):
            up = _wait_up(wanted, host, steps, before, sizes, begin)
    after = _known(wanted, host) if changes and not check_mode else before
    saved, unsaved = _save(wanted, host, steps, after, check_mode)
    return _result(
        wanted,
        after,
        begin,
        changed=changes or saved,
        actions=[{"name": step.name, "action": step.action} for step in steps],
        daemon=asdict(host.daemon()) if after or before else None,
        saved=saved,
        unsaved=unsaved,
        diff={"before": _statuses(wanted, before), "after": _statuses(wanted, after, steps)},
        **({"up": [asdict(each) for each in up]} if up else {}),
    )


class Owners:
    """Processes that are stopped and started again with one look at pm2's list, which costs a third of a second each:
    for who waits meanwhile. Whether they are up again is for `carry_out` to tell, with state=started.
    """

    def __init__(self, wanted: Wanted) -> None:
        """Looks. Raises Pm2Error when one is not there."""
        self._wanted, self._host = wanted, wanted.pm2()
        self._before = _known(wanted, self._host)
        _refuse(wanted, pm2.plan(self._before, wanted.names, "stopped"), self._before, self._host.pending())

    @property
    def scripts(self) -> list[str]:
        """What they run."""
        named = [process for process in self._before if process.name in self._wanted.names]
        return [script for process in named if (script := process.public(time.time())["script"])]

    @property
    def online(self) -> bool:
        """Whether all of them run, but for those that need not be there."""
        named = [each for each in self._before if each.name in self._wanted.names]
        there = {each.name for each in named}
        return self._wanted.needed(self._host.pending()) <= there and all(each.status == "online" for each in named)

    def stop(self) -> None:
        """Stop them, and wait until they are gone."""
        self._do("stopped")

    def start(self) -> None:
        """Start them, without what pm2 has stored of `drop_stored`."""
        self._do("restarted")

    def _do(self, state: str) -> None:
        pending = self._host.pending()
        steps = pm2.plan(self._before, self._wanted.names, state, pending)
        _do(self._wanted, self._host, steps, self._before, pending)


def _known(wanted: Wanted, host: pm2.Pm2) -> list[Process]:
    """pm2's list; empty without a daemon only where an ecosystem file is there to begin with."""
    try:
        return host.processes(wanted.flag, wanted.drop_stored)
    except pm2.Pm2Error as error:
        if wanted.ecosystem and wanted.state == "started" and error.problems[0].code == "pm2_no_daemon":
            return []
        raise


def _refuse(wanted: Wanted, steps: Sequence[pm2.Step], before: Sequence[Process], pending: Sequence[str]) -> None:
    """Whatever is wrong is found before anything is stopped. What is yet to be started anew is not missing."""
    missing = [step.name for step in steps if step.action == "missing" and step.name not in pending]
    problems = [] if wanted.state == "absent" else pm2.inspect(before, missing, wanted.optional)
    if wanted.ecosystem and not os.access(wanted.ecosystem, os.R_OK):
        problems.append(
            Problem("pm2_ecosystem", wanted.ecosystem, "cannot be read", "Correct the path of the ecosystem file")
        )
    if problems:
        raise pm2.Pm2Error(*problems)


def _do(
    wanted: Wanted, host: pm2.Pm2, steps: Sequence[pm2.Step], before: Sequence[Process], pending: Sequence[str]
) -> None:
    by_id = {process.pm_id: process for process in before}

    def of(*actions: str) -> list[Process]:
        return [by_id[pm_id] for step in steps if step.action in actions for pm_id in step.pm_ids]

    if of("stop"):
        host.stop(of("stop"), wanted.stop_timeout)
    if of("delete"):
        host.delete(of("delete"), wanted.stop_timeout)
    if of("restart", "start"):
        host.restart(of("restart", "start"))
    for step in steps:
        if step.action == "recreate":
            host.recreate([by_id[pm_id] for pm_id in step.pm_ids], wanted.drop_stored, wanted.stop_timeout)
        elif step.action == "define" and step.name in pending:
            host.start_pending(step.name)
    defined = [step.name for step in steps if step.action == "define" and step.name not in pending]
    if defined and wanted.ecosystem:
        host.start_from(wanted.ecosystem, defined)


def _wait_up(
    wanted: Wanted,
    host: pm2.Pm2,
    steps: Sequence[pm2.Step],
    before: Sequence[Process],
    sizes: dict[str | None, int],
    begin: float,
) -> list[pm2.Up]:
    names = [step.name for step in steps if step.action != "missing"]
    counts = {process.name: process.restart_time for process in before}
    up = host.wait_up(names, wanted.window_seconds, wanted.timeout, counts, wanted.max_crashes)
    if not all(each.up for each in up):
        paths = {process.name: process.err_log_path for process in host.processes()}
        problems = []
        for each in (each for each in up if not each.up):
            path = paths.get(each.name)
            lines = logs.last_lines(path, 5, sizes.get(path, 0)) if path else []
            problems.append(_not_up(wanted, each, lines, time.monotonic() - begin))
        raise pm2.Pm2Error(*problems)
    return up


def _not_up(wanted: Wanted, state: pm2.Up, lines: Sequence[str], seconds: float) -> Problem:
    if state.crashes:
        what = f"crash-loops: pm2 restarted it {state.crashes} times in {seconds:.0f} s"
    else:
        what = f"was not online for {wanted.window_seconds:g} s on end within {wanted.timeout:g} s"
    said = f"since then its error log says: {' | '.join(lines)}" if lines else "its error log says nothing since then"
    return Problem(
        "pm2_not_up",
        f"pm2 process {state.name}",
        f"{what} (status {state.status}, {state.restarts_after} restarts counted); {said}",
        f"pm2 logs {state.name} --err --nostream --lines 100",
    )


def _save(
    wanted: Wanted, host: pm2.Pm2, steps: Sequence[pm2.Step], processes: Sequence[Process], check_mode: bool
) -> tuple[bool, list[dict[str, str | None]]]:
    """Save where asked, and where what a reboot would bring back is no longer right."""
    saved = host.saved(wanted.flag)
    unsaved = pm2.unsaved(processes, saved)
    flagged = {process.name for process in processes if process.stored_flag}
    wrong = (
        unsaved
        or any(kept["stored_flag"] and name not in flagged for name, kept in saved["processes"].items())
        or any(step.action in ("recreate", "define", "delete") for step in steps)
        or (saved["present"] and saved["mode"] != "0600")
    )
    if not wanted.save or not wrong:
        return False, unsaved
    if not check_mode:
        host.save()
    return True, unsaved


def _result(wanted: Wanted, processes: Sequence[Process], begin: float, **more: Any) -> dict[str, Any]:
    """What every state returns; ``processes`` is the whole of pm2's list."""
    now, known = time.time(), {process.name for process in processes}
    named = [process for name in wanted.names for process in processes if process.name == name]
    return {
        "changed": False,
        "processes": [{**process.public(now), "process_flag_value": _in_process(process, wanted)} for process in named],
        "missing": [name for name in wanted.names if name not in known],
        "actions": [],
        "pending": [],
        "resting": [],
        "problems": [],
        "unsaved": [],
        "saved": False,
        "daemon": None,
        "seconds": round(time.monotonic() - begin, 2),
        **more,
    }


def _in_process(process: Process, wanted: Wanted) -> str | None:
    return show_switch(procs.variable(process.pid, wanted.flag)) if process.pid and wanted.flag else None


def _statuses(wanted: Wanted, processes: Sequence[Process], steps: Sequence[pm2.Step] = ()) -> str:
    planned = {step.name: f" ({step.action})" for step in steps if step.changes}
    lines = []
    for name in wanted.names:
        status = ", ".join(process.status for process in processes if process.name == name)
        lines.append(f"{name}: {status or 'unknown to pm2'}{planned.get(name, '')}\n")
    return "".join(lines)


def _size(path: str | None) -> int:
    try:
        return os.path.getsize(path) if path else 0
    except OSError:
        return 0
