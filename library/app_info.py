#!/usr/bin/python
"""Ansible module: the app as a deploy finds it. Reads only."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cutover import health
from ansible.module_utils.node_host import app

DOCUMENTATION = r"""
module: app_info
short_description: Look at a Node.js app before it is deployed
description:
  - Which commit and branch the app stands on, which tracked files were changed, what the remote has, whether npm runs,
    how much room the disk has, and what C(.env) says, at one look.
  - Reads only, and fails for nothing that it finds. Of C(.env) nothing but the flag is shown.
options:
  app_dir:
    description: The app's checkout.
    type: path
    required: true
  sessions_dir:
    description: The folder of the logins.
    type: path
    required: true
  state_dir:
    description: Our own folder, which may be there only later.
    type: path
    required: true
  release_dir:
    description: Where a new release is built and the one before kept; it may be there only later.
    type: path
    required: true
  env_file:
    description: The app's C(.env).
    type: path
    required: true
  flag:
    description: The variable in it that names the store.
    type: str
    default: USE_DATABASE_AUTH_STATE
  remote:
    description: The remote that the code comes from. Without it neither a remote nor npm is asked.
    type: str
  branch:
    description: The branch that is looked for there.
    type: str
    default: main
  health_url:
    description: The app's health endpoint; empty means none.
    type: str
    default: ""
extends_documentation_fragment:
  - baileys_auth.reads_only
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the app
  app_info:
    app_dir: /opt/ai-admin
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    release_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    remote: origin
    branch: main
"""

RETURN = r"""
present:
  description: Whether there is an app in the folder.
  returned: always
  type: bool
  sample: true
has_dependencies:
  description: Whether C(node_modules) is there, with the versions that the lock file asks for.
  returned: always
  type: bool
  sample: true
code:
  description:
    - The commit, the branch and the changed tracked files; RV(code.error) where git says nothing, else null.
    - RV(code.secrets) names what git tracks and must not, the login and C(.env); a pull would replace it.
    - RV(code.exclude) is the repository's own list of what it does not track.
  returned: always
  type: dict
  sample: {"commit": "5f0c4d0a6f3c5f0c4d0a6f3c5f0c4d0a6f3c5f0c", "branch": "main", "changed": [], "secrets": [],
           "exclude": "/opt/ai-admin/.git/info/exclude", "error": null}
disks:
  description: Below each of the two folders that exists, the free MiB and inodes, all inodes, and the mount point.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "/opt/ai-admin", "mount": "/", "free_mb": 20480, "free_inodes": 900000, "inodes": 1000000}]
mounts:
  description: Where the filesystem of each folder is mounted. A rename does not go from one to another.
  returned: always
  type: dict
  sample: {"app": "/", "sessions": "/", "state": "/", "release": "/"}
flag:
  description: The flag as dotenv reads it; null when it is not set. What is no plain switch is C(<hidden>).
  returned: always
  type: str
  sample: "false"
node:
  description: The version of node, or why it does not run; null when it was not asked.
  returned: always
  type: dict
  sample: {"version": "24.19.0", "error": null}
remote:
  description:
    - The commit of the branch at the remote, or why there is none; null when it was not asked.
    - RV(remote.diverged) tells whether the app has commits that are not in it; null where it was not fetched yet.
  returned: always
  type: dict
  sample: {"commit": "5f0c4d0a6f3c5f0c4d0a6f3c5f0c4d0a6f3c5f0c", "has_branch": true, "diverged": false,
           "error": null}
health:
  description: What is wrong with the answer of the health endpoint. Null where it is right, and where none comes.
  returned: always
  type: str
  sample: null
problems:
  description: What is wrong with C(.env), each with its remedy.
  returned: always
  type: list
  elements: dict
  sample: []
"""

OPTIONS = {
    "app_dir": {"type": "path", "required": True},
    "sessions_dir": {"type": "path", "required": True},
    "state_dir": {"type": "path", "required": True},
    "release_dir": {"type": "path", "required": True},
    "env_file": {"type": "path", "required": True},
    "flag": {"type": "str", "default": "USE_DATABASE_AUTH_STATE"},
    "remote": {"type": "str"},
    "branch": {"type": "str", "default": "main"},
    "health_url": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    given = module.params
    paths = (Path(given[name]) for name in ("app_dir", "sessions_dir", "env_file"))
    more = {name: Path(given[f"{name}_dir"]) for name in ("state", "release")}
    seen = app.look(*paths, given["flag"], given["remote"], given["branch"], **more)
    module.exit_json(changed=False, health=health.misfit(given["health_url"]), **seen)


if __name__ == "__main__":
    main()
