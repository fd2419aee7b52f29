"""docs/REFERENCE.md is in step with playbooks and roles, and a default is the same wherever it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())


def test_the_page_is_in_step() -> None:
    command = [sys.executable, str(PROJECT / "scripts/reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def read(path: str) -> Any:
    file = PROJECT / path
    return (yaml.safe_load(file.read_text()) if file.exists() else None) or {}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_that_are_described(role: str) -> None:
    defaults = read(f"roles/{role}/defaults/main.yml")
    for entry in read(f"roles/{role}/meta/argument_specs.yml")["argument_specs"].values():
        for name, option in (entry.get("options") or {}).items():
            if name in defaults and "default" in option:
                assert option["default"] == defaults[name], name


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_can_be_asked_for(role: str) -> None:
    """What a survey needs of each: its type, its choices as a list, and words."""
    for entry in read(f"roles/{role}/meta/argument_specs.yml")["argument_specs"].values():
        for name, option in (entry.get("options") or {}).items():
            assert option["type"], name
            assert option["description"], name
            assert option["type"] != "list" or option["elements"], name
