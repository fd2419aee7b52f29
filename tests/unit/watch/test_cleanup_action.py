"""The controller's part of a cleanup: what it does in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ledgers
import pytest
from ansible import context
from ansible.module_utils.node_host.problems import HostError
from ansible.module_utils.watch.keeper import Keeper
from test_options import loaded


def test_nothing_is_listed_while_a_pass_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger comes with the list: one that a pass has written to since would be taken for a truncated one."""
    monkeypatch.setattr(context, "CLIARGS", {"inventory": ["hosts.yml"]})
    hold, asked = Keeper(tmp_path, ledgers.HOST), []
    action = object.__new__(loaded("action_plugins", "auth_state_cleanup").ActionModule)
    action._task, action._connection = SimpleNamespace(check_mode=False), SimpleNamespace(transport="local")
    action._variables = {"inventory_hostname": ledgers.HOST}

    def module(_name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments["state"])
        with pytest.raises(HostError, match="another pass is under way"), hold.alone():
            pass
        return {"failed": True, "msg": "no further"}

    monkeypatch.setattr(action, "_module", module, raising=False)
    given = dict.fromkeys(("state_dir", "sessions_dir", "backup_dir"), str(tmp_path / "app"))
    own = {"app_dir": str(tmp_path / "app"), "controller_dir": str(tmp_path), "key": None, "max_gap_hours": 26}
    assert action._clean(given, own)["msg"] == "no further"
    assert asked == ["planned"]
