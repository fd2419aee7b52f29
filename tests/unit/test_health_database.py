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
    preflight_companies: {{}}
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


# (the store before, what the row says after, whether that is another login)
ROWS = [
    ("files", "old", False),
    ("files", "new", True),
    ("database", "new", True),
    ("files", None, False),
]
ROWS_PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/health/vars/main.yml"]
  vars:
    runbook_store: database
    preflight_backups: {{}}
  tasks:
    - ansible.builtin.assert:
        that: (health_database_findings | select('search', 'company 1 .* NEW login') | length > 0) == item[2]
      vars:
        preflight_companies:
          "1": {{authority: {{store: "{{{{ item[0] }}}}"}}, files: {{identity: old}}, database: {{identity: old}}}}
        __preflight_info: {{}}
        __health_stores:
          companies: {{"1": {{database: {{present: true, count: 5, identity: "{{{{ item[1] }}}}"}}}}}}
          stats: {{total_companies: 1}}
          database_compared: true
      loop: {json.dumps(ROWS)}
"""


def test_a_row_of_another_login_ends_the_run(goes_well: Callable[[str], None]) -> None:
    """Also of an app that has no health endpoint."""
    goes_well(ROWS_PLAY)


def test_only_a_job_that_failed_since_ends_the_run(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
