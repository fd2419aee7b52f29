"""The runbook on a real bot, told in order: each test goes on from where the one before left the sandbox."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import COMPANY, FLAG, PROCESSES, Sandbox, difference

OLD_CONTACT = "79686484488"
NEW_CONTACTS = (f"7900100200{number}" for number in range(10))


@pytest.fixture(autouse=True)
def _told_in_order(request: pytest.FixtureRequest, copy_of_login: Path) -> None:
    """The copy is made before the first test; and what follows a failed test would only confuse."""
    failed = request.session.stash.get(FAILED, None)
    if failed:
        pytest.fail(f"not run: {failed} failed before, and this goes on from there", pytrace=False)


FAILED = pytest.StashKey[str]()


# --- Before anything ran -----------------------------------------------------------------------------------------


def test_check_mode_tells_and_changes_nothing(sandbox: Sandbox) -> None:
    with sandbox.unchanged():
        run = sandbox.play("deploy.yml", "--check", "--diff")
    assert run.rc == 0, run.output[-4000:]
    assert "check mode, nothing was changed" in run.output
    assert f"+{FLAG}=true" in run.output
    assert re.search(r"files +337 → 337", run.output)
    assert "session" in run.output
