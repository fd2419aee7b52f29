"""Tools that integration tests need installed, once, under .cache/ of the project."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def pm2_tools() -> Path:
    """The folder with the ``pm2`` of sandbox/tools; its lock file's digest names the cached installation."""
    source = PROJECT / "sandbox" / "tools"
    lock = source / "package-lock.json"
    cached = PROJECT / ".cache" / f"tools-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not (cached / "node_modules/.bin/pm2").exists():
        # Beside, then renamed: an interrupted or parallel run never leaves half an installation.
        cached.parent.mkdir(exist_ok=True)
        building = cached.with_name(f"{cached.name}.{os.getpid()}")
        building.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, building)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=building, check=True)
        try:
            building.rename(cached)
        except OSError:
            shutil.rmtree(building)
    return cached / "node_modules/.bin"
