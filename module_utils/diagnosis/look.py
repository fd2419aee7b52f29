"""One look at a host, its bot and its database, for the checks. Reads; writes nothing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..baileys_auth import dashboard, info, read_back
from ..baileys_auth.archive import Backups
from ..baileys_auth.catalogue import Catalogue
from ..baileys_auth.database import Database, connect, refusal
from ..baileys_auth.names import CREDS_FILE, CREDS_TYPE
from ..baileys_auth.transfer import Settings
from ..cutover import health
from ..cutover.journal import Journal
from ..cutover.lock import Lock
from ..cutover.rest import Rest
from ..cutover.status import problem_of
from ..node_host import cron_jobs, dotenv, logs, pm2_states, postgrest
from ..node_host.pm2_list import show_switch
from ..node_host.problems import HostError, Problem
from ..watch.observe import last_cut_over
from .facts import Database as DatabaseFacts
from .facts import Facts, Limits

_LOG_BYTES = 1 << 23  # of each log, from its end
_PINGS = 3
_SCRIPT = "scripts/migrate-baileys-files-to-database.js"


@dataclass(frozen=True)
class Wanted:
    """What to look at."""

    settings: Settings
    companies: list[str]
    excluded: set[str]
    conninfo: str | None
    schema: str
    app_dir: Path
    env_file: str
    flag: str
    processes: pm2_states.Wanted
    health_url: str
    forbidden: Sequence[logs.Pattern]
    unlinked: Sequence[logs.Pattern]
    limits: Limits
    cron_paths: Sequence[str]
    watch_seconds: float


def look(wanted: Wanted) -> Facts:
    """Everything that the checks ask for."""
    facts = Facts(
        flag=wanted.flag,
        limits=wanted.limits,
        companies=wanted.companies,
        env_file=wanted.env_file,
        sessions_dir=str(wanted.settings.sessions_dir),
        health_url=wanted.health_url,
        key_types=frozenset(wanted.settings.names.types),
    )
    begun = time.monotonic()
    owners = sorted(Journal(wanted.settings.state_dir).owners())
    facts.pm2 = pm2_states.look(replace(wanted.processes, started=owners))
    facts.pending = wanted.processes.pm2().pending()
    rest = _environment(wanted, facts)
    _host(wanted, facts)
    _database(wanted, facts, rest)
    _logs(wanted, facts)
    facts.health = health.ask(wanted.health_url) if wanted.health_url else None
    # A crash loop shows when one looks again.
    if facts.processes:
        time.sleep(max(0.0, begun + wanted.watch_seconds - time.monotonic()))
        facts.later = pm2_states.look(wanted.processes)
        facts.watched_seconds = time.monotonic() - begun
    facts.strays = _strays(wanted, facts)
    return facts


def _environment(wanted: Wanted, facts: Facts) -> postgrest.Postgrest | None:
    """The flag, and the REST endpoint that .env names."""
    try:
        value, facts.flag_count = dotenv.effective(wanted.env_file, wanted.flag)
        variables = dotenv.values(dotenv.read(wanted.env_file))
        facts.env_mode = os.stat(wanted.env_file).st_mode & 0o7777
    except HostError as error:
        facts.env_problem = error.problems[0]
        return None
    facts.flag_value = show_switch(value)
    try:
        return postgrest.from_environment(variables, wanted.schema)
    except HostError as error:
        facts.rest_problems += error.problems
        return None


def _host(wanted: Wanted, facts: Facts) -> None:
    settings = wanted.settings
    facts.folders = _other_logins(settings.sessions_dir)
    facts.jobs = cron_jobs.cleaning(settings.sessions_dir, wanted.cron_paths)
    for company in wanted.companies:
        backups = Backups(settings.backup_dir, company)
        newest = backups.newest()
        facts.backups[company] = {
            "newest": newest.archive if newest else None,
            "intact": newest is not None and backups.intact(newest),
            "originals": len(backups.originals()),
        }
    for folder in (wanted.app_dir, settings.backup_dir):
        with suppress(OSError):
            disk = os.statvfs(folder)
            facts.disks[str(folder)] = (disk.f_bavail * disk.f_frsize >> 20, disk.f_favail, disk.f_files)
    holder = Lock(settings.state_dir).holder()
    facts.lock = (str(holder), holder.seen_from_here()) if holder else None
    facts.run = problem_of(Journal(settings.state_dir), facts.store, facts.processes)
    script = wanted.app_dir / _SCRIPT
    facts.old_script = str(script) if script.exists() else None


def _other_logins(sessions_dir: Path) -> list[str]:
    """Folders with a login that the app's own scan does not take for a company's, or takes for another spelling."""
    with suppress(OSError):
        return sorted(
            path.name
            for path in sessions_dir.iterdir()
            if (path / CREDS_FILE).is_file() and not re.fullmatch(r"company_(?!company_).+", path.name)
        )
    return []


def _strays(wanted: Wanted, facts: Facts) -> list[Problem]:
    """Processes outside of pm2's that have a login open, or run the script of an owner."""
    scripts = [each["script"] for each in facts.processes if each["script"]]
    pids = [each["pid"] for seen in (facts.pm2, facts.later) for each in seen.get("processes", []) if each["pid"]]
    try:
        Rest(wanted.settings, wanted.companies, scripts).nobody_else(pids)
    except HostError as error:
        return error.problems
    return []


