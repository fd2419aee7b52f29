"""runbook_step: one line of the runbook, kept with what came of it and how long it took.

The task's name is the runbook's line; ``did`` says what came of it. Both go into the fact ``runbook_steps``, with the
seconds since the line before (or ``seconds``, where one task did the work of several lines), for the summary; the
callback plugin ``runbook`` prints them as they happen. The ``first`` one begins a new list.
It runs on the controller and costs no module transfer.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

OUTCOMES = ("done", "unchanged", "planned", "skipped", "missing")


class ActionModule(ActionBase):
    """Keep one line of the runbook."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "did": {"type": "str", "required": True},
                "outcome": {"type": "str", "choices": list(OUTCOMES), "default": "done"},
                "seconds": {"type": "float"},
                "first": {"type": "bool", "default": False},
            },
        )
        outcome = args["outcome"]
        if outcome == "done" and self._task.check_mode:
            outcome = "planned"
        facts = (task_vars or {}).get("ansible_facts", {})
        # Facts outlive a play, and in a fact cache the run: each begins with a list of its own.
        steps = [] if args["first"] else list(facts.get("runbook_steps", []))
        now = time.time()
        steps.append(
            {
                "name": self._task.name,
                "did": " ".join(args["did"].split()),
                "outcome": outcome,
                "seconds": round(_seconds(args["seconds"], steps, now), 2),
                "at": now,
            }
        )
        return result | {"changed": False, "ansible_facts": {"runbook_steps": steps}}


def _seconds(told: float | None, steps: list[dict[str, Any]], now: float) -> float:
    if told is not None:
        return told
    return now - steps[-1]["at"] if steps else 0.0
