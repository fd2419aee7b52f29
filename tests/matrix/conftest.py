"""One sandbox for all tests in this folder, deployed and rolled back once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))

from driver import Sandbox, built
from host import Host


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with built() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def host(sandbox: Sandbox) -> Host:
    """The bot on its files; a reboot would bring back what runs now."""
    host = Host(sandbox)
    host.learn()
    sandbox.pm2("save")
    return host
