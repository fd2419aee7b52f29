"""Plays a play of a test's own, for what only Ansible's templating can tell; and the project's, on hosts of paper."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))


@pytest.fixture
def goes_well(tmp_path: Path) -> Callable[..., None]:
    """`goes_well(play, *arguments)` fails where the play does."""

    def play(text: str, *arguments: str) -> None:
        (tmp_path / "play.yml").write_text(text)
        command = [ANSIBLE_PLAYBOOK, "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]

    return play


# It takes a while to read: whoever does so meanwhile reads the same.
CRONTAB = """#!/bin/sh
case "$1" in
  -l) cat "$0.tab" 2>/dev/null; sleep 0.5; test -e "$0.tab" ;;
  *) cp "$1" "$0.tab" ;;
esac
"""


@dataclass(frozen=True)
class Paper:
    """The project's own playbooks on hosts that are on paper only, with a crontab command of the test's own."""

    root: Path

    @property
    def crontab(self) -> Path:
        return self.root / "bin" / "crontab"

    def jobs(self) -> list[str]:
        """The lines of the crontab, their names left out."""
        table = self.root / "bin" / "crontab.tab"
        lines = table.read_text().splitlines() if table.exists() else []
        return [line for line in lines if not line.startswith("#")]

    def far(self) -> dict[str, Any]:
        """A host that cannot be reached."""
        return {"ansible_connection": "ssh", "ansible_ssh_executable": str(self.root / "bin" / "ssh")}

    def near(self) -> dict[str, Any]:
        """A host that can, on which there is nothing."""
        return {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}

    def play(self, playbook: str, hosts: dict[str, dict[str, Any]], *arguments: str) -> tuple[int, str]:
        """(exit code, what was printed, its white space made one blank each)."""
        known = {
            "app_dir": str(self.root / "app"),
            "app_path": [str(self.root / "bin")],
            "company_ids": ["962302"],
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "release_branch": "main",
            "monitor_controller_dir": str(self.root / "controller"),
            "runbook_reports_dir": str(self.root / "reports"),
        }
        inventory = self.root / "hosts.json"
        inventory.write_text(json.dumps({"whatsapp": {"hosts": hosts, "vars": known}}))
        command = [ANSIBLE_PLAYBOOK, "-i", str(inventory), playbook, *arguments]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    made = Paper(tmp_path)
    (tmp_path / "bin").mkdir()
    for name, script in (("crontab", CRONTAB), ("ssh", "#!/bin/sh\necho No route to host >&2\nexit 255\n")):
        command = tmp_path / "bin" / name
        command.write_text(script)
        command.chmod(0o755)
    return made
