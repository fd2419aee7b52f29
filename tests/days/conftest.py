"""A sandbox of its own for the days after the switch, in which the clock is moved by the sandbox's own file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "sandbox"))

from driver import COMPANY, Run, Sandbox, built
from secret_words import nothing_said_of
from webhook import Webhook


@dataclass
class Days:
    """The hours since the cut-over, and what is done in them."""

    sandbox: Sandbox
    webhook: Webhook
    begin: datetime

    @classmethod
    def after_cut_over(cls, sandbox: Sandbox, webhook: Webhook) -> Days:
        record = json.loads((sandbox.app / ".auth-state/state.json").read_text())["companies"][COMPANY]
        return cls(sandbox, webhook, datetime.fromisoformat(record["since"]))

    @property
    def ledger(self) -> Path:
        return self.sandbox.app / ".auth-state" / "ledger.jsonl"

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]

    def set_clock(self, hours: float) -> None:
        """It is so many hours after the cut-over."""
        ahead = self.begin + timedelta(hours=hours) - datetime.now(timezone.utc)
        (self.sandbox.root / "clock").write_text(str(ahead.total_seconds()))

    def pass_at(self, hours: float, *arguments: str) -> Run:
        self.set_clock(hours)
        return self.sandbox.play("monitor.yml", "-e", f"monitor_webhook_url={self.webhook.url}", *arguments)

    def cleanup(self, *arguments: str) -> Run:
        return self.sandbox.play("cleanup.yml", *arguments)

    def clean_expired_rows(self) -> None:
        """The bot's six hours are over."""
        (pid, _, _) = self.sandbox.processes()["ai-admin-worker-v2"]
        log = self.sandbox.root / "pm2/logs/ai-admin-worker-v2-out.log"
        before = log.read_text().count("Automatic cleanup completed") if log.exists() else 0
        os.kill(pid, 12)  # SIGUSR2
        until(lambda: log.read_text().count("Automatic cleanup completed") > before)

    @contextmanager
    def database_down(self) -> Iterator[None]:
        admin = (self.sandbox.root / "secrets/admin_url").read_text().strip()
        name = self.sandbox.database_url.rpartition("/")[2]

        def allow(value: str) -> None:
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {value}')
                kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(kill, [name])

        allow("false")
        try:
            yield
        finally:
            allow("true")


def ends_well(run: Run) -> None:
    assert run.rc == 0, run.output[-4000:]


def refused(run: Run, words: str) -> None:
    assert run.rc == 2, run.output[-3000:]
    assert words in run.message(), run.message()


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def days() -> Iterator[Days]:
    """A bot that has just been deployed to the database."""
    webhook = Webhook()
    with built() as sandbox, nothing_said_of(sandbox, told=lambda: [json.dumps(webhook.received)]):
        deployed = sandbox.play("deploy.yml")
        assert deployed.rc == 0, deployed.output[-5000:]
        yield Days.after_cut_over(sandbox, webhook)
    webhook.close()
