#!/usr/bin/python
"""Ansible module: where a host stands. Reads only."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run
from ansible.module_utils.cutover import status

DOCUMENTATION = r"""
module: auth_state_status
short_description: Say where a host stands, at one look
description:
  - Which store holds each login, since when, and how much is in either; what the app says of itself; the commit; who
    holds the lock, what the last run and the last check came to, and a cut-over that a killed run left without an end.
  - Reads only. What cannot be looked at, such as a database that is down, is said in RV(problems), and the rest is told
    all the same.
options:
  app_dir:
    description: The app's checkout.
    type: path
    required: true
extends_documentation_fragment:
  - baileys_auth.app
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
  - baileys_auth.reads_only
author: The project's maintainers
"""

EXAMPLES = r"""
- name: See where the host stands
  auth_state_status:
    app_dir: /opt/ai-admin
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    processes: [ai-admin-worker-v2, baileys-service]
    optional_processes: [baileys-service]
"""

RETURN = r"""
deployed:
  description: Whether a run of ours has ever changed this host.
  returned: success
  type: bool
  sample: true
flag:
  description: The store that the flag in .env names.
  returned: success
  type: str
  sample: database
commit:
  description: The app's commit; null where git does not say.
  returned: success
  type: str
  sample: 5f0c4d0a6f3c5f0c4d0a6f3c5f0c4d0a6f3c5f0c
companies:
  description:
    - By company, the store that holds the login (null where that cannot be told), since when and on which host by the
      record, the files, the rows (null where the database was not looked at), and the store that the app says it uses.
  returned: success
  type: dict
  sample: {"962302": {"store": "database", "since": "2026-11-22T20:15:01+00:00", "host": "bot-1", "files": 337,
           "rows": 79, "app": "database"}}
processes:
  description: The processes that are there.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "ai-admin-worker-v2", "pid": 4711, "status": "online"}]
lock:
  description: Who holds the lock, as M(auth_state_lock) tells it, or null.
  returned: success
  type: dict
  sample: {"who": "operator", "controller": "desk", "playbook": "deploy.yml", "since": "2026-11-24T22:10:00+00:00"}
last_run:
  description: The last run by the record; its RV(last_run.outcome) is null while it goes on.
  returned: success
  type: dict
  sample: {"playbook": "deploy.yml", "outcome": "done", "at": "2026-11-24T22:12:00+00:00"}
last_check:
  description: When the last monitor pass was, and its verdict.
  returned: success
  type: dict
  sample: {"at": "2026-11-24T23:00:00+00:00", "verdict": "good"}
unfinished:
  description: A cut-over without an end; RV(unfinished.alive) says whether it still goes on.
  returned: success
  type: dict
  sample: {"run": "5f0c4d0a6f3c", "to": "database", "doing": "copy", "alive": false}
columns:
  description: The heads of RV(rows).
  returned: success
  type: list
  elements: str
  sample: [company, store, since]
rows:
  description: The same for people, the cells of one line for each login.
  returned: success
  type: list
  elements: list
  sample: [["962302", "database", "2026-11-22 20:15"]]
problems:
  description: What is not as it should be, or could not be looked at, each with what to type.
  returned: always
  type: list
  elements: dict
  sample: []
"""

OPTIONS = {
    "app_dir": {"type": "path", "required": True},
}


def main() -> None:
    run.module({**OPTIONS, **arguments.BOT_OPTIONS}, status.look)


if __name__ == "__main__":
    main()
