"""What the probe for psycopg prints, on this Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

PROBE = Path(__file__).resolve().parents[2] / "roles/psycopg/files/probe.py"


def probed(folder: Path) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, str(PROBE)], env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_psycopg_of_the_system(tmp_path: Path) -> None:
    found = probed(tmp_path)
    assert (found["version"], found["folder"], found["there"]) == (psycopg.__version__, psycopg.__path__[0], True)
    assert not probed(tmp_path / "none")["there"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of another user")
def test_what_root_makes_is_to_be_the_apps_users(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    found = probed(tmp_path / ".auth-state" / "python")
    assert (found["owner"], found["group"]) == (12345, 12346)
