"""One sandbox for all tests in this folder, and how much of the matrix is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

import pytest

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))

from driver import Sandbox, built
from host import Host
from secret_words import nothing_said_of

Cell = TypeVar("Cell")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--matrix",
        choices=["today", "all"],
        default="today",
        help="all: every cell, and the playbooks after each. today: a few cells of the crashes, others each day; what"
        " follows a kill of the journalled run is that run alone",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cells of a matrix: `@pytest.mark.cells(names, cells, today=how many a day)`.

    `chained=True`: another test has all of them, one after the other; here are today's, each from the beginning.
    """
    for mark in metafunc.definition.iter_markers("cells"):
        names, cells = mark.args
        everything = metafunc.config.getoption("--matrix") == "all" and not mark.kwargs.get("chained")
        metafunc.parametrize(names, cells if everything else of_today(cells, mark.kwargs["today"]))


def of_today(cells: Sequence[Cell], count: int) -> list[Cell]:
    """So many that after some days each has had its turn."""
    day = datetime.now(timezone.utc).date().toordinal()
    return [cells[(day * count + number) % len(cells)] for number in range(count)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of today are the cells alone; first those that play both playbooks anyway, see `Host.arguments`."""
    if config.getoption("--matrix") != "today":
        return
    kept = [item for item in items if item.get_closest_marker("cells")]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = sorted(kept, key=lambda item: item.path.name != "test_crash_tasks.py")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cells(names, cells, today, chained): the cells of a matrix, and how many a day")


def pytest_report_header(config: pytest.Config) -> str:
    return f"matrix: {config.getoption('--matrix')} (the cells of {datetime.now(timezone.utc).date()})"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: each cell, what came of it, and how long it took."""
    rows = [
        (report.nodeid.rpartition("/")[2], outcome, f"{report.duration:.0f} s")
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" and "tests/matrix" in report.nodeid
    ]
    if rows:
        terminalreporter.section("matrix")
        width = max(len(row[0]) for row in rows)
        for cell, outcome, seconds in sorted(rows):
            terminalreporter.line(f"{cell:{width}}  {outcome:6}  {seconds:>6}")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with built() as sandbox, nothing_said_of(sandbox):
        yield sandbox


@pytest.fixture(scope="session")
def host(sandbox: Sandbox) -> Host:
    return Host(sandbox)


@pytest.fixture(scope="session")
def developer(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the app's origin, to push from."""
    clone = tmp_path_factory.mktemp("developer") / "ai-admin"
    branch, origin = host.sandbox.git("branch", "--show-current"), str(host.sandbox.root / "origin.git")
    host.sandbox.git("clone", "--quiet", "--branch", branch, origin, str(clone), folder=host.sandbox.root)
    return clone
