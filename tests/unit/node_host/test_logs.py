"""Only what was written since the mark counts, whatever happens to the file meanwhile."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.node_host import logs


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\x1b[32m🗄️  Using database\tauth state\x1b[0m for 962302", "Using database auth state for 962302"),
        ("🤖 Database auth state enabled - starting", "Database auth state enabled - starting"),
        ("🧹 Starting automatic cleanup...\r", "Starting automatic cleanup..."),
        ("✅ done 👨‍👩‍👧 x 🇷🇺 y 1️⃣ z", "done x y 1 z"),
        ("\x1b]0;title\x07text\x1b[1;31;48;5;200mred", "textred"),
        ("\x1b[2K\x1b[1Gprogress", "progress"),
        ("Привет — €5 → «да»", "Привет — €5 «да»"),
        ("", ""),
    ],
)
def test_plain(line: str, expected: str) -> None:
    assert logs.plain(line) == expected


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2025-10-07T12:00:00: Using database", "2025-10-07T12:00:00"),
        ("[2025-10-07 12:00:00.123 +03:00] INFO", "2025-10-07 12:00:00.123 +03:00"),
        ("[2025-10-07T12:00:00.123Z] x", "2025-10-07T12:00:00.123Z"),
        ('{"level":30,"time":1759838400123,"msg":"x"}', "2025-10-07T12:00:00.123+00:00"),
        ("company 962302 at 12:00", None),
    ],
)
def test_line_time(line: str, time: str | None) -> None:
    assert logs.line_time(line) == time


def test_patterns_take_the_runbooks_lines_as_they_are() -> None:
    [pattern] = logs.patterns([{"text": "🧹  Starting   automatic cleanup..."}])
    line = logs.plain("\x1b[1m🧹 starting automatic cleanup... of expired WhatsApp keys")
    assert pattern.matches(line, line.casefold())
    assert not pattern.matches("Starting", "starting")


def test_all_bad_patterns_are_named_at_once() -> None:
    with pytest.raises(logs.LogError) as caught:
        logs.patterns([{"name": "both", "text": "a", "regex": "a"}, {"name": "none"}, {"regex": "("}, {"text": "🧹"}])
    assert [problem.where for problem in caught.value.problems] == [
        "pattern both", "pattern none", "pattern (", "pattern 🧹",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------- following


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app-out.log"
    path.write_text("old 1\nold 2\n")
    return path


def write(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


def since(spot: dict[str, Any]) -> list[str]:
    tail = logs.Tail(spot)
    try:
        return list(tail.lines())
    finally:
        tail.close()


def rename(log: Path, suffix: str = ".1") -> Path:
    copy = Path(f"{log}{suffix}")
    log.rename(copy)
    log.write_text("")
    return copy


def copytruncate(log: Path, suffix: str = ".1") -> Path:
    copy = Path(f"{log}{suffix}")
    shutil.copy(log, copy)
    os.truncate(log, 0)
    return copy


def test_only_what_was_written_since(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    assert since(spot) == []
    write(log, "new 1\nnew 2\nhalf")
    assert since(spot) == ["new 1", "new 2"]
    assert since(logs.mark({"path": str(log)}, at_start=True)) == ["old 1", "old 2", "new 1", "new 2"]


def test_a_line_half_written_at_the_mark_counts_whole(log: Path) -> None:
    write(log, "Using data")
    spot = logs.mark({"path": str(log)})
    write(log, "base auth state\n")
    assert since(spot) == ["Using database auth state"]


def test_a_file_that_was_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    spot = logs.mark({"path": str(path)})
    assert since(spot) == []
    path.write_text("first\n")
    assert since(spot) == ["first"]


@pytest.mark.parametrize("rotate", [rename, copytruncate])
@pytest.mark.parametrize("suffix", [".1", "-20251007", "__2025"])
@pytest.mark.parametrize("marked", ["old\n", "", None], ids=["with lines", "empty", "not there"])
def test_rotated_between_the_calls(log: Path, rotate: Any, suffix: str, marked: str | None) -> None:
    log.unlink() if marked is None else log.write_text(marked)
    spot = logs.mark({"path": str(log)})
    write(log, "before rotation\n")
    if suffix == "__2025":  # as pm2-logrotate names them
        rotate(log).rename(log.with_name("app-out__2025-10-07_00-00-00.log"))
    else:
        rotate(log, suffix)
    write(log, "after rotation\n")
    assert since(spot) == ["before rotation", "after rotation"]


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_rotated_twice(log: Path, rotate: Any) -> None:
    spot = logs.mark({"path": str(log)})
    write(log, "one\n")
    os.utime(rotate(log, ".2"), (1, 1))
    write(log, "two\n")
    rotate(log, ".1")
    write(log, "three\n")
    assert since(spot) == ["one", "two", "three"]


def test_rotated_and_compressed(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    write(log, "before rotation\n")
    copy = copytruncate(log)
    with gzip.open(f"{copy}.gz", "wb") as out:
        out.write(copy.read_bytes())
    copy.unlink()
    write(log, "after rotation\n")
    assert since(spot) == ["before rotation", "after rotation"]


def test_a_copy_from_before_an_empty_logs_mark_is_not_read_again(log: Path) -> None:
    copy = copytruncate(log)
    os.utime(copy, (1, 1))
    spot = logs.mark({"path": str(log)})
    write(log, "new\n")
    assert since(spot) == ["new"]
    assert since(logs.mark({"path": str(log)}, at_start=True)) == ["new"]


def test_an_empty_log_that_was_rotated_by_name_with_nothing_in_it_lost_nothing(log: Path) -> None:
    log.write_text("")
    tail = logs.Tail(logs.mark({"path": str(log)}))
    rename(log)
    write(log, "new\n")
    assert list(tail.lines()) == ["new"]
    assert not tail.gap


def test_emptied_and_grown_beyond_the_mark_again(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    copytruncate(log)
    write(log, "a new line that is longer than the old ones were\n")
    assert since(spot) == ["a new line that is longer than the old ones were"]


def test_an_inode_used_again_is_no_old_file(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    log.write_text("new 1\nnew 2\nnew 3\n")  # same inode, other content
    assert since(spot) == ["new 1", "new 2", "new 3"]


def test_lines_that_were_lost_are_said(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    write(log, "lost\n")
    rename(log).unlink()
    write(log, "seen\n")
    tail = logs.Tail(spot)
    assert list(tail.lines()) == ["seen"]
    assert tail.gap


def test_another_applications_log_is_no_copy(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    (log.parent / "app-out-2.log").write_text("x")
    (log.parent / "app-outer.log").write_text("old 1\nold 2\nforeign\n")
    rename(log).unlink()
    assert since(spot) == []


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_rotated_while_it_is_watched(log: Path, rotate: Any) -> None:
    tail = logs.Tail(logs.mark({"path": str(log)}))
    write(log, "one\nhalf ")
    seen = list(tail.lines())
    write(log, "line\ntwo\n")
    rotate(log)
    write(log, "three\n")
    seen += list(tail.lines())
    write(log, "four\n")
    seen += list(tail.lines())
    assert seen == ["one", "half line", "two", "three", "four"]
    assert not tail.gap
    assert since(tail.mark()) == []


def test_emptied_while_it_is_watched_and_grown_beyond_that_place_before_the_next_look(log: Path) -> None:
    tail = logs.Tail(logs.mark({"path": str(log)}))
    assert list(tail.lines()) == []
    write(log, "one\n")
    copytruncate(log)
    write(log, "a new line that is longer than all of the old ones\n")
    assert list(tail.lines()) == ["one", "a new line that is longer than all of the old ones"]


def test_a_line_that_the_rotation_cut_off_counts(log: Path) -> None:
    tail = logs.Tail(logs.mark({"path": str(log)}))
    write(log, "killed in the midst of")
    assert list(tail.lines()) == []
    rename(log)
    assert list(tail.lines()) == ["killed in the midst of"]


def test_renamed_and_not_made_anew_yet(log: Path) -> None:
    tail = logs.Tail(logs.mark({"path": str(log)}))
    assert list(tail.lines()) == []
    copy = Path(f"{log}.1")
    log.rename(copy)
    write(copy, "still to the old one\n")
    assert list(tail.lines()) == ["still to the old one"]
    log.write_text("the new one\n")
    assert list(tail.lines()) == ["the new one"]


def test_the_next_pass_goes_on_where_this_one_ended(log: Path) -> None:
    spot = logs.mark({"path": str(log), "process": "bot", "stream": "out"})
    write(log, "one\nhalf ")
    first = logs.watch([spot], [], logs.patterns([{"text": "half"}]))
    assert first.lines == 1
    write(log, "line\n")
    second = logs.watch(first.marks, logs.patterns([{"text": "half line"}]), [])
    assert [(hit["line"], hit["process"]) for hit in second.found] == [("half line", "bot")]
    assert logs.watch(second.marks, [], []).lines == 0


def test_a_huge_line_is_cut_and_the_next_one_is_read(log: Path) -> None:
    spot = logs.mark({"path": str(log)})
    write(log, "x" * 3_000_000 + "\nnext\n")
    lines = since(spot)
    assert lines[-1] == "next"
    assert len(lines) == 2
    assert len(lines[0]) <= 1 << 17


# ------------------------------------------------------------------------------------------------- watching


class Clock:
    """A clock that only sleeping moves, and on which something happens at a time."""

    def __init__(self) -> None:
        self.now, self.events = 0.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self.events and self.events[0][0] <= self.now:
            self.events.pop(0)[1]()


def watch(log: Path, clock: Clock, expected: list[str], forbidden: list[str] = (), **more: Any) -> logs.Result:
    marks = [logs.mark({"path": str(log), "process": "bot", "stream": "err"})]
    wanted = logs.patterns([{"text": text} for text in expected])
    unwanted = logs.patterns([{"text": text} for text in forbidden])
    return logs.watch(marks, wanted, unwanted, clock=clock, sleep=clock.sleep, **more)


def test_it_waits_and_settles(log: Path) -> None:
    clock = Clock()
    clock.events = [(3, lambda: write(log, "2025-10-07T12:00:00: ready\n")), (4, lambda: write(log, "Bad MAC\n"))]
    seen = watch(log, clock, ["ready"], ["bad mac"], timeout=10, settle=2)
    assert clock.now == pytest.approx(5, abs=0.5)
    assert (seen.missing, seen.counts) == ([], {"ready": 1, "bad mac": 1})
    assert seen.found[0]["time"] == "2025-10-07T12:00:00"
    assert [(hit["line"], hit["number"]) for hit in seen.forbidden] == [("Bad MAC", 2)]


def test_without_settling_the_late_line_is_not_seen(log: Path) -> None:
    clock = Clock()
    clock.events = [(3, lambda: write(log, "ready\n")), (4, lambda: write(log, "Bad MAC\n"))]
    assert watch(log, clock, ["ready"], ["Bad MAC"], timeout=10, settle=0).forbidden == []


def test_missing_comes_with_the_last_error_lines_masked(log: Path) -> None:
    clock = Clock()
    clock.events = [(1, lambda: write(log, "Error: no session for 79686484488\nno newline"))]
    seen = watch(log, clock, ["ready"], timeout=2)
    assert seen.missing == ["ready"]
    assert seen.last_error_lines[0]["lines"] == ["Error: no session for 7968***4488", "no newline"]
    [problem] = logs.judge(seen, 2)
    assert "'ready' was not written within 2 s" in problem.problem
    assert "bot: Error: no session for 7968***4488" in problem.problem


def test_a_forbidden_line_ends_the_wait(log: Path) -> None:
    clock = Clock()
    clock.events = [(1, lambda: write(log, "Failed to load credentials\n"))]
    seen = watch(log, clock, ["ready"], ["failed to load credentials"], timeout=60, settle=1)
    assert clock.now < 4
    assert {problem.code for problem in logs.judge(seen, 60)} == {"log_missing", "log_forbidden"}


def test_old_lines_do_not_count(log: Path) -> None:
    assert watch(log, Clock(), ["old 1"], timeout=1).missing == ["old 1"]


def test_a_last_line_without_an_end_counts(log: Path) -> None:
    clock = Clock()
    clock.events = [(0.5, lambda: write(log, "ready"))]
    assert watch(log, clock, ["ready"], timeout=1).missing == []


def test_a_pattern_of_another_process_does_not_match_here(log: Path) -> None:
    marks = [logs.mark({"path": str(log), "process": "bot", "stream": "out"})]
    write(log, "ready\n")
    wanted = logs.patterns([
        {"text": "ready", "process": "other", "name": "a"}, {"text": "ready", "stream": "err", "name": "b"},
        {"regex": "^READY", "name": "c"}, {"regex": "^read[y]$", "process": "bot", "name": "d"},
    ])  # fmt: skip
    seen = logs.watch(marks, wanted, [])
    assert seen.missing == ["a", "b", "c"]
    assert seen.unwatched == ["a", "b"]


def test_memory_stays_bounded_but_all_is_counted(log: Path) -> None:
    marks = [logs.mark({"path": str(log)})]
    write(log, "Bad MAC\n" * 20_000)
    seen = logs.watch(marks, [], logs.patterns([{"text": "Bad MAC"}]))
    assert seen.counts == {"Bad MAC": 20_000}
    assert len(seen.forbidden) == 5
    assert len(seen.last_error_lines[0]["lines"]) == 10


def test_last_lines(log: Path, tmp_path: Path) -> None:
    size = log.stat().st_size
    write(log, "\n\x1b[31mError for 79686484488\x1b[0m\n")
    assert logs.last_lines(log, 2) == ["old 2", "Error for 7968***4488"]
    assert logs.last_lines(log, 5, size) == ["Error for 7968***4488"]
    assert logs.last_lines(tmp_path / "none") == []


def test_a_long_line_is_masked_before_it_is_cut(log: Path) -> None:
    write(log, "x" * 493 + " 79686484488\n")
    assert "796864" not in logs.last_lines(log, 1)[0]
