"""What is kept of a run."""

from __future__ import annotations

from runbook_report.run import FAILED, IGNORED, OK, Run
from stories import BEGAN, JOURNAL, deployed, failed_install, killed


def test_a_deploy_is_kept_whole() -> None:
    host = deployed().close().hosts["sandbox"]
    assert [step.name for step in host.steps][:2] == ["Start of the runbook", "Preflight passed"]
    assert host.awaited == {}
    assert host.cut_overs[0].steps == JOURNAL
    assert host.cut_overs[0].freeze_seconds == 2.0
    assert host.logs[0].found[0]["line"] == "Using database auth state for company 962302"
    assert host.said["headline"] == "company 962302 runs on the database"
    assert host.failures == []


def test_a_failure_keeps_its_message_and_what_was_not_reached() -> None:
    host = failed_install().close("sandbox").hosts["sandbox"]
    assert host.failures[0].message.startswith("npm error code ETARGET")
    assert list(host.awaited.values()) == [
        "Newest code ready",
        "Backup created",
        "Services stopped",
        "Flag set in .env",
        "Services up",
    ]


def test_commands_of_a_failure_name_its_host() -> None:
    problem = {"where": "w", "problem": "p", "remedy": "ansible-playbook rollback.yml"}
    told = {"msg": "Go back: ansible-playbook rollback.yml", "problems": [problem]}
    (failure,) = deployed().task("Look", 1.0, FAILED, **told).close().hosts["sandbox"].failures
    assert failure.message == "Go back: ansible-playbook rollback.yml -l sandbox"
    assert failure.problems[0]["remedy"] == "ansible-playbook rollback.yml -l sandbox"


def test_what_the_play_lets_be_is_no_failure() -> None:
    host = deployed().task("Ask the bot", 1.0, IGNORED, msg="timed out").close().hosts["sandbox"]
    assert host.tasks[-1].outcome == IGNORED
    assert (host.failures, host.lost) == ([], False)


def test_a_task_without_an_end_is_the_running_one() -> None:
    running = killed().run.hosts["sandbox"].running
    assert running is not None
    assert running.name == "Stop, copy, flag, start"


def test_the_same_task_on_two_hosts_is_told_apart() -> None:
    run = Run("deploy.yml", BEGAN)
    run.plan(["a", "b"], {})
    for host in ("a", "b"):
        run.begin(host, "1", "Look", "command", BEGAN)
    run.end("b", "1", FAILED, {"msg": "no"}, BEGAN + 1)
    run.end("a", "1", OK, {}, BEGAN + 2)
    assert [run.hosts[host].tasks[0].outcome for host in ("a", "b")] == [OK, FAILED]
    assert [failure.message for failure in run.hosts["b"].failures] == ["no"]


def test_only_a_run_of_the_runbook_wants_a_report() -> None:
    run = Run("sandbox.yml", BEGAN)
    run.plan(["a"], {})
    run.begin("a", "1", "Look", "command", BEGAN)
    run.end("a", "1", OK, {}, BEGAN + 1)
    assert not run.wants_report
    assert deployed().run.wants_report
