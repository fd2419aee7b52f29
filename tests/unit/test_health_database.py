"""When the state of the database ends a run, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# (the job's last run before, the one after, whether it ends the run)
RUNS = [
    ("succeeded", "failed", True),
    (None, "failed", True),
    # It failed for what the deploy has brought, the function: it will not before its next hour that this is known.
    ("failed", "failed", False),
    ("failed", "succeeded", False),
]
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/health/vars/main.yml"]
  vars:
    runbook_store: database
  tasks:
    - ansible.builtin.assert:
        that:
          - (health_database_findings | length > 0) == item[2]
          - (health_cron_notes | length > 0) == (item[0] == "failed")
      vars:
        __preflight_info: {{cron_jobs: [{{name: cleanup, last: "{{{{ item[0] }}}}"}}]}}
        __health_stores:
          companies: {{"1": {{database: {{present: true, count: 5}}}}}}
          stats: {{total_companies: 1}}
          database_compared: true
          cron_jobs: [{{name: cleanup, last: "{{{{ item[1] }}}}"}}]
      loop: {json.dumps(RUNS)}
"""


def test_only_a_job_that_failed_since_ends_the_run(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
