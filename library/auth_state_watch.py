#!/usr/bin/python
"""Ansible module: one look at a bot that runs on the database."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run
from ansible.module_utils.watch import run as watch

DOCUMENTATION = r"""
module: auth_state_watch
short_description: Look at a bot that runs on the database, since the last look
description:
  - Looks at the processes, at the log lines since the last pass, at the database, its rows and its latency, at the
    flag, at what the app says of itself, and at the old files. Judges nothing and writes nothing.
  - While a cut-over of this host goes on it waits for its end, two minutes at most.
  - Where the logs were read up to, and what was seen then, it takes from the last entry of the ledger
    (C(ledger.jsonl) in O(state_dir)); for the first pass, from the journal of the cut-over.
  - M(auth_state_ledger) judges what was seen, and writes it down.
options:
  forbidden:
    description: Log lines that must not come, as M(log_watch) takes them.
    type: list
    elements: dict
    default: []
  cleanup:
    description: The log line of the app's cleanup, as M(log_watch) takes patterns.
    type: list
    elements: dict
    default: []
  sent:
    description: The log line of a message sent.
    type: list
    elements: dict
    default: []
  received:
    description: The log line of a message received.
    type: list
    elements: dict
    default: []
  unlinked:
    description: The log line of a login that WhatsApp has ended.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - baileys_auth.app
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
  - baileys_auth.reads_only
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the bot, since the last pass
  auth_state_watch:
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
    processes: [ai-admin-worker-v2, baileys-service]
    optional_processes: [baileys-service]
    forbidden:
      - text: Bad MAC
    cleanup:
      - text: Starting automatic cleanup
  register: look
"""

RETURN = r"""
seen:
  description: What was seen; M(auth_state_ledger) takes it. It holds counts and digests, no key and no number.
  returned: success
  type: dict
  sample: {"run": "5f0c4d0a6f3c", "store": "database", "flag": "true", "messages": {"sent": 3, "received": 4}}
ledger:
  description: The ledger as it is on the target, empty where there is none.
  returned: success
  type: str
  sample: ""
problems:
  description: Why the bot could not be looked at.
  returned: failed
  type: list
  elements: dict
  sample: []
"""

PATTERNS = {"type": "list", "elements": "dict", "default": []}
OPTIONS = {
    "forbidden": PATTERNS,
    "cleanup": PATTERNS,
    "sent": PATTERNS,
    "received": PATTERNS,
    "unlinked": PATTERNS,
}


def main() -> None:
    run.module({**OPTIONS, **arguments.BOT_OPTIONS}, watch.look)


if __name__ == "__main__":
    main()
