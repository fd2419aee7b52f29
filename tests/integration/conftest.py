"""Tools that integration tests need installed, once, under .cache/ of the project."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bot_host import BotHost
from postgresql_server import Server, TestDatabase, running

PROJECT = Path(__file__).resolve().parents[2]


def _npm_ci(name: str, files: dict[str, str]) -> Path:
    """The folder of an installation from these files (package.json and its lock), made once for each content."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]
    cached = PROJECT / ".cache" / f"{name}-{digest}"
    if not cached.exists():
        # Beside, then renamed: an interrupted or parallel run never leaves half an installation.
        building = cached.with_name(f"{cached.name}.{os.getpid()}")
        building.mkdir(parents=True)
        for file, content in files.items():
            (building / file).write_text(content)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=building, check=True)
        try:
            building.rename(cached)
        except OSError:
            shutil.rmtree(building)
    return cached


@pytest.fixture(scope="session")
def pm2_tools() -> Path:
    """The folder with the ``pm2`` that sandbox/tools pins."""
    source = PROJECT / "sandbox" / "tools"
    files = {name: (source / name).read_text() for name in ("package.json", "package-lock.json")}
    return _npm_ci("tools", files) / "node_modules/.bin"


@pytest.fixture(scope="session")
def dotenv_package() -> Path:
    """A folder from which Node finds the ``dotenv`` that the bot's lock file pins, alone."""
    name = "node_modules/dotenv"
    entry = json.loads((PROJECT / "sandbox/bot/package-lock.json").read_text())["packages"][name]
    root = {"dependencies": {"dotenv": entry["version"]}}
    return _npm_ci("dotenv", {
        "package.json": json.dumps(root),
        "package-lock.json": json.dumps({"lockfileVersion": 3, "requires": True, "packages": {"": root, name: entry}}),
    })  # fmt: skip


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server of this session's own."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def shared_database(postgresql: Server) -> Iterator[TestDatabase]:
    """One for all tests that leave the tables as they are; `database` empties it."""
    made = postgresql.create()
    yield made
    postgresql.drop(made)


@pytest.fixture
def database(shared_database: TestDatabase) -> TestDatabase:
    """The tables as baileys_auth_schema makes them, empty."""
    shared_database.run("TRUNCATE whatsapp_auth, whatsapp_keys, whatsapp_auth_authority")
    return shared_database


@pytest.fixture
def fresh_database(postgresql: Server) -> Iterator[TestDatabase]:
    """The same in a database of the test's own, whose tables it may change."""
    made = postgresql.create()
    yield made
    postgresql.drop(made)


@pytest.fixture
def empty_database(postgresql: Server) -> Iterator[TestDatabase]:
    """A fresh database without any table."""
    made = postgresql.create(template="template1")
    yield made
    postgresql.drop(made)


@pytest.fixture
def bot_host(tmp_path: Path, database: TestDatabase, run_module: Callable[..., dict[str, Any]]) -> BotHost:
    """A host with the app's folders, on files, with one login of 120 files."""
    host = BotHost(tmp_path / "host", database.conninfo, run_module)
    host.make()
    return host
