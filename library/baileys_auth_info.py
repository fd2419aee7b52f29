#!/usr/bin/python
"""Ansible module: where each Baileys auth state is, and whether its stores agree."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run

DOCUMENTATION = r"""
module: baileys_auth_info
short_description: Tell where each Baileys auth state is, and whether its stores agree
description:
  - Reads the files, the rows, the manifest of the last transfer and the record of each login, and compares all of them.
  - Writes nothing, and does not fail for what it finds; RV(problems) says what stands in the way of moving a login.
options: {}
extends_documentation_fragment:
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
  - baileys_auth.reads_only
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the login
  baileys_auth_info:
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
  register: login

- name: Look at every login that has a folder, without the database
  baileys_auth_info:
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
"""

RETURN = r"""
companies:
  description: What is where, for each company.
  returned: success
  type: dict
  contains:
    authority:
      description: The store that is right, what says so, since when, on which host, and where it is moving to.
      type: dict
      sample: {"store": "files", "evidence": "the record", "since": "2026-11-22T03:00:00+00:00", "host": "bot",
              "moving_to": null}
    files:
      description: The folder, its number of files, keys by type, files left alone, digest of the identity and of the
        set.
      type: dict
      sample: {"present": true, "count": 337, "by_type": {"creds": 1, "session": 40}, "leftovers": [],
              "identity": "5f0c", "digest": "1b2e"}
    database:
      description: The same of the rows; those past their expiry, for how many seconds the longest, and the key types
        that have one. Null without a database.
      type: dict
      sample: {"present": true, "count": 75, "by_type": {"session": 40}, "expired": 0, "expired_for": 0.0,
              "expiring_types": ["lid-mapping"],
               "identity": "5f0c", "digest": "1b2e"}
    manifest:
      description: What the last transfer left in both stores. Null before the first.
      type: dict
      sample: {"made_at": 1763780400.0, "keys": 75, "left_out": 261, "digest": "1b2e"}
    agree:
      description: Whether files and rows hold the same, the mappings that the TTL rule keeps apart not counted.
      type: bool
      sample: true
    differences:
      description: What differs, as counts by key type.
      type: dict
      sample: {"session": {"files_only": 0, "database_only": 1, "different": 2}}
    since_transfer:
      description:
        - How many keys of each store are not as the last transfer left them. The store that the app writes has some,
          the other one none. Files that are gone are not counted. Null before the first transfer.
      type: dict
      sample: {"files": 0, "rows": 12}
other_companies:
  description: Companies that have a folder and were not named.
  returned: success
  type: list
  elements: str
  sample: ["962303"]
database_compared:
  description: Whether the database could be reached.
  returned: success
  type: bool
  sample: true
stats:
  description: The answer of C(get_whatsapp_auth_stats()). Null where there is no such function.
  returned: success
  type: dict
  sample: {"total_companies": 1, "total_keys": 75, "expired_keys": 0, "active_keys": 75, "db_size_bytes": 98304}
tables:
  description:
    - Each table of the login that is there, with its policies, the grants to others than its owner, and its indexes.
    - Null without a database.
  returned: success
  type: dict
  sample: {"whatsapp_auth": {"row_security": true, "grants": {"service_role": ["SELECT", "INSERT"]},
           "policies": [{"name": "service_role_all", "for": "ALL", "to": ["service_role"]}],
           "indexes": [{"name": "whatsapp_auth_pkey", "columns": ["company_id"], "primary": true, "valid": true}]}}
cron_jobs:
  description: The jobs of pg_cron that speak of the tables, and how the last run of each ended. Null without pg_cron.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "cleanup", "schedule": "0 */6 * * *", "command": "SELECT cleanup_expired_whatsapp_keys()",
            "active": true, "last": "succeeded"}]
findings:
  description: What Baileys repairs or tolerates, but an operator may want to know.
  returned: success
  type: list
  elements: str
  sample: []
problems:
  description: Everything that stands in the way of moving the named logins.
  returned: always
  type: list
  elements: dict
  contains:
    code: {description: A stable name, type: str, sample: torn}
    where:
      description: The file or the table
      type: str
      sample: /opt/ai-admin/baileys_sessions/company_962302/creds.json
    problem: {description: What is wrong, type: str, sample: it is no JSON (Expecting value)}
    remedy: {description: What to do, type: str, sample: Restore it from a backup}
"""


def main() -> None:
    run.module({**arguments.DATABASE_OPTIONS, **arguments.FILES_OPTIONS, **arguments.STORES_OPTIONS}, run.look)


if __name__ == "__main__":
    main()
