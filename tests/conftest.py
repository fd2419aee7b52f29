"""Makes the project's modules importable, and drives a module's main() in this process."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
from ansible.module_utils.testing import patch_module_args

# Of an operator's own shell: no test asks another host than those it makes.
for name in (
    "ANSIBLE_INVENTORY",
    "ANSIBLE_VAULT_PASSWORD_FILE",
    "ANSIBLE_VAULT_IDENTITY_LIST",
    "ANSIBLE_ASK_VAULT_PASS",
):
    os.environ.pop(name, None)
PROJECT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
sys.path += [str(PROJECT / "library"), str(PROJECT / "plugin_utils")]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """``run_module("app_info", app_dir=…)`` gives the module's result; ``_check``/``_diff`` as ansible-playbook's."""

    def run(name: str, /, _check: bool = False, _diff: bool = True, **arguments: Any) -> dict[str, Any]:
        module = importlib.import_module(name)
        own = {"check_mode": _check, "diff": _diff, "inject_invocation": True}  # the latter is what -vvv shows
        given = {**arguments, **{f"_ansible_{name}": value for name, value in own.items()}}
        capsys.readouterr()
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run
