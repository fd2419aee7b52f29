"""Runs as the callback plugin would have heard them, told with a clock of their own."""

from __future__ import annotations

from typing import Any

from runbook_report.run import CHANGED, FAILED, OK, SKIPPED, UNREACHABLE, Run

BEGAN = 1_795_560_000.0  # 24 November 2026, 22:40:00 UTC
STEPS = (
    "Preflight passed",
    "Newest code ready",
    "Backup created",
    "Services stopped",
    "Flag set in .env",
    "Services up",
)
JOURNAL = [
    {"name": "stop", "seconds": 0.4},
    {"name": "rest", "seconds": 0.1},
    {"name": "copy", "seconds": 0.3},
    {"name": "flag", "seconds": 0.0},
    {"name": "start", "seconds": 0.2},
    {"name": "healthy", "seconds": 1.0},
    {"name": "settle", "seconds": 0.5},
]


class Teller:
    """Tells one run, host by host, task by task."""

    def __init__(self, *hosts: str, playbook: str = "deploy.yml", check_mode: bool = False) -> None:
        facts = {"by": "operator@desk", "project commit": "0a1b2c3d4e5f", "options": "--limit sandbox"}
        self.run, self.now, self._count = Run(playbook, BEGAN, facts, check_mode), BEGAN, 0
        self.run.plan(hosts or ("sandbox",), {f"step {name}": name for name in STEPS})

    def task(
        self,
        name: str,
        seconds: float = 1.0,
        outcome: str = OK,
        *,
        action: str = "command",
        host: str = "sandbox",
        task_id: str = "",
        **result: Any,
    ) -> Teller:
        self._count += 1
        task_id = task_id or f"task {self._count}"
        self.run.begin(host, task_id, name, action, self.now)
        self.now += seconds
        self.run.end(host, task_id, outcome, result, self.now)
        return self

    def step(self, name: str, did: str = "", outcome: str = "done", host: str = "sandbox") -> Teller:
        facts = {"runbook_steps": [{"name": name, "did": did, "outcome": outcome}]}
        return self.task(name, 0.0, action="runbook_step", host=host, task_id=f"step {name}", ansible_facts=facts)

    def hand_over(self, host: str = "sandbox", **report: Any) -> Teller:
        return self.task("Hand it to the report", 0.0, action="runbook_report", host=host, report=report)

    def fails(self, name: str, seconds: float = 1.0, host: str = "sandbox", **more: Any) -> Teller:
        return self.task(name, seconds, FAILED, host=host, **more)

    def close(self, *failed: str) -> Run:
        self.run.close(failed, self.now)
        return self.run

    def until_backup(self, host: str = "sandbox") -> Teller:
        self.step("Start of the runbook", "login of company 962302, app /opt/ai-admin", "unchanged", host)
        self.task("Look at the processes", 2.0, host=host)
        self.step("Preflight passed", "ready: company 962302 is on files (337 files, 0 rows)", "unchanged", host)
        self.task("Install its dependencies there", 6.0, CHANGED, host=host).step(
            "Newest code ready", "a → b", host=host
        )
        return self.task("Back up the files", 2.0, CHANGED, host=host).step("Backup created", "337 files", host=host)

    def cut_over(self, host: str = "sandbox", **changes: Any) -> Teller:
        result = {"steps": JOURNAL, "freeze_seconds": 2.0, "recovered": None, **changes}
        self.task("Stop, copy, flag, start", 4.0, CHANGED, action="auth_state_cutover", host=host, **result)
        for name in STEPS[3:]:
            self.step(name, "said", host=host)
        return self

    def log_lines(self, host: str = "sandbox", **more: Any) -> Teller:
        line = {"name": "store", "path": "/l/w-out.log", "process": "worker", "stream": "out", "number": 3}
        found = [{**line, "line": "Using database auth state for company 962302", "time": "2026-11-24T22:40:12"}]
        return self.task("Wait for the lines", 1.0, action="log_watch", host=host, found=found, **more)


