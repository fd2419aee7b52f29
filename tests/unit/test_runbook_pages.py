"""docs/RUNBOOK.md and RUNBOOK.ru.md: what they tell an operator to type is there, and what they quote is said."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = ["docs/RUNBOOK.md", "docs/RUNBOOK.ru.md"]


def cells(page: str) -> list[list[str]]:
    """The rows of every table, heads and rules left out."""
    lines = [line for line in (PROJECT / page).read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [
        row
        for row in rows
        if row[0] not in ("by hand", "вручную", "the runbook's symptom", "признак", "you see", "видно")
    ]


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@cache
def tags(playbook: str) -> set[str]:
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "--list-tags"]
    output = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    return {tag for found in re.findall(r"TASK TAGS: \[(.*)\]", output) for tag in found.split(", ")}


@cache
def said() -> str:
    """Everything that the project can say, in one line."""
    folders = [PROJECT / name for name in ("roles", "library", "module_utils", "playbooks")]
    texts = [
        path.read_text()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".py", ".yml", ".j2")
    ]
    return re.sub(r"\"\s*\n\s*f?\"|\s+", " ", "\n".join(texts))


@pytest.mark.parametrize("page", PAGES)
def test_playbooks_and_tags_are_there(page: str) -> None:
    found = 0
    for row in cells(page):
        playbooks = re.findall(r"\b([a-z_]+\.yml)\b", row[1])
        assert all((PROJECT / name).is_file() for name in playbooks), row
        wanted = set(code(row[2])) if len(row) == 6 else set()
        wanted |= {tag for each in re.findall(r"--tags (\S+?)`", row[1]) for tag in each.split(",")}
        assert not wanted or wanted <= set().union(*map(tags, playbooks)), row
        found += len(playbooks)
    assert found > 25


@pytest.mark.parametrize("page", PAGES)
def test_modules_are_there(page: str) -> None:
    named = {name for row in cells(page) if len(row) == 6 for name in code(row[3])}
    assert len(named) > 8
    assert sorted(name for name in named if not (PROJECT / "library" / f"{name}.py").is_file()) == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_quoted_is_said(page: str) -> None:
    quoted = [part.strip() for row in cells(page) if len(row) == 6 for text in code(row[5]) for part in text.split("…")]
    phrases = [part for part in quoted if len(part) > 8 and "UNREACHABLE" not in part and "Host key" not in part]
    assert len(phrases) > 15
    assert sorted(part for part in phrases if part not in said()) == []


def test_both_pages_say_the_same() -> None:
    """All that is typed or quoted, row by row."""
    english, russian = ([[sorted(code(cell)) for cell in row[1:]] for row in cells(page)] for page in PAGES)
    assert english == russian


@pytest.mark.parametrize("page", PAGES)
def test_every_line_says_what_a_failure_says(page: str) -> None:
    assert [row[0] for row in cells(page) if len(row) == 6 and not row[5]] == []
