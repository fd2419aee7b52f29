"""How long the bot is down: a cut-over by deploy.yml beside a bare `pm2 restart` of the same processes.

Both are seen from outside, by asking the bot's health endpoint all the while.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .sandbox import Sandbox

CHANGED = 300  # sessions written between the copy and the stop, where there are so many
_COMPANY = "962302"
_OWNERS = ("ai-admin-worker-v2", "baileys-service")
_RESTARTS = 3
_CUSTOMERS_FROM = 1_000  # files from which on a generated login has customers, whose sessions may be written
_POLL = 0.01  # seconds


def measure(sandbox: Sandbox, files: int) -> dict[str, Any]:
    """Seconds without an answer: `restart`, the median of some; `cut_over`, of one. `steps`: of the latter, by name."""
    sandbox.drop_tables()
    sandbox.playbook("playbooks/sandbox.yml", "--tags", "app", "-e", f"sandbox_app_files={files}")
    restarts = []
    for _ in range(_RESTARTS):
        with _outage(sandbox) as restart:
            sandbox.pm2("restart", *_OWNERS)
            _wait_well(sandbox)
        restarts.append(restart.seconds)
    with _outage(sandbox) as cut_over, _changes(sandbox, files) as changed:
        sandbox.playbook("deploy.yml")
    answer = _journal(sandbox)
    copied = sum(counts["changed"] for counts in answer["companies"][_COMPANY]["actions"].values())
    if copied < len(changed):
        raise RuntimeError(f"{len(changed)} keys changed before the stop, and {copied} were copied after it")
    return {
        "restart": statistics.median(restarts),
        "cut_over": cut_over.seconds,
        "changed": len(changed),
        "steps": {step["name"]: step["seconds"] for step in answer["steps"]},
    }


class _Outage(threading.Thread):
    """The longest time between two good answers of the health endpoint."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._over = url, threading.Event()
        self.seconds = 0.0

    def run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(_POLL):
            if well(self._url):
                now = time.monotonic()
                last, self.seconds = now, max(self.seconds, now - last)

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def _outage(sandbox: Sandbox) -> Iterator[_Outage]:
    outage = _Outage(sandbox.health_url)
    outage.start()
    try:
        yield outage
    finally:
        outage.end()


@contextmanager
def _changes(sandbox: Sandbox, files: int) -> Iterator[list[str]]:
    """As soon as the copy of the running bot's files is there, sessions are written. Yields which."""
    written: list[str] = []
    copied = sandbox.app / ".auth-state" / "manifests" / f"company_{_COMPANY}.json"
    folder = sandbox.app / "baileys_sessions" / f"company_{_COMPANY}"
    over = threading.Event()

    def write() -> None:
        while not copied.exists():
            if over.wait(_POLL):
                return
        for number in range(CHANGED):
            lid = json.loads((folder / f"lid-mapping-7902{number:07d}.json").read_text())
            path = folder / f"session-{lid}_1.0.json"
            session = json.loads(path.read_text())
            for ratchet in session["_sessions"].values():
                ratchet["indexInfo"]["used"] += 1
            path.write_text(json.dumps(session))
            written.append(path.name)

    writer = threading.Thread(target=write if files > _CUSTOMERS_FROM else lambda: None, daemon=True)
    writer.start()
    try:
        yield written
    finally:
        over.set()
        writer.join()


def _wait_well(sandbox: Sandbox) -> None:
    deadline = time.monotonic() + 60
    while not well(sandbox.health_url):
        if time.monotonic() > deadline:
            raise RuntimeError("the bot does not answer")
        time.sleep(_POLL)


def well(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status == 200
    return False


def _journal(sandbox: Sandbox) -> dict[str, Any]:
    """What the last cut-over answered."""
    lines = (sandbox.app / ".auth-state" / "journal.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["answer"]
