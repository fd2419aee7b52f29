"""The server that a scenario worked on, for its tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.append(str(Path(__file__).parent))
# The words to search for are those of the sandbox's tests.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "sandbox"))
from server import Server


@pytest.fixture(scope="module")
def server(host: Host) -> Server:
    return Server(host)
