"""Three hosts with one database: the sandbox, and two beside it that use its programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))

from driver import built
from hosts import COMPANIES, Fleet
from secret_words import nothing_said_of


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    with built() as first:
        # The others have it from their inventory.
        with (first.app / ".env").open("a") as settings:
            settings.write(f"COMPANY_IDS={COMPANIES['sandbox']}\n")
        fleet = Fleet(first)
        made = fleet.play("playbooks/sandbox.yml", "--limit", "others", "--skip-tags", "postgresql")
        try:
            assert made.rc == 0, made.output[-6000:]
            for name in ("second", "third"):
                (fleet.hosts[name].root / "bin").symlink_to(first.root / "bin")
            with nothing_said_of(first, fleet.login("second"), fleet.login("third")):
                yield fleet
        finally:
            removed = fleet.play("playbooks/sandbox_clean.yml", "--limit", "others")
            assert removed.rc == 0, removed.output[-3000:]
