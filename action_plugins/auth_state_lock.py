"""auth_state_lock, the controller's part: who runs the playbook here, and whether another holder still does.

Only the machine that a run was started on can tell whether its process is gone; the target cannot. Where it is, or
where that cannot be told and the operator says so (`takeover`), the module is called once more, and told of it.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import context
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.cutover.lock import ALIVE, GONE, Holder  # noqa: E402 - found on the path of this project


class ActionModule(ActionBase):
    """Carry out the module with what the controller knows."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state") == "taken":
            playbook = " ".join(Path(each).name for each in context.CLIARGS.get("args") or ())
            # A task runs in a child of ansible-playbook.
            arguments["holder"] = asdict(Holder.here(os.getppid(), playbook, arguments.get("why") or playbook))
        takeover = boolean(arguments.pop("takeover", False))
        answer = self._module(arguments, task_vars)
        if not answer.get("problems") or not answer.get("holder"):
            return answer
        seen = Holder(**answer["holder"]).seen_from_here()
        if seen == GONE or (takeover and seen != ALIVE):
            return self._module({**arguments, "gone": answer["holder"]["run"]}, task_vars)
        if takeover:
            pid = answer["holder"]["pid"]
            answer["problems"][0]["remedy"] = f"Its process {pid} still runs on this machine: end that one first"
            answer["msg"] = "{where}: {problem}. {remedy}".format(**answer["problems"][0])
        return answer

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        return self._execute_module(module_name="auth_state_lock", module_args=arguments, task_vars=task_vars)
