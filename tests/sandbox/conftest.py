"""One sandbox for all tests in this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    # Not pytest's own folder: that one is private, and the database's user must pass through.
    root = Path(tempfile.mkdtemp(prefix="auth-state-sandbox-"))
    sandbox = Sandbox(root)
    built = sandbox.play("playbooks/sandbox.yml")
    try:
        assert built.rc == 0, built.output[-6000:]
        yield sandbox
    finally:
        removed = sandbox.play("playbooks/sandbox_clean.yml")
        assert removed.rc == 0, removed.output[-3000:]
        assert not root.exists()


@pytest.fixture(scope="session")
def copy_of_login(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The login as it was before anything ran, for comparisons and for the search for secrets."""
    copy = tmp_path_factory.mktemp("login") / sandbox.company.name
    shutil.copytree(sandbox.company, copy)
    return copy
