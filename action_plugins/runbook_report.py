"""runbook_report: hand the report what only the play knows; the callback plugin ``runbook`` puts it on the page.

Each task says some of it; what is said again replaces what was said before. It runs on the controller, costs no module
transfer, changes nothing and keeps no fact. The plugin finds by itself: the steps, every task and its time, the journal
of a cut-over, the log lines that ``log_watch`` found, and what failed. All is masked once more before it is shown.

- ``headline``: one sentence: what this run came to, or where the bot stands.
- ``good``: whether that is good news. A run that fails never is; a monitor pass may find fault without failing.
- ``changes``: before → after, a line each.
- ``tables``: further figures, one row of cells for each thing; numbers are set to the right.
- ``checks``: what is expected beside what was found; ``outcome`` as of ``runbook_step``.
- ``findings``: what is wrong: ``where``, ``problem``, ``remedy``, as in every module's ``problems``.
- ``notes``: what stops nothing and should be known all the same.
- ``failure``: of a run that failed: the task, its message, what was done about it, where the bot stands.
- ``next``: what to type next, and what for.
- ``passes``: of a monitor, oldest first, this one last: when (ISO 8601 with its zone), whether it was good, its line
  in words, and its figures by name. Each figure is drawn over the passes, in the order in which the last pass names
  them. The end of a name tells its unit (``latency_ms``, ``memory_bytes``, ``age_seconds``); a missing figure is a gap.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

TEXT = {"type": "str", "required": True}
OUTCOME = {"type": "str", "choices": ["done", "unchanged", "planned", "skipped", "missing"], "default": "done"}


def a_list_of(**options: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "options": options}


OPTIONS: dict[str, dict[str, Any]] = {
    "headline": {"type": "str"},
    "good": {"type": "bool"},
    "changes": a_list_of(what=TEXT, before=TEXT, after=TEXT),
    "tables": a_list_of(
        title=TEXT,
        columns={"type": "list", "elements": "str", "required": True},
        rows={"type": "list", "elements": "list", "required": True},
    ),
    "checks": a_list_of(expected=TEXT, found=TEXT, outcome=OUTCOME),
    "findings": {"type": "list", "elements": "dict"},
    "notes": {"type": "list", "elements": "str"},
    "failure": {"type": "dict", "options": dict.fromkeys(("task", "message", "done", "stands"), TEXT)},
    "next": a_list_of(say=TEXT, type=TEXT),
    "passes": a_list_of(
        at=TEXT,
        good={"type": "bool", "required": True},
        says=TEXT,
        figures={"type": "dict", "required": True},
    ),
}


class ActionModule(ActionBase):
    """Hand the report what only the play knows."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=OPTIONS)
        said = {name: value for name, value in args.items() if value is not None}
        return result | {"changed": False, "report": said}
