"""Where a page goes."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from runbook_report.file import PageFile

BEGAN = datetime(2026, 11, 24, 22, 40, tzinfo=timezone.utc)


def test_it_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = PageFile(tmp_path / "a" / "reports", "playbooks/deploy.yml", BEGAN)
        file.write("one")
        file.write("двa")
    finally:
        os.umask(before)
    assert file.path == tmp_path / "a" / "reports" / "2026-11-24T224000Z-deploy.html"
    assert file.path.read_text(encoding="utf-8") == "двa"
    assert oct(file.path.stat().st_mode & 0o777) == "0o600"
    assert oct(file.path.parent.stat().st_mode & 0o777) == "0o700"
    assert list(file.path.parent.iterdir()) == [file.path]


def test_two_runs_of_the_same_second_have_a_page_each(tmp_path: Path) -> None:
    files = [PageFile(tmp_path, "deploy.yml", BEGAN) for _ in range(3)]
    for number, file in enumerate(files):
        file.write(str(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-11-24T224000Z-deploy-2.html",
        "2026-11-24T224000Z-deploy-3.html",
        "2026-11-24T224000Z-deploy.html",
    ]
    assert [file.path.read_text() for file in files if file.path] == ["0", "1", "2"]


def test_a_page_is_never_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step of the first writing: the page is not there, or it is whole."""
    seen: list[str] = []
    watched = ("open", "fdopen", "link", "unlink", "replace")
    for name in watched:
        real = getattr(os, name)

        def step(*given: object, _real: Any = real, **named: object) -> Any:
            seen.extend(path.read_text() for path in tmp_path.glob("*.html"))
            return _real(*given, **named)

        monkeypatch.setattr(os, name, step)
    file = PageFile(tmp_path, "deploy.yml", BEGAN)
    file.write("first")
    file.write("second")
    assert set(seen) == {"first"}
    assert file.path
    assert file.path.read_text() == "second"


def test_no_link_is_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (tmp_path / f"2026-11-24T224000Z-deploy.{os.getpid()}.part").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        PageFile(tmp_path, "deploy.yml", BEGAN).write("x")
    assert victim.read_text() == "whole"


def test_the_newest_of_each_playbook_stay_and_what_is_no_page_too(tmp_path: Path) -> None:
    def page(minute: int, playbook: str) -> PageFile:
        file = PageFile(tmp_path, playbook, BEGAN.replace(minute=minute))
        file.write("x")
        return file

    other = page(1, "deploy.yml")
    pages = [page(minute, "monitor.yml") for minute in (2, 3, 3, 4)]
    (tmp_path / "2026-11-24T220200Z-monitor.4711.part").touch()
    (tmp_path / "notes.html").touch()
    (tmp_path / "2026-11-24T220200Z-monitor-of-mine.html").touch()
    pages[-1].forget(0)
    assert len(list(tmp_path.iterdir())) == 8
    pages[-1].forget(2)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {path.path.name for path in (other, *pages[2:]) if path.path} | {
        "notes.html",
        "2026-11-24T220200Z-monitor-of-mine.html",
    }


def test_page_of_this_run_stays_where_the_clock_was_set_back(tmp_path: Path) -> None:
    PageFile(tmp_path, "monitor.yml", BEGAN.replace(minute=9)).write("x")
    page = PageFile(tmp_path, "monitor.yml", BEGAN.replace(minute=1))
    page.write("x")
    page.forget(1)
    assert page.path is not None
    assert page.path.exists()
