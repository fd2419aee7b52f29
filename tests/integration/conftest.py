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


def installed(source: Path, name: str) -> Path:
    """`source`'s npm packages, as its lock file names them, under .cache/<name>."""
    cached = PROJECT / ".cache" / name
    if not (cached / "node_modules").exists():
        # Beside, then renamed: an interrupted or parallel run never leaves half an installation.
        cached.parent.mkdir(exist_ok=True)
        building = cached.with_name(f"{cached.name}.{os.getpid()}")
        building.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, building)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=building, check=True)
        try:
            building.rename(cached)
        except OSError:
            shutil.rmtree(building)
    return cached


@pytest.fixture(scope="session")
def pm2_tools() -> Path:
    """The folder with the ``pm2`` of sandbox/tools; its lock file's digest names the cached installation."""
    source = PROJECT / "sandbox" / "tools"
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    return installed(source, f"tools-{digest}") / "node_modules/.bin"


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


@pytest.fixture(scope="session")
def bot_modules() -> Path:
    """The bot's node_modules as its lock file names them: its own, where they are installed, or a cached copy."""
    source = PROJECT / "sandbox" / "bot"
    if (source / "node_modules/.package-lock.json").exists():
        return source / "node_modules"
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    return installed(source, f"bot-{digest}") / "node_modules"


@pytest.fixture(scope="session")
def baileys(bot_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """``baileys("keys.mjs", "get", …, stdin=…, database=…)`` runs a script of baileys/ beside the bot's code."""
    folder = tmp_path_factory.mktemp("bot")
    shutil.copytree(PROJECT / "sandbox/bot/src", folder / "src")
    shutil.copy(PROJECT / "sandbox/bot/package.json", folder)
    for script in (Path(__file__).parent / "baileys").glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(bot_modules)

    def run(script: str, *arguments: object, stdin: str = "", database: str = "") -> str:
        done = subprocess.run(
            ["node", script, *map(str, arguments)],
            cwd=folder,
            input=stdin,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": database},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
