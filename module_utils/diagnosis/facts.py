"""What one look at a host has seen. Plain data, so that the checks need no host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..node_host import dotenv
from ..node_host.problems import Problem

Seen = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """Beyond which something is wrong."""

    free_mb: int = 500
    free_inodes: int = 20_000
    latency_ms: float = 1000
    cleanup_hours: float = 6
    quiet_hours: float = 24


@dataclass
class Database:
    """`refused`: why it could not be asked; then the rest is as it is by default."""

    refused: list[Problem] = field(default_factory=list)
    latency_ms: float = 0.0
    problems: list[Problem] = field(default_factory=list)  # of the tables
    missing: list[str] = field(default_factory=list)
    open_to: list[str] = field(default_factory=list)
    tables: dict[str, Seen] = field(default_factory=dict)
    rows: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    accounts: dict[str, str | None] = field(default_factory=dict)  # company -> creds.me.id
    jobs: list[Seen] | None = None
    cleanup: str | None = None
    twins: dict[str, int] = field(default_factory=dict)


@dataclass
class Facts:
    """One host. `later`: pm2's processes a moment after `processes`. `rest`: None where .env names no endpoint."""

    flag: str = "USE_DATABASE_AUTH_STATE"
    limits: Limits = field(default_factory=Limits)
    companies: list[str] = field(default_factory=list)
    env_file: str = ".env"
    env_problem: Problem | None = None
    env_mode: int = 0o600
    flag_value: str | None = None
    flag_count: int = 0
    folders: list[str] = field(default_factory=list)  # names of folders beside those of companies, with a creds.json
    sessions_dir: str = "baileys_sessions"
    pm2: Seen = field(default_factory=dict)
    later: Seen = field(default_factory=dict)
    watched_seconds: float = 0.0
    pending: list[str] = field(default_factory=list)
    strays: list[Problem] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)  # where cron has one that touches the login's files
    forbidden: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # name -> count, log, the last line
    unlinked: tuple[int, str, str] | None = None
    log_lines: int = 0
    health: dict[str, Seen] | None = None
    health_url: str = ""
    info: dict[str, Seen] = field(default_factory=dict)  # company -> what baileys_auth_info tells of it
    info_problems: list[Problem] = field(default_factory=list)
    info_warnings: list[str] = field(default_factory=list)
    database: Database = field(default_factory=Database)
    key_types: frozenset[str] = frozenset()
    rest: str | None = None  # whose key it is
    rest_problems: list[Problem] = field(default_factory=list)
    backups: dict[str, Seen] = field(default_factory=dict)  # company -> newest, intact, age_hours, originals
    disks: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # folder -> MiB free, inodes free, inodes
    lock: tuple[str, str] | None = None  # whose it is, and whether that run is alive, gone or unknown
    run: Problem | None = None  # a cut-over without an end
    old_script: str | None = None

    @property
    def store(self) -> str:
        """What the flag in .env makes the app read."""
        return "database" if dotenv.is_on(self.flag_value) else "files"

    @property
    def processes(self) -> list[Seen]:
        return self.pm2.get("processes", [])

    @property
    def names(self) -> str:
        """The processes that are to run, as typed behind a command of pm2's."""
        resting = self.pm2.get("resting", [])
        return " ".join(each["name"] for each in self.processes if each["name"] not in resting)
