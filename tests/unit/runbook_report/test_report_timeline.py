"""Where each line of the runbook stands in time."""

from __future__ import annotations

import pytest
from ansible.module_utils.cutover.run import CutOver
from runbook_report import timeline
from stories import deployed, failed_install, killed, monitored, wrong_host


def test_bars_follow_each_other_in_proportion() -> None:
    line = timeline.of_host(deployed().close().hosts["sandbox"])
    assert line.seconds == 15.0
    assert [(row.lines[0].name, row.seconds) for row in line.rows] == [
        ("Preflight passed", 2.0),
        ("Newest code ready", 6.0),
        ("Backup created", 2.0),
        ("Services stopped", 4.0),
    ]
    for row, after in zip(line.rows, line.rows[1:], strict=False):
        assert row.left + row.width == pytest.approx(after.left, abs=0.02)
        assert row.width == pytest.approx(row.seconds / 15 * 100, abs=0.01)


def test_lines_without_work_between_them_share_a_bar() -> None:
    row = timeline.of_host(deployed().close().hosts["sandbox"]).rows[-1]
    assert [step.name for step in row.lines] == ["Services stopped", "Flag set in .env", "Services up"]


def test_the_freeze_ends_before_what_the_journal_does_after_it() -> None:
    """4 s for the cut-over from second 10 on, of which 2 s are the freeze and 0.5 s come after it."""
    row = timeline.of_host(deployed().close().hosts["sandbox"]).rows[-1]
    assert row.freeze == (pytest.approx(11.5 / 15 * 100, abs=0.01), pytest.approx(2 / 15 * 100, abs=0.01))


def test_the_journal_is_a_timeline_of_its_own() -> None:
    (cut,) = deployed().run.hosts["sandbox"].cut_overs
    line = timeline.of_cut_over(cut)
    assert line.seconds == 2.5
    assert [row.kind for row in line.rows] == ["freeze"] * 6 + ["step"]
    assert line.rows[0].lines[0].name == "Owners stopped"
    assert line.rows[-1].left + line.rows[-1].width == pytest.approx(100)


def test_a_cut_over_that_failed_is_all_freeze() -> None:
    told = deployed()
    told.cut_over(steps=[{"name": "stop", "seconds": 0.4}, {"name": "odd", "seconds": 0.1}], freeze_seconds=0)
    line = timeline.of_cut_over(told.run.hosts["sandbox"].cut_overs[-1])
    assert [(row.lines[0].name, row.kind) for row in line.rows] == [("Owners stopped", "freeze"), ("odd", "freeze")]


def test_what_failed_stands_in_its_place_and_what_only_tells_does_not() -> None:
    rows = timeline.of_host(failed_install().close("sandbox").hosts["sandbox"]).rows
    assert [(row.kind, row.lines[0].name) for row in rows][:3] == [
        ("step", "Preflight passed"),
        ("failed", "Install its dependencies there"),
        ("awaited", "Newest code ready"),
    ]
    assert [row.kind for row in rows].count("failed") == 1


def test_a_lone_failure_that_only_tells_is_the_failure() -> None:
    rows = timeline.of_host(wrong_host().close("sandbox").hosts["sandbox"]).rows
    assert (rows[0].kind, rows[0].lines[0].name) == ("failed", "Stop here when anything is wrong")


def test_a_line_that_found_fault_needs_no_second_one() -> None:
    told = monitored().task("Look", 1.0).step("Bot watched", "the database does not answer", "missing")
    told.fails("Say what is wrong", 0.1, action="ansible.builtin.fail", msg="the database does not answer")
    rows = timeline.of_host(told.close("sandbox").hosts["sandbox"]).rows
    assert (rows[-1].kind, rows[-1].lines[0].name) != ("failed", "Say what is wrong")
    assert "failed" not in [row.kind for row in rows]


def test_a_run_that_was_cut_off_shows_the_task_that_ran() -> None:
    rows = timeline.of_host(killed().run.hosts["sandbox"]).rows
    assert [row.kind for row in rows] == ["step"] * 3 + ["running"] + ["awaited"] * 3
    assert rows[3].lines[0].name == "Stop, copy, flag, start"


def test_a_host_that_was_not_reached_has_no_timeline() -> None:
    run = deployed().run
    run.plan(["later"], {})
    assert timeline.of_host(run.hosts["later"]).rows == []


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        (0.0, []),
        (0.03, ["0 s", "0.01 s", "0.02 s"]),
        (2.5, ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]),
        (61, ["0 s", "20 s", "40 s"]),
        (3600, ["0 s", "1000 s", "2000 s", "3000 s"]),
    ],
)
def test_ticks_are_few_and_round(seconds: float, texts: list[str]) -> None:
    assert [text for _left, text in timeline.ticks(seconds)] == texts


def test_every_step_of_the_journal_has_words() -> None:
    """In the order in which the run takes them; a step without words of ours is shown by its own name."""
    assert list(timeline.JOURNAL) == [name for name, _do in CutOver.steps(object.__new__(CutOver))]
