#!/usr/bin/python
"""Ansible module: old files of logins that the database has held for days."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run
from ansible.module_utils.watch import run as watch

DOCUMENTATION = r"""
module: auth_state_cleanup
short_description: Delete the old files of logins that the database has held for seven good days
description:
  - Refuses unless the ledger of monitor passes shows seven days of good passes since the cut-over, no gap longer than
    O(max_gap_hours), no rollback, nothing edited, removed or forged; and unless the database owns the login and has the
    whole of it. Then it deletes what its plan lists.
  - First it archives the whole of O(sessions_dir), reads that back and compares it, and makes of each login that is
    still whole a backup that rollback.yml takes.
  - Stopped half way, as by a file that was written meanwhile, it fails, and answers and records what is gone by then.
  - An action plugin of the same name checks the ledger on the controller, which alone has the key, and has the cleanup
    written into it. No option shortens the seven days.
options:
  scope:
    description: V(lid_mapping), the files of that type, as the runbook has it. V(all), the companies' whole folders.
    type: str
    choices: [lid_mapping, all]
    default: lid_mapping
  backup_dir:
    description: Where backups and the archive are.
    type: path
    required: true
  backup_keep:
    description: How many of the newest backups of a login stay, however old.
    type: int
    default: 5
  backup_days:
    description: Older backups than that go.
    type: float
    default: 30
  max_gap_hours:
    description: The longest time without a pass.
    type: float
    default: 26
  app_dir:
    description: The app's folder on the target.
    type: path
    required: true
  controller_dir:
    description: As of M(auth_state_ledger).
    type: path
    required: true
  key:
    description: As of M(auth_state_ledger).
    type: str
  state:
    description: What the module does, which is the action plugin's business, as O(plan) is.
    type: str
    choices: [planned, cleaned]
    default: planned
  plan:
    description: The plan that was listed.
    type: str
extends_documentation_fragment:
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
attributes:
  check_mode:
    support: full
    description: Lists by type what would go.
  diff_mode:
    support: full
    description: Counts by type, no names.
  idempotent:
    support: full
    description: Where nothing is left to go, no archive is made.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Delete the old lid-mappings
  auth_state_cleanup:
    scope: lid_mapping
    conninfo: "{{ database_url }}"
    app_dir: /opt/ai-admin
    sessions_dir: /opt/ai-admin/baileys_sessions
    backup_dir: /opt/ai-admin/baileys_sessions_backup
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
    controller_dir: ~/.local/state/auth-state-monitor
"""

RETURN = r"""
companies:
  description: For each company the files that go, by key type, how many stay, how many are in no row (expired mappings,
    used pre-keys), and the backups that go.
  returned: success
  type: dict
  sample: {"962302": {"delete": {"lid-mapping": 272}, "files": 272, "stays": 65, "only_in_files": 256, "backups": []}}
archive:
  description: The archive of the whole folder.
  returned: something was deleted
  type: str
  sample: /opt/ai-admin/baileys_sessions_backup/sessions_20261201T090000Z.tar
backups:
  description: The backup of each login whose folder was whole, for rollback.yml.
  returned: something was deleted
  type: dict
  sample: {"962302": "backup_20261124T220000Z.tar"}
deleted:
  description: How many files are gone.
  returned: something was deleted
  type: int
  sample: 272
files:
  description: What the folders hold afterwards.
  returned: success
  type: dict
  sample: {"962302": {"present": true, "count": 65, "by_type": {"creds": 1}, "digest": "1b2e"}}
since:
  description: Since when each login has been on the database.
  returned: success
  type: dict
  sample: {"962302": "2026-11-24T20:00:00+00:00"}
ledger:
  description: The ledger, of the module alone.
  returned: the module alone
  type: str
  sample: ""
run:
  description: The last cut-over, of the module alone.
  returned: the module alone
  type: str
  sample: 5f0c4d0a6f3c
plan:
  description: The digest of what is listed.
  returned: success
  type: str
  sample: 9f86d081884c7d65
problems:
  description: Why nothing was deleted, all of it at once.
  returned: failed
  type: list
  elements: dict
  sample: []
"""

OPTIONS = {
    "scope": {"type": "str", "choices": ["lid_mapping", "all"], "default": "lid_mapping"},
    "backup_dir": {"type": "path", "required": True},
    "backup_keep": {"type": "int", "default": 5},
    "backup_days": {"type": "float", "default": 30.0},
    "state": {"type": "str", "choices": ["planned", "cleaned"], "default": "planned"},
    "plan": {"type": "str"},
}


def main() -> None:
    run.module(
        {**OPTIONS, **arguments.DATABASE_OPTIONS, **arguments.FILES_OPTIONS, **arguments.STORES_OPTIONS}, watch.clean
    )


if __name__ == "__main__":
    main()
