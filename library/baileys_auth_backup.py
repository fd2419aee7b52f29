#!/usr/bin/python
"""Ansible module: verified backups of Baileys auth states, and their restoration."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run

DOCUMENTATION = r"""
module: baileys_auth_backup
short_description: Back up the files of a Baileys auth state, verify a backup, restore one
description:
  - One tar archive per company, restorable with plain tar, with a manifest of the SHA-256 of every file.
  - An archive counts only after it was synced, read back from the disk and compared.
  - A backup is restored by folder swap after all of it was read and parsed. What was there is kept aside.
options:
  state:
    description:
      - V(present), the newest backup holds what the folder holds; one is made if not.
      - V(verified), the backup is read to its end and compared with its manifest.
      - V(restored), the backup's files are the folder's files. The app must be stopped.
      - V(listed), the backups that there are.
    type: str
    choices: [present, verified, restored, listed]
    default: present
  backup:
    description: The name of a backup, V(newest), or the folder that the app's own migration script left (C(backup_…)).
    type: str
    default: newest
  backup_dir:
    description: Where the backups are, in one folder for each company.
    type: path
    required: true
  keep:
    description: So many backups are kept, the oldest go first; never the last one.
    type: int
    default: 5
extends_documentation_fragment:
  - baileys_auth.files
attributes:
  check_mode:
    support: full
    description: Says whether a backup would be made, or reads the one that would be restored.
  diff_mode:
    support: none
    description: An archive is new or it is not.
  idempotent:
    support: full
    description: O(state=present) makes none when the newest holds the same. O(state=restored) always restores.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Back up the login
  baileys_auth_backup:
    state: present
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    backup_dir: /opt/ai-admin/baileys_sessions_backup
    company_ids: ["962302"]

- name: See which backups there are
  baileys_auth_backup:
    state: listed
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    backup_dir: /opt/ai-admin/baileys_sessions_backup
    company_ids: ["962302"]

- name: Restore the newest, with the app stopped
  baileys_auth_backup:
    state: restored
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    backup_dir: /opt/ai-admin/baileys_sessions_backup
    company_ids: ["962302"]
"""

RETURN = r"""
companies:
  description: The backup of each company.
  returned: always
  type: dict
  contains:
    archive:
      description: Its path
      type: str
      sample: /opt/ai-admin/baileys_sessions_backup/company_962302/backup_20261122T030000Z.tar
    files: {description: Files of the login in it, type: int, sample: 337}
    bytes: {description: Their bytes, type: int, sample: 48211}
    sha256: {description: Of the archive, type: str, sample: 9f2b7c}
    digest: {description: Of the set of keys and values, type: str, sample: 1b2e}
    identity: {description: Digest of the login's identity, type: str, sample: 5f0c}
    created: {description: When it was made, type: str, sample: "2026-11-22T03:00:00+00:00"}
    aside:
      description: Where the former folder is kept after a restore
      type: str
      sample: /opt/ai-admin/.auth-state/aside/company_962302_20261122T030000Z
    backups: {description: With O(state=listed) all that count, type: list, sample: []}
    originals: {description: With O(state=listed) folders of the app's own script, type: list, sample: []}
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
    "state": {"type": "str", "choices": ["present", "verified", "restored", "listed"], "default": "present"},
    "backup": {"type": "str", "default": "newest"},
    "backup_dir": {"type": "path", "required": True},
    "keep": {"type": "int", "default": 5},
}


def main() -> None:
    run.module({**OPTIONS, **arguments.FILES_OPTIONS}, run.backup)


if __name__ == "__main__":
    main()
