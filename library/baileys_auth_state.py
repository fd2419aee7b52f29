#!/usr/bin/python
"""Ansible module: one store of a Baileys auth state made equal to the other."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run

DOCUMENTATION = r"""
module: baileys_auth_state
short_description: Make one store of a Baileys auth state equal to the other
description:
  - Copies whole logins (creds and signal keys) from Baileys' files to PostgreSQL, or from PostgreSQL to the files.
  - One store of a login is right at a time, by record. The module refuses to copy the other one over it.
  - Each company is one transaction, verified inside it value by value, by digests of both sides, before it is
    committed.
  - Against the manifest of the last transfer it copies only what changed, and stops at keys that somebody else wrote.
options:
  destination:
    description: The store that is made equal to the other.
    type: str
    required: true
    choices: [database, files]
  authority:
    description:
      - V(keep), a copy that leaves the record as it is, for the time that the app still runs on the other store.
      - V(move), the last copy, with the app stopped. It records that the login is moving; from then on the flag in
        O(env_file) says which store is right.
      - V(settle), no copy; the app runs on O(destination), and the record says so.
      - V(abandon), no copy; the other store is given up, with the keys that it alone holds (O(accept_key_loss)).
    type: str
    choices: [keep, move, settle, abandon]
    default: keep
  accept_key_loss:
    description: Allow O(authority=abandon) to lose the keys that only the other store holds.
    type: bool
    default: false
  lid_mapping_ttl_days:
    description:
      - Days that a lid-mapping lives in the database, counted from the mtime of its file; older ones stay in the files.
      - Mappings of a user who has a session live for ever, since the session is found through them. V(0) keeps all.
    type: float
    default: 7
  backup:
    description:
      - With O(destination=database) also make sure of a backup of the files, as M(baileys_auth_backup) makes it.
      - The files are read once for both, and nothing is copied before the backup was read back from the disk.
    type: bool
    default: false
  backup_keep:
    description: So many backups are kept, the oldest go first; never the last one.
    type: int
    default: 5
  backup_dir:
    description: Where backups are, and a state that loses a conflict. The folder C(<sessions_dir>_backup) by default.
    type: path
extends_documentation_fragment:
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
attributes:
  check_mode:
    support: full
    description: The plan of the real run, by the same code; the transaction is rolled back and no file is written.
  diff_mode:
    support: full
    description: Counts by key type, never ids or values.
  idempotent:
    support: full
    description: A second run changes nothing.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Copy the files to the database while the app runs on them
  baileys_auth_state:
    destination: database
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]

- name: Copy what changed since, with the app stopped
  baileys_auth_state:
    destination: database
    authority: move
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]

- name: Write the state of the database back to the files
  baileys_auth_state:
    destination: files
    authority: move
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
"""

RETURN = r"""
companies:
  description: What was done (in check mode, would be done) for each company.
  returned: always
  type: dict
  contains:
    actions:
      description: Counts by key type of keys added, changed, removed, unchanged, and left_out by the TTL rule.
      type: dict
      sample: {"session": {"added": 40, "changed": 0, "removed": 0, "unchanged": 0, "left_out": 0}}
    keys:
      description: Signal keys of the login after the copy, the creds not counted.
      type: int
      sample: 75
    identity:
      description: SHA-256 of the login's identity. If it changes, the phone must be paired again.
      type: str
      sample: 5f0c4d0a6f3c0f7b0d4c6a3b8a6c4f8e0f7f2d6f0c4f9b6d6f1a2b3c4d5e6f70
    digest:
      description: SHA-256 of the whole set of keys and values that both stores hold.
      type: str
      sample: 1b2e7d5c1d0a4e0c8f6c3f2b1a09f8e7d6c5b4a3928170f6e5d4c3b2a1908f7e
    verified:
      description: Whether every value was compared on both sides after the copy. Never in check mode.
      type: bool
      sample: true
    bytes:
      description: Bytes read from files, or written to them.
      type: int
      sample: 48211
    backup:
      description: With O(backup) the newest backup of the files, as M(baileys_auth_backup) describes it.
      type: dict
      sample: {"archive": "/opt/ai-admin/baileys_sessions_backup/company_962302/backup_20261122T030000Z.tar",
               "files": 337, "bytes": 48211, "created": "2026-11-22T03:00:00+00:00"}
    archived:
      description: Where the state that lost a conflict was archived.
      type: str
      sample: /opt/ai-admin/baileys_sessions_backup/company_962302/database_20261122T030000Z.jsonl
    store:
      description: The authority before the run, and what says so.
      type: str
      sample: "files (the record)"
    seconds:
      description: Seconds by phase.
      type: dict
      sample: {"database": 0.01, "read": 0.03, "merge": 0.01, "verify": 0.01, "manifest": 0.01}
warnings:
  description: What Baileys repairs or tolerates, but an operator may want to know.
  returned: when there are any
  type: list
  elements: str
  sample: ["company 962302: 2 of 270 lid-mappings have no other half; Baileys asks WhatsApp for those again"]
problems:
  description: Everything that stands in the way.
  returned: failed
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

OPTIONS = {
    "destination": {"type": "str", "required": True, "choices": ["database", "files"]},
    "authority": {"type": "str", "choices": ["keep", "move", "settle", "abandon"], "default": "keep"},
    "accept_key_loss": {"type": "bool", "default": False},
    "lid_mapping_ttl_days": {"type": "float", "default": 7.0},
    "backup": {"type": "bool", "default": False},
    "backup_keep": {"type": "int", "default": 5},
    "backup_dir": {"type": "path"},
}


def main() -> None:
    run.module(
        {**OPTIONS, **arguments.DATABASE_OPTIONS, **arguments.FILES_OPTIONS, **arguments.STORES_OPTIONS},
        run.transfer,
    )


if __name__ == "__main__":
    main()
