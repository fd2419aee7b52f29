"""Prints the lines of the runbook as they happen, and writes the report of the run."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import context
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version
from ansible.template import Templar

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT / "plugin_utils"))
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.node_host.mask import mask  # noqa: E402 - found on the paths of this project
from runbook_report import checklist, page  # noqa: E402
from runbook_report.file import PageFile  # noqa: E402
from runbook_report.run import CHANGED, CUT_OVER, FAILED, IGNORED, OK, SKIPPED, STEP, UNREACHABLE, Run  # noqa: E402
from runbook_report.screen import Screen  # noqa: E402

DOCUMENTATION = """
name: runbook
type: notification
short_description: The runbook on the terminal, and as a report
description:
  - Prints what each C(runbook_step) task has to say, with a mark, under the task's own line.
  - On a terminal, keeps the whole runbook at its bottom as a checklist, with the time since the running task began.
  - Writes one page of HTML for each run in which the runbook was carried out, and prints its path at the end. The page
    needs no other file and runs no script. It is written from the first step on, so that a run that was killed has one.
  - What only the play knows comes through C(runbook_report) tasks; the file of that action describes them.
  - Never fails a run. A report that cannot be written is a warning.
options:
  reports_dir:
    description:
      - The folder of the reports, C(reports) in the project by default.
      - The variable C(runbook_reports_dir) of the inventory goes before it.
    type: path
    env: [{name: RUNBOOK_REPORTS_DIR}]
    ini: [{section: runbook, key: reports_dir}]
  reports_keep:
    description:
      - How many reports of each playbook are kept, the newest; C(0) keeps all of them.
      - The variable C(runbook_reports_keep) of the inventory goes before it.
    type: int
    default: 100
    env: [{name: RUNBOOK_REPORTS_KEEP}]
    ini: [{section: runbook, key: reports_keep}]
"""

LINES = {"done": "✅", "unchanged": "✓", "planned": "…", "skipped": "-", "missing": "❌"}
# Seconds between two writings of the page while the run goes on.
PAUSE = 2.0


def never_failing(heard: Callable[..., None]) -> Callable[..., None]:
    """The run goes on whatever happens to its report; the first time, why there is none is said."""

    @functools.wraps(heard)
    def safe(self: CallbackModule, *arguments: Any) -> None:
        if self.broken:
            return
        try:
            heard(self, *arguments)
        except Exception as error:
            self.broken = True
            said = mask(f"{type(error).__name__}: {error}")
            self._display.warning(f"There is no report of this run. {said}")

    return safe


class CallbackModule(CallbackBase):
    """The runbook on the terminal, and as a report."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "runbook"
    CALLBACK_NEEDS_ENABLED = False

    broken = False
    _run: Run
    _file: PageFile | None = None
    _screen: Screen | None = None
    _written = 0.0
    _keep = 0

    # What happens

    @never_failing
    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._run = Run(Path(playbook._file_name).name, time.time(), facts(), bool(context.CLIARGS.get("check")))

    @never_failing
    def v2_playbook_on_play_start(self, play: Play) -> None:
        variables = play.get_variable_manager().get_vars(play=play)
        self._run.plan(variables["ansible_play_hosts_all"], {task._uuid: task.name for task in steps(play, variables)})
        if given := sorted(play.get_variable_manager().extra_vars):
            self._run.facts["extra variables"] = ", ".join(given)
        if self._file is None:
            folder = Path(str(self._setting(play, "reports_dir") or PROJECT / "reports"))
            self._file = PageFile(folder, self._run.playbook, page.moment(self._run.began))
            self._keep = int(self._setting(play, "reports_keep"))
        if self._screen is None and self._run.awaits and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            self._screen = Screen(sys.stdout, lambda *size: checklist.lines(self._run, time.time(), *size))
            self._display.display = self._screen.around(self._display.display)
            self._screen.start()

    @never_failing
    def v2_runner_on_start(self, host: Any, task: Task) -> None:
        self._run.begin(host.name, task._uuid, task.name or task.action, task.action, time.time())
        if task.action == CUT_OVER:
            # The run may be killed with the bot down: then the page has to say so.
            self._write_meanwhile()

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action == STEP:
            step = result.result["ansible_facts"]["runbook_steps"][-1]
            self._display.display(f"{LINES[step['outcome']]} {step['did']}")
        self._heard(result, CHANGED if result.is_changed() else OK)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._heard(result, IGNORED if ignore_errors else FAILED)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._heard(result, IGNORED if result.task.ignore_unreachable else UNREACHABLE)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._heard(result, SKIPPED)

    @never_failing
    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._screen is not None:
            self._screen.stop()
        self._run.close([*stats.failures, *stats.dark], time.time())
        self._write()
        if self._file is not None and self._file.path is not None:
            self._display.display(f"Report: {self._file.path}")
            self._file.forget(self._keep)

    # What is made of it

    @never_failing
    def _heard(self, result: Any, outcome: str) -> None:
        self._run.end(result.host.name, result.task._uuid, outcome, result.result, time.time())
        if result.task.action == STEP and time.time() - self._written > PAUSE:
            self._write_meanwhile()

    def _write_meanwhile(self) -> None:
        # What stands in the way now may be gone at the end; if it is not, it is said then.
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        if self._run.wants_report and self._file is not None:
            self._file.write(page.render(self._run))
            self._written = time.time()

    def _setting(self, play: Play, name: str) -> Any:
        """The inventory's `runbook_…`, else what the environment or ansible.cfg sets, else the default."""
        manager = play.get_variable_manager()
        for host in manager._inventory.get_hosts(play.hosts)[:1]:
            variables = manager.get_vars(play=play, host=host)
            if (given := variables.get(f"runbook_{name}")) not in (None, ""):
                return Templar(play.get_loader(), variables=variables).template(given)
        return self.get_option(name)


def steps(play: Play, variables: dict[str, Any]) -> Iterator[Task]:
    """The lines of the runbook that this play will say, when nothing fails."""

    def inside(tasks: list[Any]) -> Iterator[Task]:
        for task in tasks:
            if isinstance(task, Block):
                yield from inside([*task.block, *task.always])
            elif task.action == STEP and task.evaluate_tags(play.only_tags, play.skip_tags, variables):
                yield task

    yield from inside([*play.pre_tasks, *play.tasks, *play.post_tasks])


def facts() -> dict[str, str]:
    """Who runs what, from where. Of extra variables only the names: a value may be a secret."""
    given = context.CLIARGS
    options = [
        *(["--check"] if given.get("check") else []),
        *([f"--limit {given['subset']}"] if given.get("subset") else []),
        *([f"--tags {','.join(given['tags'])}"] if set(given.get("tags") or ["all"]) != {"all"} else []),
        *([f"--skip-tags {','.join(given['skip_tags'])}"] if given.get("skip_tags") else []),
    ]
    known = {
        "by": f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}",
        "project commit": commit(),
        "options": " ".join(options),
        "inventory": ", ".join(given.get("inventory") or ()),
        "ansible-core": ansible_version,
    }
    return {name: value for name, value in known.items() if value}


def commit() -> str:
    """The commit of this project; `-dirty` where files differ from it. Nothing where it is no checkout."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
