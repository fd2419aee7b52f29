"""The job in the controller's crontab, by Ansible's own templating; tests/days has a real crontab."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

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


# It takes a while to read: whoever does so meanwhile reads the same.
CRONTAB = """#!/bin/sh
case "$1" in
  -l) cat "$0.tab" 2>/dev/null; sleep 0.5; test -e "$0.tab" ;;
  *) cp "$1" "$0.tab" ;;
esac
"""
FLEET = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.add_host: {{name: "{{{{ item }}}}", groups: [fleet], ansible_connection: local}}
      loop: [bot-1, bot-2, bot-3]
- hosts: fleet
  gather_facts: false
  environment: {{PATH: "{folder}:{{{{ lookup('env', 'PATH') }}}}"}}
  vars:
    preflight_moving: ["1"]
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
  tasks:
    - ansible.builtin.import_role: {{name: monitor, tasks_from: schedule, rolespec_validate: false}}
"""


def test_hosts_that_are_deployed_together_have_a_job_each(
    goes_well: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "crontab"
    command.write_text(CRONTAB)
    command.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))
    monkeypatch.setenv("RUNBOOK_REPORTS_DIR", str(tmp_path))
    goes_well(FLEET.format(folder=tmp_path))
    jobs = [line for line in (tmp_path / "crontab.tab").read_text().splitlines() if line.startswith("#Ansible")]
    assert len(jobs) == 3
