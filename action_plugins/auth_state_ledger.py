"""auth_state_ledger, the controller's part: judge what a pass saw, seal it with a key that never leaves the controller.

The module of the same name then writes it down on the target; library/auth_state_ledger.py documents both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import context
from ansible.plugins.action import ActionBase

PROJECT = Path(__file__).resolve().parents[1]
# Ansible takes the project's module_utils along to targets only; this part runs here.
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.node_host.problems import HostError  # noqa: E402 - after the path above
from ansible.module_utils.watch import keeper, passes  # noqa: E402


class ActionModule(ActionBase):
    """Judge, seal, have it written."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, args = self.validate_argument_spec(argument_spec=passes.OPTIONS)
        hold = keeper.Keeper(Path(args["controller_dir"]), variables["inventory_hostname"], args["key"])
        at, clock = keeper.now(
            [str(path) for path in context.CLIARGS["inventory"]],
            PROJECT,
            [args["app_dir"], args["state_dir"]],
            self._connection.transport,
        )

        def write(line: str, size: int, keep: int, renew: bool) -> dict[str, Any]:
            given = {"state_dir": args["state_dir"], "line": line, "size": size, "keep": keep, "renew": renew}
            return self._execute_module(
                module_name="auth_state_ledger", module_args=given, task_vars=variables, wrap_async=False
            )

        try:
            return result | passes.record(args, hold, at, clock, write, check_mode=self._task.check_mode)
        except HostError as error:
            return result | {"failed": True, "msg": str(error), "problems": error.as_dicts()}