def _logs(wanted: Wanted, facts: Facts) -> None:
    """The lines since each process was started, where lines say when they were written; else since the cut-over."""
    marks = {mark["path"]: mark for mark in last_cut_over(Journal(wanted.settings.state_dir))["mark"]}
    for process in facts.processes:
        started = time.time() - process["uptime_ms"] / 1000
        for stream in ("out", "err"):
            path = process[f"{stream}_log_path"]
            if not path:
                continue
            source = {"path": path, "process": process["name"], "stream": stream}
            for text in _recent(source, marks.get(path), started):
                facts.log_lines += 1
                _match(wanted, facts, source, text)


def _recent(source: dict[str, Any], cut_over: dict[str, Any] | None, started: float) -> list[str]:
    mark = cut_over or logs.mark(source, at_start=True)
    with suppress(OSError):
        size = os.path.getsize(source["path"])
        if size - mark["offset"] > _LOG_BYTES:
            mark = {**logs.mark(source, at_start=True), "offset": size - _LOG_BYTES}
    tail = logs.Tail(mark)
    try:
        lines = [logs.plain(line) for line in [*tail.lines(), tail.unfinished()]]
    finally:
        tail.close()
    recent, dated = [], None
    for text in lines:
        dated = _written_at(text) or dated  # a line without a time belongs to the one before it
        if text and (dated is None or dated >= started - 1):
            recent.append(text)
    return recent


def _written_at(text: str) -> float | None:
    written = logs.line_time(text)
    if written is None:
        return None
    tidy = written.replace("/", "-").replace(",", ".").replace("Z", "+00:00")
    # Python 3.10 reads three or six digits of a second, and a zone with a colon.
    tidy = re.sub(r"\.\d+", "", tidy)
    tidy = re.sub(r" ?([+-]\d\d):?(\d\d)$", r"\1:\2", tidy)
    with suppress(ValueError):
        return datetime.fromisoformat(tidy).timestamp()
    return None


def _match(wanted: Wanted, facts: Facts, source: dict[str, Any], text: str) -> None:
    folded = text.casefold()
    where = f"log of {source['process']}"
    for pattern in wanted.forbidden:
        if pattern.applies(source) and pattern.matches(text, folded):
            count = facts.forbidden.get(pattern.name, (0, "", ""))[0]
            facts.forbidden[pattern.name] = (count + 1, where, logs.show(text))
    for pattern in wanted.unlinked:
        if pattern.applies(source) and pattern.matches(text, folded):
            count = facts.unlinked[0] if facts.unlinked else 0
            facts.unlinked = (count + 1, where, logs.show(text))


def _database(wanted: Wanted, facts: Facts, rest: postgrest.Postgrest | None) -> None:
    seen = facts.database
    try:
        with connect(wanted.conninfo or "") as connection:
            seen.latency_ms = _latency(connection)
            _tables(connection, wanted.schema, seen)
            database = Database(connection, wanted.schema)
            _logins(wanted, facts, database)
            if rest is not None:
                facts.rest = rest.role or "its role is not told"
                facts.rest_problems += _read_back(rest, database, facts)
            return
    except HostError as error:
        seen.refused += error.problems
    except Exception as error:  # psycopg's own; any other goes on
        seen.refused.append(refusal(error, "the database"))
    _logins(wanted, facts, None)
    if rest is not None:
        facts.rest = rest.role or "its role is not told"
        facts.rest_problems += _reaches(rest)


def _latency(connection: Any) -> float:
    """The median of a few round trips, in milliseconds."""
    took = []
    with connection.transaction():
        for _ in range(_PINGS):
            begun = time.perf_counter()
            connection.execute("SELECT 1").fetchone()
            took.append(time.perf_counter() - begun)
    return round(sorted(took)[_PINGS // 2] * 1000, 1)


def _tables(connection: Any, schema: str, seen: DatabaseFacts) -> None:
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        found = Catalogue(connection, schema).inspect()
        seen.problems, seen.missing, seen.open_to = found.problems, found.missing, found.open_to
        seen.tables = dashboard.tables(connection, schema)
        seen.jobs = dashboard.cron_jobs(connection)
        seen.cleanup = dashboard.cleanup_source(connection, schema)
        seen.twins = dashboard.twins(connection, schema)
        if {"whatsapp_auth", "whatsapp_keys"} <= seen.tables.keys() and not found.problems:
            seen.rows = dashboard.rows_by_type(connection, schema)
            seen.accounts = Database(connection, schema).companies()


def _logins(wanted: Wanted, facts: Facts, database: Database | None) -> None:
    # Tables that are not as they should be are told by their own check; the files are looked at all the same.
    usable = None if facts.database.problems else database
    try:
        report = info.inspect(wanted.settings, usable, wanted.companies, wanted.excluded)
    except HostError as error:
        facts.info_problems += error.problems
        return
    facts.info = report.companies
    facts.info_problems += report.problems
    facts.info_warnings += report.warnings


def _read_back(rest: postgrest.Postgrest, database: Database, facts: Facts) -> list[Problem]:
    """Each login over REST, beside what the database holds."""
    stored = [company for company in facts.companies if CREDS_TYPE in facts.database.rows.get(company, {})]
    if not stored:
        return _reaches(rest)
    try:
        found = [problem for company in stored for problem in read_back.read_back(rest, database, company)]
    except HostError as error:
        return error.problems
    depends = read_back.depends_on_open_policy(rest, facts.database.open_to)
    return [*found, *([depends] if depends and not found else [])]


def _reaches(rest: postgrest.Postgrest) -> list[Problem]:
    """Whether the endpoint answers to this key at all; a table that is not there yet is told by `tables`."""
    try:
        rest.select("whatsapp_auth", "company_id", {"company_id": postgrest.equals("0")})
    except HostError as error:
        return [problem for problem in error.problems if problem.code != "rest_table_missing"]
    return []
