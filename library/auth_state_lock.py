#!/usr/bin/python
"""Ansible module: the lock of a host, and the record of who changed it."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import run
from ansible.module_utils.cutover import lock_module

DOCUMENTATION = r"""
module: auth_state_lock
short_description: Take the lock of a host while a playbook changes it, and write the record of who did what
description:
  - The lock (C(lock.json) in O(state_dir)) says who changes the host, since when, and why. A run that finds it taken
    says so and changes nothing.
  - The record (C(record.jsonl), append-only, for good) gets a line when the lock is taken, and one when it is given
    back.
  - The lock of a dead run is taken over by itself where that run was started on this controller and its process is
    provably gone (or the controller was started anew since), and with O(takeover) otherwise. A cut-over that still goes
    on, by its journal, is never taken over.
  - An action plugin of the same name runs it. That one tells the module who the controller is, and looks there whether
    the process of another holder still runs.
options:
  state_dir:
    description: Where lock, record and journal are.
    type: path
    required: true
  state:
    description:
      - V(taken), take the lock and begin the record. V(released), end the record and give the lock back, which does
        nothing where O(run) does not hold it.
      - V(info), only look.
    type: str
    required: true
    choices: [taken, released, info]
  why:
    description: What the run is for, with O(state=taken).
    type: str
    default: ""
  run:
    description: The run that gives its lock back, as RV(run) of O(state=taken) named it.
    type: str
    default: ""
  takeover:
    description:
      - Take the lock of another run, which is dead. Refused while its process still runs on this controller.
      - The action plugin turns it into O(gone).
    type: bool
    default: false
  outcome:
    description: What the run came to, with O(state=released).
    type: str
    choices: [done, reverted, failed]
    default: done
  facts:
    description: What the record keeps besides. Phone numbers are masked.
    type: dict
    suboptions:
      source: {description: Where the login was taken from, type: str}
      commit_before: {description: The app's commit before, type: str}
      commit_after: {description: The app's commit afterwards, type: str}
      stores: {description: The store of each company, type: dict}
      freeze_seconds: {description: How long the app was down, type: float}
      cutover: {description: The run of the journal, type: str}
      failed_at: {description: The task that failed, type: str}
      said: {description: Anything else, in words, type: str}
  holder:
    description: The run that takes the lock. The action plugin fills it in.
    type: dict
    suboptions:
      run: {description: Its id, type: str, required: true}
      who: {description: The user who started it, type: str, required: true}
      controller: {description: The machine it was started on, type: str, required: true}
      playbook: {description: The playbook, type: str, required: true}
      why: {description: What it is for, type: str, required: true}
      since: {description: When it took the lock, type: str, required: true}
      machine: {description: The id of that machine, type: str, default: ""}
      boot: {description: The id of its start, type: str, default: ""}
      namespace: {description: The namespace of its process ids, type: str, default: ""}
      pid: {description: Its process, type: int, default: 0}
      started: {description: The start time of that process, type: int, default: 0}
  gone:
    description: A run that is dead. The action plugin fills it in.
    type: str
attributes:
  check_mode:
    support: full
    description: Says whether the lock could be taken. Nothing is written.
  diff_mode:
    support: none
    description: Nothing of the app changes.
  idempotent:
    support: none
    description: Each run takes the lock for itself. A second release does nothing.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Take the lock
  auth_state_lock:
    state: taken
    state_dir: /opt/ai-admin/.auth-state
    why: company 962302 to the database
  register: lock

- name: Give it back
  auth_state_lock:
    state: released
    state_dir: /opt/ai-admin/.auth-state
    run: "{{ lock.run }}"
    outcome: done
    facts:
      stores: {"962302": database}
      freeze_seconds: 1.9

- name: See who holds it, and what the last run came to
  auth_state_lock:
    state: info
    state_dir: /opt/ai-admin/.auth-state
"""

RETURN = r"""
run:
  description: The id of the run that took the lock, to give it back with.
  returned: O(state=taken), O(state=released)
  type: str
  sample: 5f0c4d0a6f3c
holder:
  description: The run that held the lock already, or null.
  returned: O(state=taken), O(state=info)
  type: dict
  sample: {"who": "operator", "controller": "desk", "playbook": "deploy.yml", "since": "2026-11-24T22:10:00+00:00"}
taken_over:
  description: Whose lock was taken over, and what that run had come to.
  returned: when one was
  type: str
  sample: the lock of operator@desk since 2026-11-24T22:10:00+00:00, which was not cutting over when it ended
record:
  description: The last run by the record.
  returned: O(state=info)
  type: dict
  sample: {"playbook": "deploy.yml", "outcome": "done", "at": "2026-11-24T22:12:00+00:00", "freeze_seconds": 1.9}
left_undone:
  description: Whether the last cut-over was killed, or could not bring the app back.
  returned: O(state=info)
  type: bool
  sample: false
owners:
  description: The processes that the last cut-over has stopped or started, or was to.
  returned: O(state=info)
  type: list
  elements: str
  sample: [ai-admin-worker-v2, baileys-service]
problems:
  description: Why the lock cannot be taken.
  returned: failed, O(state=info)
  type: list
  elements: dict
  sample: []
"""

HOLDER_OPTIONS = {
    **{name: {"type": "str", "required": True} for name in ("run", "who", "controller", "playbook", "why", "since")},
    **{name: {"type": "str", "default": ""} for name in ("machine", "boot", "namespace")},
    **{name: {"type": "int", "default": 0} for name in ("pid", "started")},
}
FACTS_OPTIONS = {
    **{name: {"type": "str"} for name in ("source", "commit_before", "commit_after", "cutover", "failed_at", "said")},
    "stores": {"type": "dict"},
    "freeze_seconds": {"type": "float"},
}
OPTIONS = {
    "state_dir": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["taken", "released", "info"]},
    "why": {"type": "str", "default": ""},
    "run": {"type": "str", "default": ""},
    "takeover": {"type": "bool", "default": False},
    "outcome": {"type": "str", "choices": ["done", "reverted", "failed"], "default": "done"},
    "facts": {"type": "dict", "options": FACTS_OPTIONS},
    "holder": {"type": "dict", "options": HOLDER_OPTIONS},
    "gone": {"type": "str"},
}


def main() -> None:
    run.module(OPTIONS, lock_module.carry_out)


if __name__ == "__main__":
    main()
