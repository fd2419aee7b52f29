"""Which log lines are waited for, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LINE = "🗄️ Using database auth state for company {company_id}"
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/health/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that: health_expected == item[1]
      vars:
        runbook_store: "{{{{ item[0] }}}}"
        company_ids: ["1", "2"]
        health_log_expected: {{database: [{{text: "{LINE}"}}, {{text: "starting", process: "worker"}}]}}
      loop: [[database, {{{{ lines }}}}], [files, []]]
"""


def test_lines_are_wanted_as_they_were_pasted_and_none_of_a_store_that_has_none(
    goes_well: Callable[..., None],
) -> None:
    """The runbook's own has an emoji."""
    lines = [{"text": LINE.replace("{company_id}", "1")}, {"text": LINE.replace("{company_id}", "2")}]
    lines.append({"text": "starting", "process": "worker"})
    goes_well(PLAY.replace("{{ lines }}", json.dumps(lines, ensure_ascii=False)))
