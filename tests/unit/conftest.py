"""Plays a play of a test's own, for what only Ansible's own templating can tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def goes_well(tmp_path: Path) -> Callable[[str], None]:
    """`goes_well(play)` fails where the play does."""

    def play(text: str) -> None:
        (tmp_path / "play.yml").write_text(text)
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local"]
        done = subprocess.run(
            [*command, str(tmp_path / "play.yml")], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]

    return play
