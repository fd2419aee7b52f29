"""A PostgreSQL of the tests' own: the sandbox's role and nothing else of it, and a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from ansible.module_utils.baileys_auth.catalogue import Catalogue
from psycopg import sql

PROJECT = Path(__file__).resolve().parents[1]
TEMPLATE = "with_tables"


def _play(playbook: str, folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}", *arguments],
        cwd=PROJECT,
        env=os.environ | {"SANDBOX": str(folder), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{playbook} failed:\n{done.stdout[-6000:]}")


def _remove(folder: Path) -> None:
    """What playbooks/sandbox_clean.yml does, without Ansible's ten seconds."""
    stop = [sys.executable, str(PROJECT / "playbooks/files/stop_own.py"), str(folder)]
    subprocess.run(stop, stdout=subprocess.DEVNULL, check=True)
    data = folder / "postgresql"
    if data.is_symlink():  # to a place that the server's user can reach
        shutil.rmtree(data.resolve())
    shutil.rmtree(folder)


@dataclass(frozen=True)
class TestDatabase:
    """One database, as the app's role reaches it."""

    __test__ = False
    conninfo: str

    @property
    def name(self) -> str:
        return urlsplit(self.conninfo).path[1:]

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.conninfo) as connection:
            yield connection

    def run(self, statement: str, *parameters: Any) -> list[tuple]:
        """One statement (several without parameters), and its rows."""
        with self.connection() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> dict[str, list[tuple]]:
        """Everything in every table, by the server's own text."""
        with self.connection() as connection:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
                )
            ]
            return {
                name: sorted(connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))))
                for name in names
            }

    def logins(self) -> dict[str, list[tuple]]:
        """What the app reads: both tables without their times."""
        creds = "SELECT company_id, creds::text FROM whatsapp_auth ORDER BY 1"
        keys = "SELECT company_id, key_type, key_id, value::text, expires_at FROM whatsapp_keys ORDER BY 1, 2, 3"
        return {"creds": self.run(creds), "keys": self.run(keys)}

    def rows(self, company: str = "962302") -> dict[tuple[str, str], str]:
        """{(key type, key id): jsonb text} of one login, creds as ('creds', '')."""
        found = {
            (kind, key): text
            for kind, key, text in self.run(
                "SELECT key_type, key_id, value::text FROM whatsapp_keys WHERE company_id = %s", company
            )
        }
        for (text,) in self.run("SELECT creds::text FROM whatsapp_auth WHERE company_id = %s", company):
            found["creds", ""] = text
        return found

    def count(self, company: str = "962302") -> int:
        return self.run("SELECT count(*) FROM whatsapp_keys WHERE company_id = %s", company)[0][0]


class Server:
    """The server, as its superuser (`admin_url`) and as the app's role (`app_url`)."""

    def __init__(self, folder: Path) -> None:
        secrets = folder / "secrets"
        self.admin_url = (secrets / "admin_url").read_text().strip()
        self.app_url = (secrets / "database_url").read_text().strip()

    @property
    def role(self) -> str:
        return urlsplit(self.app_url).username or ""

    @property
    def password(self) -> str:
        return urlsplit(self.app_url).password or ""

    @property
    def port(self) -> int:
        return urlsplit(self.app_url).port or 0

    def url(self, database: str, *, admin: bool = False, user: str = "", password: str = "") -> str:
        parts = urlsplit(self.admin_url if admin else self.app_url)
        if user:
            parts = parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}")
        return urlunsplit(parts._replace(path=f"/{database}"))

    def admin(self, statement: str, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(database, admin=True), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        """A template with the tables, and no waiting for the disk: nothing here has to survive a power cut."""
        if self.admin(f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"):
            return
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            self.admin(f"ALTER SYSTEM SET {setting}")
        self.admin("SELECT pg_reload_conf()")
        self.create(TEMPLATE, template="template1")
        # As on Supabase: whatever a role makes is open to the public roles unless it is closed.
        self.admin(
            f'ALTER DEFAULT PRIVILEGES FOR ROLE "{self.role}" IN SCHEMA public'
            " GRANT ALL ON TABLES TO anon, authenticated, service_role",
            TEMPLATE,
        )
        with psycopg.connect(self.url(TEMPLATE)) as connection, connection.transaction():
            tables = Catalogue(connection, "public")
            tables.create_missing(tables.inspect())

    def create(self, name: str = "", template: str = TEMPLATE) -> TestDatabase:
        name = name or f"test_{uuid.uuid4().hex[:12]}"
        self.admin(f'CREATE DATABASE {name} TEMPLATE {template} OWNER "{self.role}"')
        self.admin(f'ALTER SCHEMA public OWNER TO "{self.role}"', name)
        return TestDatabase(self.url(name))

    def drop(self, database: TestDatabase) -> None:
        self.admin(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")


@contextmanager
def running() -> Iterator[Server]:
    """A server for this session. TEST_POSTGRESQL=<a sandbox's folder>: that one's, for quick runs by hand."""
    given = os.environ.get("TEST_POSTGRESQL")
    # Not pytest's own folder: that one is private, and the server's user must pass through.
    folder = Path(given) if given else Path(tempfile.mkdtemp(prefix="auth-state-postgresql-"))
    try:
        if not (folder / "secrets/database_url").exists():
            _play("sandbox.yml", folder, "--skip-tags", "node,app")
        server = Server(folder)
        server.prepare()
        yield server
    finally:
        if not given:
            _remove(folder)