def deployed(host: str = "sandbox") -> Teller:
    told = Teller(host).until_backup(host).cut_over(host).log_lines(host)
    return told.hand_over(
        host,
        headline="company 962302 runs on the database",
        changes=[
            {"what": "store", "before": "files", "after": "database"},
            {"what": "files", "before": "337", "after": "337"},
        ],
        tables=[{"title": "By key type", "columns": ["key type", "before", "after"], "rows": [["pre-key", 14, 14]]}],
        checks=[
            {"expected": "Backup created", "found": "337 files", "outcome": "done"},
            {"expected": "337 files before", "found": "336 files", "outcome": "skipped"},
        ],
        notes=["pm2 process worker: a reboot would not bring it back"],
        next=[{"say": "The way back, without losing a key", "type": "ansible-playbook rollback.yml -l sandbox"}],
    )


def failed_install(host: str = "sandbox", *others: str) -> Teller:
    told = Teller(host, *others)
    told.step("Start of the runbook", "login of company 962302", "unchanged", host)
    told.task("Look at the processes", 2.0, host=host).step("Preflight passed", "ready", "unchanged", host)
    told.fails("Install its dependencies there", 5.0, host, msg="npm error code ETARGET\nnpm error notarget pg@0.0.0")
    told.hand_over(
        host,
        failure={
            "task": "Install its dependencies there",
            "message": "npm error code ETARGET\nnpm error notarget pg@0.0.0",
            "done": "Nothing had to be taken back.",
            "stands": "The bot was not touched: it runs as before, on files.",
        },
    )
    return told.fails("Say what failed", 0.1, host, action="ansible.builtin.fail", msg="sandbox: failed at …")


def wrong_host(host: str = "sandbox") -> Teller:
    told = Teller(host).step("Start of the runbook", "login of company 962302", "unchanged", host)
    told.task("Look at the processes", 2.0, host=host)
    told.hand_over(
        host,
        headline="Nothing was changed: 2 things have to be put right first",
        findings=[
            {"where": "/opt/ai-admin", "problem": "Tracked files were changed: src/worker.js", "remedy": "Commit them"},
            {"where": "pm2", "problem": "There is no process no-such-worker", "remedy": "pm2 list shows the names"},
        ],
    )
    return told.fails("Stop here when anything is wrong", 0.0, host, action="ansible.builtin.fail", msg="Nothing was …")


def lost(host: str = "sandbox") -> Teller:
    return Teller(host).until_backup(host).task("Stop, copy, flag, start", 9.0, UNREACHABLE, host=host, msg="timed out")


def killed() -> Teller:
    told = Teller().until_backup()
    told.run.begin("sandbox", "cut", "Stop, copy, flag, start", "auth_state_cutover", told.now)
    return told


def monitored(passes: int = 12, bad: tuple[int, ...] = (7, 8)) -> Teller:
    told = Teller(playbook="monitor.yml").step("Start of the runbook", "pass 12 of company 962302", "unchanged")
    told.task("Look at the bot", 3.0).step("Preflight passed", "restarts 0, errors 0", "unchanged")
    told.task("Not this time", 0.0, SKIPPED)
    return told.hand_over(
        headline="company 962302: all is well",
        good=passes - 1 not in bad,
        passes=[
            {
                "at": f"2026-11-{24 + (22 + 2 * number) // 24}T{(22 + 2 * number) % 24:02}:40:00Z",
                "good": number not in bad,
                "says": "the database did not answer" if number in bad else "all is well",
                "figures": {
                    "restarts": 0 if number < 7 else 1,
                    "errors": 9 if number in bad else number % 2,
                    "messages_sent": 5 + (number * 7) % 11,
                    "rows": None if number in bad else 80 + number,
                    "expired": (number % 3) * 4,
                    "latency_ms": None if number in bad else 2.9 + (number % 4) * 0.4,
                },
            }
            for number in range(passes)
        ],
    )


def fleet() -> Run:
    """The first is done, the second fails, the third is never reached."""
    run = deployed("host-a").run
    second = failed_install("host-b").run
    run.hosts |= second.hosts
    run.plan(["host-a", "host-b", "host-c"], {})
    run.close(["host-b"], BEGAN + 40)
    return run
