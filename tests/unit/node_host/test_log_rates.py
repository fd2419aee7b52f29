"""How often a line came before a mark, and what is forgiven for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible.module_utils.node_host import logs
from ansible.module_utils.node_host.log_rates import Rate, Usual, before

FORBIDDEN = logs.patterns([{"text": "Bad MAC"}, {"text": "creating a new login", "forgivable": False}])
BAD_MAC, NEW_LOGIN = FORBIDDEN


def stamped(hours: int, every: int = 1) -> str:
    """A line an hour, and in each `every`th of them the noise."""
    lines = [
        f"2026-11-{1 + n // 24:02}T{n % 24:02}:00:00: {'Bad MAC' if n % every == 0 else 'fine'}"
        for n in range(hours + 1)
    ]
    return "\n".join(lines) + "\n"


def marked(path: Path, text: str) -> dict[str, object]:
    path.write_text(text)
    return logs.mark({"path": str(path)})


def test_by_the_times_in_the_lines(tmp_path: Path) -> None:
    rate = before([marked(tmp_path / "w.log", stamped(48, every=2))], FORBIDDEN)["Bad MAC"]
    assert (rate.count, round(rate.hours or 0)) == (25, 48)
    assert rate.per_hour == pytest.approx(0.5, abs=0.05)


def test_without_times_by_the_age_of_the_file(tmp_path: Path) -> None:
    mark = marked(tmp_path / "w.log", "Bad MAC\n" * 3) | {"at": time.time() + 3600}
    rate = before([mark], FORBIDDEN)["Bad MAC"]
    assert rate.count == 3
    assert rate.hours == pytest.approx(1, abs=0.05)


def test_what_was_written_after_the_mark_is_not_of_before(tmp_path: Path) -> None:
    mark = marked(tmp_path / "w.log", stamped(10, every=11))
    with open(tmp_path / "w.log", "a") as file:
        file.write("Bad MAC\n" * 9)
    assert before([mark], FORBIDDEN)["Bad MAC"].count == 1


def test_it_is_found_in_the_rotated_copy(tmp_path: Path) -> None:
    mark = marked(tmp_path / "w.log", stamped(10, every=5))
    os.rename(tmp_path / "w.log", tmp_path / "w.log.1")
    (tmp_path / "w.log").write_text("Bad MAC\n")
    assert before([mark], FORBIDDEN)["Bad MAC"].count == 3


def test_a_log_that_is_gone_forgives_nothing(tmp_path: Path) -> None:
    mark = marked(tmp_path / "w.log", stamped(10))
    (tmp_path / "w.log").unlink()
    assert before([mark], FORBIDDEN)["Bad MAC"].allows(3600) == 0


@pytest.mark.parametrize(
    ("rate", "seconds", "allowed"),
    [
        (Rate(0, 24.0), 3600, 0),
        (Rate(5, None), 3600, 0),
        (Rate(1, 24.0), 30, 1),
        (Rate(24, 24.0), 3600, 4),
        (Rate(2400, 24.0), 3600, 130),
    ],
)
def test_what_is_allowed(rate: Rate, seconds: float, allowed: int) -> None:
    assert rate.allows(seconds) == allowed


def test_a_new_login_is_never_as_usual(tmp_path: Path) -> None:
    usual = Usual([marked(tmp_path / "w.log", "Bad MAC\ncreating a new login\n" * 100)], FORBIDDEN)
    assert usual.allows(BAD_MAC, 3600) > 0
    assert usual.allows(NEW_LOGIN, 3600) == 0
