#!/usr/bin/python
"""One flag of a Node.js application's .env file."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.node_host import dotenv
from ansible.module_utils.node_host.pm2_list import show_switch
from ansible.module_utils.node_host.problems import HostError

DOCUMENTATION = r"""
module: env_flag
short_description: Keep exactly one line for a flag in a .env file
description:
  - Sets, removes or reads one variable of a C(.env) file as the npm package dotenv reads it. Of several
    assignments the last one counts; a value in quotes may span lines, and what looks like an assignment
    inside of it is none; an C(export) before the name does not matter, a comment is no assignment.
  - Afterwards there is exactly one assignment. The one that was in effect keeps its place, its C(export) and
    the comment behind it; a new one is appended, after a line end where the file lacks its last one. A flag
    that is already right, and there once, is left as it is spelled. Everything else is kept byte for byte.
  - The file is replaced atomically and durably. Mode, owner and extended attributes are kept.
    A symlink stays, and the file that it names is replaced.
  - Nothing but the flag is ever shown.
options:
  path:
    description: The file. It must exist.
    type: path
    required: true
  name:
    description: The variable's name.
    type: str
    required: true
  value:
    description:
      - The value; required when O(state=present).
      - "Not empty, and nothing but letters, digits and C(_ . / : @ % + , -), so that dotenv, a shell and systemd
        agree on it."
      - V(True) and V(False), which is how YAML hands over a bare C(true), become C(true) and C(false).
    type: str
  state:
    description:
      - V(present) makes it the one line C(NAME=value), V(absent) removes every assignment,
        V(info) only reads.
    type: str
    choices: [present, absent, info]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and say what would change, without changing it.
    support: full
  diff_mode:
    description: Shows the flag's own lines, and no other line of the file.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author:
  - AI Admin operations
"""

EXAMPLES = r"""
- name: Switch the flag on
  env_flag:
    path: /opt/ai-admin/.env
    name: USE_DATABASE_AUTH_STATE
    value: "true"

- name: Read what the application would see
  env_flag:
    path: /opt/ai-admin/.env
    name: USE_DATABASE_AUTH_STATE
    state: info
  register: flag
"""

RETURN = r"""
before:
  description: The value that dotenv gave the flag before; null when it was not set. A value that is no plain switch
    is shown as C(<hidden>).
  returned: success
  type: str
  sample: "false"
after:
  description: The value that it gives now, or in check mode would give.
  returned: success
  type: str
  sample: "true"
duplicates:
  description: How many assignments there were beside the one in effect.
  returned: success
  type: int
  sample: 0
file:
  description: The file that was read and replaced, symlinks resolved.
  returned: success
  type: str
  sample: /opt/ai-admin/.env
problems:
  description: What was wrong, each with its remedy.
  returned: failure
  type: list
  elements: dict
  sample:
    - code: env_unreadable
      where: /opt/ai-admin/.env
      problem: cannot be read (No such file or directory)
      remedy: Check the path, and that the user who runs this may read it
"""


def run(params, check_mode):
    """Do it; returns the module's result. HostError when it cannot be done."""
    path, name, state = params["path"], params["name"], params["state"]
    if state == "info":
        dotenv.check_flag(name, None)
        value, count = dotenv.effective(path, name)
        result = {"changed": False, "before": value, "after": value, "duplicates": max(0, count - 1)}
    else:
        value = None if state == "absent" else params["value"]
        # Jinja turns a bare YAML true into "True"; JavaScript's word is "true".
        value = value.lower() if value in ("True", "False") else value
        edit = dotenv.write_flag(path, name, value, dry_run=check_mode)
        result = {
            "changed": edit.changed,
            "before": edit.before,
            "after": edit.after,
            "duplicates": edit.duplicates,
            "diff": {
                "before_header": path,
                "after_header": path,
                "before": "".join(f"{line}\n" for line in edit.before_lines),
                "after": "".join(f"{line}\n" for line in edit.after_lines),
            },
        }
    before, after = show_switch(result["before"]), show_switch(result["after"])
    if before != result["before"]:
        result.pop("diff", None)  # what it was might be a secret, given a wrong name
    return {**result, "before": before, "after": after, "file": os.path.realpath(path)}


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "value": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent", "info"], "default": "present"},
        },
        required_if=[("state", "present", ["value"])],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except HostError as error:
        module.fail_json(msg=str(error), problems=error.as_dicts())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
