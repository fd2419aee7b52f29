"""deploy.yml and rollback.yml, listed, read as the runbook."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

DEPLOY = """
"""


def listed(playbook: str) -> list[str]:
    """The tasks of ``--list-tasks`` with their tags, those of preflight and of psycopg left out."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "--list-tasks"]
    output = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^      (\S.*?)\tTAGS: \[(.*)\]$", output, re.M)
