#!/usr/bin/python
"""Ansible module: the tables of the database auth state."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run

DOCUMENTATION = r"""
module: baileys_auth_schema
short_description: Check the tables of the database auth state, and create the missing ones
description:
  - Checks C(whatsapp_auth), C(whatsapp_keys), their functions and C(whatsapp_auth_authority), this project's own
    record.
  - Creates what is missing, closed to everybody but the owner and, on Supabase, C(service_role).
  - Never changes what is there, unless O(harden) tells it to.
options:
  conninfo:
    required: true
  state:
    description:
      - V(checked), looks and does not fail; RV(problems) says what is wrong.
      - V(present), creates what is missing.
    type: str
    choices: [present, checked]
    default: present
  harden:
    description:
      - Close tables that C(anon) or C(authenticated) can read.
      - An app whose own key is an anon key would then see no row and make a new login. So they are closed only when the
        key in O(env_file) is one of C(service_role), and the endpoint there takes it; else that is a problem.
    type: bool
    default: false
  env_file:
    description: The app's C(.env), which names its SUPABASE_URL and SUPABASE_KEY. Needed for O(harden).
    type: path
extends_documentation_fragment:
  - baileys_auth.database
attributes:
  check_mode:
    support: full
    description: Says what would be created.
  diff_mode:
    support: full
    description: What is missing.
  idempotent:
    support: full
    description: Creates only what is missing.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Check the tables
  baileys_auth_schema:
    conninfo: "{{ database_url }}"
    state: checked
  register: tables

- name: Create what is missing
  baileys_auth_schema:
    conninfo: "{{ database_url }}"
"""

RETURN = r"""
ok:
  description: Whether everything is there and as it must be.
  returned: always
  type: bool
  sample: true
missing:
  description: Tables and functions that were not there.
  returned: always
  type: list
  elements: str
  sample: ["whatsapp_auth", "cleanup_expired_whatsapp_keys()"]
open:
  description: Tables that C(anon) or C(authenticated) can read.
  returned: always
  type: list
  elements: str
  sample: []
findings:
  description: What an operator should know, but nothing has to be changed for.
  returned: success
  type: list
  elements: str
  sample: ["table whatsapp_keys: index keys_value covers the value; a large value may not fit into it"]
problems:
  description: Everything that stands in the way of a migration.
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

OPTIONS = {
    "conninfo": {**arguments.DATABASE_OPTIONS["conninfo"], "required": True},
    "state": {"type": "str", "choices": ["present", "checked"], "default": "present"},
    "harden": {"type": "bool", "default": False},
    "env_file": {"type": "path"},
}


def main() -> None:
    run.module({**arguments.DATABASE_OPTIONS, **OPTIONS}, run.schema, required_if=[("harden", True, ["env_file"])])


if __name__ == "__main__":
    main()
