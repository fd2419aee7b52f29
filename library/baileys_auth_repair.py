#!/usr/bin/python
"""Ansible module: rows that a script stored under a name split in the wrong place, put right."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run

DOCUMENTATION = r"""
module: baileys_auth_repair
short_description: Put right the rows of an auth state that a script stored under wrong types
description:
  - The app's own migration script split each file's name at its first C(-). So C(pre-key-1.json) became type C(pre), id
    C(key-1), which Baileys never asks for. Type and id joined again are the file's name, and tell the right key.
  - Each such row gets its right type and id, unless the right row is there. That one was written by the app since, and
    wins.
  - An array of bytes and a lid-mapping that became a number get the form that Baileys reads. An expiry on any type but
    C(lid-mapping) is taken off.
  - A row that cannot be understood is left and counted.
  - All of a company is one transaction, verified inside it. Before, all its rows are written to C(database_<UTC>.jsonl)
    in O(backup_dir), one JSON line each.
options:
  conninfo:
    description: PostgreSQL connection string or URI. A secret.
    type: str
    required: true
  schema:
    description: The schema of the two tables.
    type: str
    default: public
  backup_dir:
    description: Where the rows are written before they are changed.
    type: path
extends_documentation_fragment:
  - baileys_auth.files
  - baileys_auth.stores
attributes:
  check_mode:
    support: full
    description: The same plan by the same code; nothing is written.
  diff_mode:
    support: full
    description: Counts by type. Never values or ids.
  idempotent:
    support: full
    description: A second run finds nothing to do.
notes:
  - The app may run on the database meanwhile. It asks for right keys alone, so it neither reads nor writes a row that
    this module moves.
  - Only a login that the app reads from the database is repaired. Where the files hold it, they are whole.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Put right what the old script stored
  baileys_auth_repair:
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
"""

RETURN = r"""
companies:
  description: What was done for each company, or in check mode would be.
  returned: success
  type: dict
  contains:
    actions:
      description:
        - Counts by the type that the rows have. C(retyped) rows got their right key. C(superseded) ones were removed,
          since the app had written the right row. C(unexpired) lost an expiry. C(left) were not understood.
      type: dict
      sample: {"pre": {"retyped": 812, "superseded": 3, "unexpired": 0, "left": 0}}
    rows:
      description: How many rows of keys there are afterwards.
      type: int
      sample: 815
    archived:
      description: Where the rows of before are. Null when nothing changed.
      type: str
      sample: /opt/ai-admin/baileys_sessions_backup/company_962302/database_20261125T010203Z.jsonl
    left:
      description: Why rows were left, with their number by type.
      type: list
      sample: []
problems:
  description: What went wrong, company by company.
  returned: failed
  type: list
  elements: dict
  sample: []
"""


def main() -> None:
    database = {**arguments.DATABASE_OPTIONS, "conninfo": {"type": "str", "required": True, "no_log": True}}
    run.module(
        {**database, **arguments.FILES_OPTIONS, **arguments.STORES_OPTIONS, "backup_dir": {"type": "path"}},
        run.put_right,
    )


if __name__ == "__main__":
    main()
