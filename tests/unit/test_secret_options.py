"""What a module is told in confidence is marked in its argument spec: Ansible blanks it in outputs and in syslog."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.watch import passes

MODULES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "library").glob("*.py"))
SECRET = {"conninfo", "key"}
# Its env and headers may hold short words, and Ansible would blank those in all output: it masks them itself.
WHOLLY_SECRET = ["mcp_tool"]


class Constructed(BaseException):
    """Ends the module once it has said what it takes."""


@pytest.mark.parametrize("name", MODULES)
def test_a_secret_is_marked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}

    def construct(_self: AnsibleModule, argument_spec: dict[str, Any], **rules: Any) -> None:
        taken.update(options=argument_spec, no_log=rules.get("no_log", False))
        raise Constructed

    monkeypatch.setattr(AnsibleModule, "__init__", construct)
    with pytest.raises(Constructed):
        importlib.import_module(name).main()
    assert taken["no_log"] is (name in WHOLLY_SECRET)
    shown = [option for option in SECRET & taken["options"].keys() if not taken["options"][option].get("no_log")]
    assert shown == []


def test_the_ledgers_key_is_marked() -> None:
    """What the controller's side of auth_state_ledger takes."""
    assert passes.OPTIONS["key"]["no_log"] is True
