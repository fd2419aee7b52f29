"""The job in the controller's crontab, by Ansible's own templating; tests/days has a real crontab."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]


def since(hours: float) -> dict[str, dict[str, str]]:
    """As preflight knows a login that has been on the database for so long."""
    return {"authority": {"since": (datetime.now(timezone.utc) - timedelta(hours=hours)).isoformat()}}


# (the logins, those that this deploy moves, whether it is past the first day)
DEPLOYS = [
    ({"1": {"authority": {"since": None}}}, ["1"], False),
    ({"1": {"authority": {"since": None}}, "2": since(99)}, [], False),
    ({"1": since(3)}, [], False),
    ({"1": since(25)}, [], True),
    ({"1": since(99), "2": since(3)}, [], False),
    ({"1": since(99), "2": since(99)}, ["2"], False),
]
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/monitor/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that: (_monitor_age_hours | float >= 24) == item[2]
      vars:
        preflight_companies: "{{{{ item[0] }}}}"
        preflight_moving: "{{{{ item[1] }}}}"
      loop: {json.dumps(DEPLOYS)}
    - ansible.builtin.assert:
        that: _monitor_age_hours | float == 30
      vars: {{__monitor_entry: {{age_hours: 30.0}}}}
"""


def test_a_deploy_of_new_code_days_later_leaves_the_job_as_it_is(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)


FLEET = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.add_host: {{name: "{{{{ item }}}}", groups: [fleet], ansible_connection: local}}
      loop: {hosts}
- hosts: fleet
  gather_facts: false
  environment: {{PATH: "{folder}:{{{{ lookup('env', 'PATH') }}}}"}}
  vars:
    preflight_moving: ["1"]
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
  tasks:
    - ansible.builtin.import_role: {{name: monitor, tasks_from: schedule, rolespec_validate: false}}
"""


@pytest.fixture
def schedules(
    goes_well: Callable[..., None], paper: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[str]]:
    """`schedules(hosts, *arguments)`: the jobs in the crontab after a deploy of these hosts, or a pass over them."""
    monkeypatch.setenv("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))
    monkeypatch.setenv("RUNBOOK_REPORTS_DIR", str(tmp_path))

    def schedules(hosts: list[str], *arguments: str) -> list[str]:
        goes_well(FLEET.format(folder=paper.crontab.parent, hosts=json.dumps(hosts)), *arguments)
        return paper.jobs()

    return schedules


def test_hosts_that_are_deployed_together_have_a_job_each(schedules: Callable[..., list[str]]) -> None:
    assert len(schedules(["bot-1", "bot-2", "bot-3"])) == 3


def words_of(job: str) -> list[str]:
    """The words of the job's command, as cron hands it to sh: an escaped % is one, another would end the line."""
    command = job.split(maxsplit=5)[5]
    assert re.findall(r"(?<!\\)%", command) == []
    assert len(command) <= 998, "cron takes no more"
    return shlex.split(command.replace("\\%", "%"))


GIVEN = {
    "monitor_schedule_arguments": [
        "--vault-password-file=~/.vault-password",
        "-e",
        '{"fleet_serial": [1, "25%", "100%"]}',
    ],
    "monitor_schedule_environment": {"LANG": "C.UTF-8"},
    "monitor_schedule_daily_hour": 7,
    "monitor_schedule_keep": 20,
    "monitor_rollback_after": 3,
}


def test_a_pass_writes_the_job_anew_as_it_was_given_with_e(
    schedules: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cron's passes have neither the operator's -e nor his environment; what the job carries along is enough."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (job,) = schedules(["bot"], "-e", json.dumps(GIVEN), "-e", "monitor_webhook_url=https://hook.example.org/secret")
    assert "secret" not in job
    monkeypatch.delenv("XDG_STATE_HOME")
    words = words_of(job)
    assert str(tmp_path / "state/auth-state-monitor/runner") in words
    given = shlex.split(next(word for word in words if word.startswith("--cmdline="))[10:])
    assert given[-3:] == GIVEN["monitor_schedule_arguments"]
    assert given[:2] == ["-i", "localhost,"]  # as the play below gives it by itself
    # The vault's password has no file here.
    assert schedules(["bot"], *(each for each in given[2:] if "vault" not in each or each.startswith("{"))) == [job]


def test_every_inventory_that_was_given_is_given_to_the_passes_in_its_order(
    schedules: Callable[..., list[str]], tmp_path: Path
) -> None:
    more = [tmp_path / "more hosts.ini", tmp_path / "variables.ini"]
    for path in more:
        path.write_text("bot\n")
    (job,) = schedules(["bot"], *(word for path in more for word in ("-i", str(path))))
    words = words_of(job)
    assert "--inventory" not in words
    given = shlex.split(next(word for word in words if word.startswith("--cmdline="))[10:])
    assert given[:6] == ["-i", "localhost,", "-i", str(more[0]), "-i", str(more[1])]


def test_a_job_that_cron_does_not_take_is_refused_before_anything_is_changed(paper: Any) -> None:
    given = {"monitor_schedule": True, "monitor_schedule_arguments": ["-e", "x" * 400]}
    code, said = paper.play("deploy.yml", {"near": paper.near()}, "-e", json.dumps(given))
    assert code == 2
    assert "The job for its crontab would have" in said
    assert not paper.crontab.with_suffix(".tab").exists()
