"""log_watch as a module, on files that somebody writes meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXPECTED = [
    {"text": "🗄️  Using database auth state for company 962302"},
    {"text": "Starting automatic cleanup", "process": "worker"},
]
FORBIDDEN = [{"name": "stale ratchet", "regex": "Bad MAC|Invalid PreKey ID"}]


@pytest.fixture
def files(tmp_path: Path) -> list[dict[str, str]]:
    made = []
    for process in ("worker", "service"):
        for stream in ("out", "err"):
            path = tmp_path / f"{process}-{stream}.log"
            path.write_text("Using database auth state for company 962302\nStarting automatic cleanup\nBad MAC\n")
            made.append({"path": str(path), "process": process, "stream": stream})
    return made


@pytest.fixture
def mark(run_module: Callable[..., dict[str, Any]], files: list[dict[str, str]]) -> list[dict[str, Any]]:
    return run_module("log_watch", state="marked", files=files)["mark"]


def later(seconds: float, *lines: tuple[Path, str]) -> threading.Thread:
    def run() -> None:
        time.sleep(seconds)
        for path, line in lines:
            with open(path, "a") as file:
                file.write(f"{line}\n")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_waits_for_each_line_in_its_process(
    run_module: Callable[..., dict[str, Any]], mark: list[dict[str, Any]], tmp_path: Path
) -> None:
    Path(tmp_path / "service-out.log").rename(tmp_path / "service-out.log.1")
    writer = later(
        0.3,
        (tmp_path / "service-out.log", "\x1b[36m🗄️  Using database auth state for company 962302\x1b[0m"),
        (tmp_path / "worker-out.log", "2025-10-07T12:00:05: 🧹 Starting automatic cleanup of expired WhatsApp keys..."),
    )
    result = run_module(
        "log_watch", state="matched", mark=mark, expected=EXPECTED, forbidden=FORBIDDEN, timeout=10, settle=0.2
    )
    writer.join()
    assert not result.get("failed"), result
    assert not result["changed"]
    time_of = "2025-10-07T12:00:05"
    assert sorted((hit["process"], hit["line"], hit["time"] or "") for hit in result["found"]) == [
        ("service", "Using database auth state for company 962302", ""),
        ("worker", f"{time_of}: Starting automatic cleanup of expired WhatsApp keys...", time_of),
    ]
    assert (result["missing"], result["forbidden_found"], result["gaps"]) == ([], [], [])
    assert result["seconds"] < 5
    again = run_module("log_watch", state="matched", mark=result["mark"], timeout=0, settle=0)
    assert again["lines"] == 0


def test_fails_with_what_is_missing_and_forbidden(
    run_module: Callable[..., dict[str, Any]], mark: list[dict[str, Any]], tmp_path: Path
) -> None:
    writer = later(0, (tmp_path / "worker-err.log", "Session error: Bad MAC 79686484488.0"))
    writer.join()
    asked = {"mark": mark, "expected": EXPECTED, "forbidden": FORBIDDEN, "timeout": 5, "settle": 0.1}
    result = run_module("log_watch", state="matched", **asked)
    assert result["failed"]
    assert result["missing"] == ["🗄️  Using database auth state for company 962302", "Starting automatic cleanup"]
    assert [problem["code"] for problem in result["problems"]] == ["log_missing", "log_missing", "log_forbidden"]
    assert "Session error: Bad MAC 7968***4488.0" in result["msg"]
    assert "79686484488" not in json.dumps(result)
    assert result["seconds"] < 3, "a forbidden line ends the wait"

    assert not run_module("log_watch", state="matched", report_only=True, **asked).get("failed")
    checked = run_module("log_watch", state="matched", _check=True, **{**asked, "forbidden": []})
    assert len(checked["missing"]) == 2
    assert not checked.get("failed")
    assert checked["seconds"] < 0.5


def test_a_bad_pattern_is_named(run_module: Callable[..., dict[str, Any]], mark: list[dict[str, Any]]) -> None:
    result = run_module("log_watch", state="matched", mark=mark, expected=[{"regex": "("}])
    assert result["failed"]
    assert result["problems"][0]["code"] == "log_pattern"


def watched(run_module: Callable[..., dict[str, Any]], log: Path, lines: int, **more: Any) -> dict[str, Any]:
    """So many forbidden lines after the mark, in a log that is as it is."""
    mark = run_module("log_watch", state="marked", files=[{"path": str(log)}])["mark"]
    with open(log, "a") as file:
        file.write("Error: Bad MAC\n" * lines)
    return run_module("log_watch", state="matched", mark=mark, forbidden=FORBIDDEN, timeout=0, settle=0, **more)


def test_an_app_that_was_noisy_is_not_blamed_on_what_came_after(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    log = tmp_path / "w-out.log"
    log.write_text("".join(f"2026-11-{day:02}T{hour:02}:00:00 Bad MAC\n" for day in (1, 2) for hour in range(24)))
    result = watched(run_module, log, 1, compare_before=True)
    assert not result.get("failed")
    assert (result["usual"], result["forbidden_found"]) == (["stale ratchet"], [])
    # More than usual, or not compared: blamed.
    assert watched(run_module, log, 40, compare_before=True)["problems"][0]["code"] == "log_forbidden"
    assert watched(run_module, log, 1)["problems"][0]["code"] == "log_forbidden"


def test_an_app_that_was_quiet_is_blamed_for_one_line(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    log = tmp_path / "w-out.log"
    log.write_text("2026-11-01T00:00:00 fine\n2026-11-02T00:00:00 fine\n")
    assert watched(run_module, log, 1, compare_before=True)["problems"][0]["code"] == "log_forbidden"
