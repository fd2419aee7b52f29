"""runbook_step: one line of the runbook, said while it happens and kept for the summary.

The task's name is the runbook's line. ``did`` says what came of it. What is kept (with the seconds since the line before)
is the fact ``runbook_steps``, a list that the summary prints. It runs on the controller and costs no module transfer.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

MARKS = {"done": "✅", "unchanged": "✓ ", "planned": "… ", "skipped": "– ", "failed": "❌"}


class ActionModule(ActionBase):
    """Say and keep one line of the runbook."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"did", "outcome"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "did": {"type": "str", "required": True},
                "outcome": {"type": "str", "choices": list(MARKS), "default": "done"},
            },
        )
        outcome = args["outcome"]
        if outcome == "done" and self._task.check_mode:
            outcome = "planned"
        steps = list((task_vars or {}).get("ansible_facts", {}).get("runbook_steps", []))
        now = time.time()
        seconds = round(now - steps[-1]["at"], 2) if steps else 0.0
        name = self._task.name
        steps.append({"name": name, "did": args["did"], "outcome": outcome, "seconds": seconds, "at": now})
        host = (task_vars or {}).get("inventory_hostname", "")
        self._display.display(f"{MARKS[outcome]} {host}: {args['did']}")
        return result | {"changed": False, "ansible_facts": {"runbook_steps": steps}}
