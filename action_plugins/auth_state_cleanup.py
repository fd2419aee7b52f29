"""auth_state_cleanup, the controller's part: no file goes unless the ledger shows the days, and the ledger tells of it.

The check and the deletion are one task, so that nothing (no tag, no --start-at-task) deletes without the check.
library/auth_state_cleanup.py documents both parts.
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

from ansible.module_utils.node_host.commands import answer_for_host  # noqa: E402 - after the path above
from ansible.module_utils.node_host.problems import HostError  # noqa: E402
from ansible.module_utils.watch import keeper, permit  # noqa: E402

OF_THE_CONTROLLER = ("app_dir", "controller_dir", "key", "max_gap_hours")


class ActionModule(ActionBase):
    """Check the ledger, delete, write it down."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self._variables = task_vars or {}
        given = {name: value for name, value in self._task.args.items() if name not in OF_THE_CONTROLLER}
        own = {name: self._task.args.get(name) for name in OF_THE_CONTROLLER}
        try:
            answer = self._clean(given, own)
        except HostError as error:
            answer = {"failed": True, "msg": str(error), "problems": error.as_dicts()}
        return result | answer_for_host(answer, self._variables["inventory_hostname"])

    def _clean(self, given: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        hold = keeper.Keeper(
            Path(own["controller_dir"]).expanduser(), self._variables["inventory_hostname"], own["key"]
        )
        inventories = [str(path) for path in context.CLIARGS["inventory"]]
        folders = [own["app_dir"], *(given[name] for name in ("state_dir", "sessions_dir", "backup_dir"))]
        with hold.alone(writing=not self._task.check_mode):
            listed = self._module("auth_state_cleanup", {**given, "state": "planned"})
            if listed.get("failed") or listed.get("unreachable"):
                return listed
            at, clock = keeper.now(inventories, PROJECT, folders, self._connection.transport)
            chain = permit.check(hold, listed, at, clock, own["max_gap_hours"])
            if self._task.check_mode or not listed["changed"]:
                return permit.shown(listed)
            done = self._module("auth_state_cleanup", {**given, "state": "cleaned", "plan": listed["plan"]})
            if "archive" not in done:  # it failed before anything was deleted
                return done
            line = hold.seal(permit.entry(done, given.get("scope", "lid_mapping"), at, clock), chain)
            where = {"state_dir": given["state_dir"], "size": chain.size, "keep": chain.keep}
            written = self._module("auth_state_ledger", {**where, "line": line, "renew": False})
            if written.get("failed") or written.get("unreachable"):
                return permit.shown(done) | {
                    "failed": True,
                    "msg": f"The files are gone, and the ledger does not tell of it: {written.get('msg')}",
                }
            hold.written(line)
        return permit.shown(done)

    def _module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._execute_module(module_name=name, module_args=arguments, task_vars=self._variables)
