"""What a run of a playbook did, host by host, as the callback plugin heard it. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.node_host.commands import answer_for_host

STEP, HAND_OVER = "runbook_step", "runbook_report"
CUT_OVER, LOGS, LOCK = "auth_state_cutover", "log_watch", "auth_state_lock"

# How a task ended. Ignored: it failed, or did not reach the host, and the play goes on all the same.
OK, CHANGED, SKIPPED, RUNNING = "ok", "changed", "skipped", "running"
FAILED, UNREACHABLE, IGNORED = "failed", "unreachable", "ignored"


@dataclass
class Task:
    """One task on one host."""

    id: str
    name: str
    action: str
    began: float
    ended: float | None = None
    outcome: str = RUNNING

    @property
    def is_line(self) -> bool:
        """Whether it only says something, and does nothing itself."""
        return self.action in (STEP, HAND_OVER)


@dataclass
class Step:
    """One line of the runbook. `did`: what came of it."""

    name: str
    did: str
    outcome: str
    at: float


@dataclass
class Failure:
    """A task that failed. `problems`: {where, problem, remedy}, where the module told them."""

    task: str
    message: str
    problems: list[dict[str, str]]
    at: float


@dataclass
class CutOver:
    """The journal of one cut-over: {name, seconds} for each step, and the seconds that the bot was down."""

    task: str
    began: float
    ended: float
    steps: list[dict[str, Any]]
    freeze_seconds: float | None
    recovered: dict[str, Any] | None
    reverted: str | None


@dataclass
class LogLook:
    """What one look into the logs found and missed."""

    task: str
    found: list[dict[str, Any]]
    forbidden: list[dict[str, Any]]
    missing: list[str]
    last_errors: list[dict[str, Any]]


@dataclass
class Host:
    """One host. `awaited`: the runbook's lines still to come, by task; `said`: what the play handed over;
    `record`: the run's number in the record on that host."""

    name: str
    awaited: dict[str, str] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    cut_overs: list[CutOver] = field(default_factory=list)
    logs: list[LogLook] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    record: str = ""

    @property
    def running(self) -> Task | None:
        return next((task for task in reversed(self.tasks) if task.outcome == RUNNING), None)

    def begin(self, task_id: str, name: str, action: str, at: float) -> None:
        self.tasks.append(Task(task_id, name, action, at))

    def end(self, task_id: str, outcome: str, result: dict[str, Any], at: float) -> None:
        """A task has ended; what its result tells is kept."""
        self.awaited.pop(task_id, None)
        task = self.running
        if task is None or task.id != task_id:
            return
        task.ended, task.outcome = at, outcome
        if outcome in (FAILED, UNREACHABLE):
            self.lost = self.lost or outcome == UNREACHABLE
            told = answer_for_host(result, self.name)
            message = str(told.get("msg") or told.get("stderr") or "no message")
            self.failures.append(Failure(task.name, message.strip(), told.get("problems") or [], at))
        if outcome != SKIPPED:
            self._learn(task, result, at)

    def _learn(self, task: Task, result: dict[str, Any], at: float) -> None:
        if task.action == STEP and task.outcome != FAILED:
            step = result["ansible_facts"]["runbook_steps"][-1]
            self.steps.append(Step(task.name, step["did"], step["outcome"], at))
        elif task.action == LOCK:
            self.record = result.get("run") or self.record
        elif task.action == HAND_OVER:
            self.said |= result.get("report") or {}
        elif task.action == CUT_OVER and result.get("steps"):
            self.cut_overs.append(
                CutOver(
                    task.name,
                    task.began,
                    at,
                    result["steps"],
                    result.get("freeze_seconds") or None,
                    result.get("recovered"),
                    result.get("reverted"),
                )
            )
        elif task.action == LOGS and "found" in result:
            self.logs.append(
                LogLook(
                    task.name,
                    result["found"],
                    result.get("forbidden_found") or [],
                    result.get("missing") or [],
                    result.get("last_error_lines") or [],
                )
            )


@dataclass
class Run:
    """One run of a playbook. `facts`: who, where from and how, for the foot of the page.

    Ansible tells of it in two threads, and a third one shows it: who reads a dict of it goes over a copy.
    """

    playbook: str
    began: float
    facts: dict[str, str] = field(default_factory=dict)
    check_mode: bool = False
    hosts: dict[str, Host] = field(default_factory=dict)
    ended: float | None = None
    failed_hosts: set[str] = field(default_factory=set)
    heard: float = 0.0
    _steps: dict[str, str] = field(default_factory=dict)
    _planned: set[str] = field(default_factory=set)

    def plan(self, hosts: Iterable[str], steps: dict[str, str]) -> None:
        """A play begins: all its hosts, also those whose turn comes later, and the runbook's lines in it."""
        self._steps, self._planned = steps, set()
        for name in hosts:
            self.hosts.setdefault(name, Host(name))

    def begin(self, host: str, task_id: str, name: str, action: str, at: float) -> None:
        known = self.hosts.setdefault(host, Host(host))
        if host not in self._planned:
            self._planned.add(host)
            known.awaited |= self._steps
        self.heard = at
        known.begin(task_id, name, action, at)

    def end(self, host: str, task_id: str, outcome: str, result: dict[str, Any], at: float) -> None:
        self.heard = at
        self.hosts[host].end(task_id, outcome, result, at)

    def close(self, failed: Iterable[str], at: float) -> None:
        """The playbook has ended."""
        self.ended, self.failed_hosts = at, set(failed)

    @property
    def awaits(self) -> bool:
        """Whether the play that begins has lines of the runbook."""
        return bool(self._steps)

    @property
    def wants_report(self) -> bool:
        """Whether the runbook was carried out at all: other playbooks leave no report."""
        return any(host.steps for host in self.hosts.values())
