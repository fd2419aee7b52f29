"""One sandbox for all tests in this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Sandbox, built


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with built() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def copy_of_login(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The login as it was before anything ran, for comparisons and for the search for secrets."""
    copy = tmp_path_factory.mktemp("login") / sandbox.company.name
    shutil.copytree(sandbox.company, copy)
    return copy
