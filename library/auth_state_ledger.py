#!/usr/bin/python
"""Ansible module: the ledger of monitor passes."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.baileys_auth import run
from ansible.module_utils.watch.append import append

DOCUMENTATION = r"""
module: auth_state_ledger
short_description: Judge what a monitor pass saw, and write it down, sealed
description:
  - Holds what M(auth_state_watch) saw against the pass before, and adds one entry to C(ledger.jsonl) in O(state_dir)
    on the target, 0600.
  - Each entry is sealed with HMAC-SHA256 by a key that stays on the controller, and carries the digest of the line
    before it and the cut-over that it belongs to. The controller keeps the digest of the newest line. So an entry that
    was edited, forged, removed, moved or added is found, the newest ones too.
  - An action plugin of the same name does all of that on the controller; the module itself only writes the line.
  - The time is the controller's own. No option sets it.
options:
  seen:
    description: RV(auth_state_watch#module:seen).
    type: dict
  ledger:
    description: RV(auth_state_watch#module:ledger).
    type: str
  state_dir:
    description: The folder of the ledger on the target.
    type: path
    required: true
  app_dir:
    description: The app's folder on the target.
    type: path
  controller_dir:
    description: The folder on the controller that holds the key, and the digest of each host's newest line.
    type: path
  key:
    description: The key, from a vault, where several controllers share it. One is made in O(controller_dir) otherwise.
    type: str
  limits:
    description: Above which a pass is bad. 0 is never.
    type: dict
    suboptions:
      cleanup_hours: {description: Hours between two cleanups, type: float, default: 6}
      latency_ms: {description: Milliseconds of an answer of the database, type: float, default: 1000}
      memory_mb: {description: MiB of a process, type: float, default: 0}
      restarts: {description: Restarts since the last pass, type: int, default: 0}
      quiet_hours: {description: Hours without any message, type: float, default: 0}
  renew:
    description: Keep the ledger aside and begin a new one.
    type: bool
    default: false
  line:
    description: What the module writes; the action plugin's business, as are O(size) and O(keep).
    type: str
  size:
    description: How many bytes the ledger had when it was read.
    type: int
  keep:
    description: How many of them stay.
    type: int
attributes:
  check_mode:
    support: full
    description: Judges, and writes nothing.
  diff_mode:
    support: none
    description: An entry is always new.
  idempotent:
    support: none
    description: Each call is one more entry.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Judge what was seen, and write it down
  auth_state_ledger:
    seen: "{{ look.seen }}"
    ledger: "{{ look.ledger }}"
    state_dir: /opt/ai-admin/.auth-state
    app_dir: /opt/ai-admin
    controller_dir: ~/.auth-state-monitor
  register: entry
"""

RETURN = r"""
verdict:
  description: V(good), V(bad), V(unlinked) (the phone was unlinked; no rollback repairs it) or V(rolled_back).
  returned: success
  type: str
  sample: good
findings:
  description: What is wrong, each with its remedy; with the ledger itself too.
  returned: success
  type: list
  elements: dict
  sample: []
at:
  description: When, by the controller's clock.
  returned: success
  type: str
  sample: "2026-11-24T22:32:00+00:00"
clock:
  description: V(real), or V(sandbox) where a sandbox moved it.
  returned: success
  type: str
  sample: real
since:
  description: Since when each company's login has been on its store.
  returned: success
  type: dict
  sample: {"962302": "2026-11-24T20:00:00+00:00"}
age_hours:
  description: Hours since the cut-over.
  returned: success
  type: float
  sample: 26.5
bad_in_a_row:
  description: How many passes up to this one were bad.
  returned: success
  type: int
  sample: 0
recovered:
  description: Whether this pass is good and the one before was not.
  returned: success
  type: bool
  sample: false
cleaned:
  description: Whether the old files were cleaned up after this cut-over.
  returned: success
  type: bool
  sample: false
passes:
  description: All passes in the ledger, for the report.
  returned: success
  type: list
  elements: dict
  sample: [{"at": "2026-11-24T22:32:00+00:00", "good": true, "says": "all is well", "figures": {"rows": 80}}]
aside:
  description: Where the ledger before was kept, with O(renew).
  returned: the module alone
  type: str
  sample: null
problems:
  description: Why nothing was written.
  returned: failed
  type: list
  elements: dict
  sample: []
"""

OPTIONS = {
    "state_dir": {"type": "path", "required": True},
    "line": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "keep": {"type": "int", "required": True},
    "renew": {"type": "bool", "default": False},
}


def main() -> None:
    run.module(OPTIONS, write)


def write(instance: run.AnsibleModule) -> run.Answer:
    params = instance.params
    aside = append(Path(params["state_dir"]), params["line"], params["size"], params["keep"], renew=params["renew"])
    return {"changed": True, "aside": aside}


if __name__ == "__main__":
    main()
