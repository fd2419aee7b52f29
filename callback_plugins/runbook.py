"""Prints the lines of the runbook as they happen, under the task that says them."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: runbook
type: notification
short_description: Print the runbook's lines as they happen
description:
  - Prints what each C(runbook_step) task has to say, with a mark, under the task's own line.
"""

MARKS = {"done": "✅", "unchanged": "✓", "planned": "…", "skipped": "-", "missing": "❌"}


class CallbackModule(CallbackBase):
    """The runbook on the terminal."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "runbook"
    CALLBACK_NEEDS_ENABLED = False

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action == "runbook_step":
            step = result.result["ansible_facts"]["runbook_steps"][-1]
            self._display.display(f"{MARKS[step['outcome']]} {step['did']}")
