"""The project's modules, run as Ansible runs them: the whole payload, in a fresh process of the target's Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

from . import command
from .command import Cost
from .sandbox import PROJECT

_FACTS = {"ansible_playbook_python": sys.executable, "ansible_python_interpreter": sys.executable}


class Modules:
    """Runs modules; what the controller does before (building the payload) is not measured."""

    def __init__(self, folder: Path) -> None:
        init_plugin_loader()
        self._folder = folder
        self._payloads: dict[str, Path] = {}

    def run(self, name: str, **arguments: Any) -> tuple[Cost, dict[str, Any]]:
        """(what it cost, its result)."""
        cost, output = command.run([sys.executable], stdin=self._payload(name, arguments))
        return cost, json.loads(output)

    def _payload(self, name: str, arguments: dict[str, Any]) -> Path:
        call = json.dumps([name, arguments])
        if call not in self._payloads:
            own = PROJECT / "library" / f"{name}.py"
            built = modify_module(
                module_name=name if own.exists() else f"ansible.builtin.{name}",
                module_path=str(own if own.exists() else _builtin(name)),
                module_args=arguments,
                templar=Templar(loader=DataLoader()),
                task_vars=_FACTS,
                module_compression="ZIP_DEFLATED",
            )
            path = self._folder / f"{len(self._payloads)}.{name}.py"
            path.touch(mode=0o600)  # it holds the database's password
            path.write_bytes(built.b_module_data)
            self._payloads[call] = path
        return self._payloads[call]


def _builtin(name: str) -> Path:
    import ansible.modules

    return Path(ansible.modules.__file__).with_name(f"{name}.py")
