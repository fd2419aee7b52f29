"""The runbook on a terminal."""

from __future__ import annotations

import re

from runbook_report import checklist
from runbook_report.run import Run
from stories import STEPS, Teller, killed


def plain(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[\d+m", "", line) for line in lines]


def shown(run: Run, now: float, width: int = 80, height: int = 24) -> list[str]:
    return plain(checklist.lines(run, now, width, height))


def test_done_running_with_its_time_and_what_is_to_come() -> None:
    told = killed()
    assert shown(told.run, told.now + 7.4) == [
        " ✓ Start of the runbook: login of company 962302, app /opt/ai-admin",
        " ✓ Preflight passed: ready: company 962302 is on files (337 files, 0 rows)",
        " ✓ Newest code ready: a → b",
        " ✓ Backup created: 337 files",
        " ▸ Stop, copy, flag, start  7 s",
        " ○ Services stopped",
        " ○ Flag set in .env",
        " ○ Services up",
    ]


def test_it_fits_the_terminal() -> None:
    told = killed()
    lines = shown(told.run, told.now, width=30, height=9)
    assert len(lines) <= 6
    assert max(map(len, lines)) < 30
    assert any(line.startswith(" ▸ Stop, copy") for line in lines)


def test_a_fleet_is_counted_and_who_failed_is_named() -> None:
    told = Teller("a", "b", "c")
    for host in ("a", "b"):
        told.task("Look", 1.0, host=host).step("Preflight passed", host=host)
    told.fails("Install", host="b", msg="no")
    told.run.begin("a", "x", "Back up", "command", told.now)
    assert shown(told.run, told.now + 2) == [
        " ✓ Preflight passed  2/3",
        " ✗ Install: b",
        " ▸ Back up  2 s",
        *(f" ○ {name}" for name in STEPS[1:]),
    ]
