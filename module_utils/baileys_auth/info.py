"""What is where: the files, the rows, the manifest and the record of each login, and whether they agree."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import consistency, values
from .authority import DATABASE, FILES, StateFile, latest
from .database import Database, Row
from .errors import AuthStateError, Problem
from .folder import open_folder
from .manifest import Entry, Manifest, ManifestStore, set_digest
from .names import CREDS, LID_MAPPING, Key
from .names import company_id as canonical_company_id
from .plan import count_by_type
from .reader import Reader
from .transfer import Settings, current_authority, decide

_FOLDER = "company_"


@dataclass
class Report:
    """Everything found. `problems` stand in the way of moving the named logins; `warnings` do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    companies: dict[str, dict[str, Any]] = field(default_factory=dict)
    other_companies: list[str] = field(default_factory=list)
    stats: dict[str, int] | None = None
    tables: dict[str, dict[str, Any]] | None = None
    cron_jobs: list[dict[str, Any]] | None = None


def inspect(settings: Settings, database: Database | None, company_ids: list[str], excluded: set[str]) -> Report:
    """Look at each login; nothing is written. Without a database only the files are looked at."""
    report = Report()
    try:
        found = folders(settings.sessions_dir)
    except AuthStateError as error:
        report.problems += error.problems
        found = []
    wanted = company_ids or [company for company in found if company not in excluded]
    accounts: dict[str, str] = {}
    state = StateFile(settings.state_dir)
    for company in wanted:
        _inspect_company(settings, database, state, company, report, accounts)
    for company in sorted(set(found) - set(wanted) - excluded):
        report.other_companies.append(company)
        if not _moved(database, state, company):
            report.problems.append(_not_moved(settings, company))
    if database is not None:
        with database.transaction(snapshot=True):
            with suppress(LookupError):
                report.stats = database.stats()
            report.tables, report.cron_jobs = database.dashboard()
            known = database.companies().keys() & excluded
        report.problems += [
            _row_of_excluded(company) for company in sorted(known) if not _moved(database, state, company)
        ]
    return report


def folders(sessions_dir: Path) -> list[str]:
    """The companies that have a folder, as the app scans for them.

    Raises AuthStateError when there is nothing to scan.
    """
    if not sessions_dir.is_dir():
        raise AuthStateError(
            Problem(
                "sessions_missing",
                str(sessions_dir),
                "there is no such folder",
                "Check app_dir and auth_state_sessions_dir",
            )
        )
    found = []
    for path in sorted(sessions_dir.glob(f"{_FOLDER}*")):
        with suppress(ValueError):
            found.append(canonical_company_id(path.name))
    return found


def _inspect_company(
    settings: Settings,
    database: Database | None,
    state: StateFile,
    company: str,
    report: Report,
    accounts: dict[str, str],
) -> None:
    rows: dict[Key, Row] = {}
    respelt: set[Key] = set()
    facts: dict[str, Any] = {"database": None}
    owner = None
    manifests = ManifestStore(settings.state_dir)
    manifest = manifests.load(company)
    if database is not None:
        with database.transaction(snapshot=True):
            rows = database.digests(company)
            pending = manifests.load_next(company)
            if pending is not None and pending.digests() == {key: row.digest for key, row in rows.items()}:
                manifest = pending
            try:
                owner = current_authority(settings, database, state, company, row_exists=CREDS in rows)
            except AuthStateError as error:
                report.problems += error.problems
            facts["database"] = _rows(database, company, rows)
            if manifest is not None and owner is not None and owner.store == FILES:
                respelt = _respelt(database, company, rows, manifest)
    else:
        with suppress(AuthStateError):
            owner = decide(settings, state, company, state.record(company), row_exists=False)
    files_own = owner is None or owner.store == FILES
    entries, facts["files"] = _files(settings, company, manifest, report, accounts, files_own)
    facts["authority"] = {
        "store": owner.store if owner else None,
        "evidence": owner.evidence if owner else None,
        "moving_to": owner.moving_to if owner else None,
        "since": owner.record.since if owner and owner.record else None,
        "host": owner.record.host if owner and owner.record else None,
    }
    facts["manifest"] = (
        {"made_at": manifest.made_at, "keys": len(manifest.entries) - 1, "left_out": len(manifest.left_out),
         "digest": manifest.set_digest()}
        if manifest
        else None
    )  # fmt: skip
    facts["differences"] = _differences(entries, rows, manifest) if database is not None else {}
    facts["since_transfer"] = None
    if manifest is not None:
        files, written = _since_transfer(entries, rows, manifest)
        placed = manifests.placed(company)
        facts["since_transfer"] = {
            "files": sum((key, entries[key].digest) not in placed for key in files),
            "rows": len(written - respelt) if database is not None else 0,
        }
    facts["agree"] = not facts["differences"] if database is not None and entries and rows else None
    report.companies[company] = facts


def _files(
    settings: Settings,
    company: str,
    manifest: Manifest | None,
    report: Report,
    accounts: dict[str, str],
    files_own: bool,
) -> tuple[dict[Key, Entry], dict[str, Any]]:
    folder = settings.folder(company)
    try:
        with open_folder(folder, settings.names) as opened:
            reader = Reader(opened, manifest.known() if manifest else None)
            reader.read_all()
    except AuthStateError as error:
        if files_own:
            report.problems += error.problems
        return {}, {"present": False, "count": 0, "by_type": {}, "leftovers": [], "identity": None, "digest": None}
    problems = list(reader.problems)
    problems += [
        Problem("inconsistent", str(folder), each, "Restore the folder from a backup that has it")
        for each in consistency.errors(reader.creds, reader.entries.keys())
    ]
    twin = accounts.setdefault(reader.account, company) if reader.account else company
    if twin != company:
        problems.append(
            Problem(
                "login_twice",
                str(folder),
                f"the same account (creds.me.id) is company {twin}'s as well",
                "Two processes would open one login: move the folder that is not in use away",
            )
        )
    if files_own:
        report.problems += problems
        mappings = {key.id: entry.partner or "" for key, entry in reader.entries.items() if key.type == LID_MAPPING}
        report.warnings += [
            f"company {company}: {each}"
            for each in consistency.warnings(reader.creds, reader.entries.keys(), mappings, reader.tc_token_index)
        ]
    elif problems:
        report.warnings.append(f"company {company}: its old files are no whole login any more")
    return reader.entries, {
        "present": True,
        "count": len(reader.listing.files),
        "by_type": count_by_type(reader.entries),
        "leftovers": reader.listing.leftovers,
        "identity": reader.identity or None,
        "digest": set_digest({key: entry.digest for key, entry in reader.entries.items()}),
    }


def _rows(database: Database, company: str, rows: dict[Key, Row]) -> dict[str, Any]:
    now = time.time()
    expiring = [row.expires_at for row in rows.values() if row.expires_at is not None]
    return {
        "present": CREDS in rows,
        "count": sum(key != CREDS for key in rows),
        "by_type": count_by_type([key for key in rows if key != CREDS]),
        "expired": sum(expiry <= now for expiry in expiring),
        "expired_for": round(max(0.0, now - min(expiring, default=now)), 1),
        "expiring_types": sorted({key.type for key, row in rows.items() if row.expires_at is not None}),
        "identity": database.identity(company) if CREDS in rows else None,
        "digest": set_digest({key: row.digest for key, row in rows.items()}),
    }


def _since_transfer(entries: dict[Key, Entry], rows: dict[Key, Row], manifest: Manifest) -> tuple[set[Key], set[Key]]:
    """The files and the rows that are not as the last transfer left them.

    Files that are gone are not among them, as a cleanup takes them; nor are rows that their TTL removed.
    """
    now = time.time()
    files, kept = manifest.known(), manifest.entries
    aged = {key for key, entry in kept.items() if entry.expires_at is not None and entry.expires_at <= now}
    gone = kept.keys() - rows.keys() - aged
    return (
        {key for key, entry in entries.items() if entry.digest != _digest(files, key)},
        gone | {key for key, row in rows.items() if row.digest != _digest(kept, key)},
    )


def _respelt(database: Database, company: str, rows: dict[Key, Row], manifest: Manifest) -> set[Key]:
    """The rows that say what the files got of them in a spelling of the app's own (1.50, a Buffer as an array)."""
    known = manifest.digests()
    differ = {key for key, row in rows.items() if key in known and row.digest != known[key]}
    texts = database.values(company, differ, len(rows))
    return {key for key, text in texts if values.digest_of(text, key.type) == known[key]}


def _digest(entries: dict[Key, Entry], key: Key) -> bytes | None:
    entry = entries.get(key)
    return entry.digest if entry else None


def _differences(
    entries: dict[Key, Entry], rows: dict[Key, Row], manifest: Manifest | None
) -> dict[str, dict[str, int]]:
    """{key type: {files_only, database_only, different}}, the mappings that the TTL rule keeps apart not counted."""
    now = time.time()
    apart = set(manifest.left_out) if manifest else set()
    apart |= {
        key
        for key, entry in (manifest.entries.items() if manifest else ())
        if entry.expires_at is not None and entry.expires_at <= now
    }
    groups = {
        "files_only": [key for key in entries if key not in rows and key not in apart],
        "database_only": [key for key in rows if key not in entries],
        "different": [key for key, entry in entries.items() if key in rows and rows[key].digest != entry.digest],
    }
    found: dict[str, dict[str, int]] = {}
    for name, keys in groups.items():
        for key_type, count in count_by_type(keys).items():
            found.setdefault(key_type, dict.fromkeys(groups, 0))[name] = count
    return found


def _moved(database: Database | None, state: StateFile, company: str) -> bool:
    record = state.record(company)
    if database is not None:
        with database.transaction(snapshot=True):
            record = latest(record, database.record(company))
    return record is not None and record.store == DATABASE


def _row_of_excluded(company: str) -> Problem:
    return Problem(
        "row_of_excluded",
        f"company {company}",
        "it is excluded, and yet the database has a login of it that no migration on record put there:"
        " with the flag on, the app takes it, or has made it anew, instead of the one in the folder",
        f"With the flag off, delete that row. Or add company {company} to company_ids, with auth_state_conflict=files",
    )


def _not_moved(settings: Settings, company: str) -> Problem:
    remedy = (
        f"Add company {company} to company_ids, or exclude it by name with a reason in auth_state_excluded_companies"
    )
    if settings.flag_store == DATABASE:  # which is one for all: then no single one can be moved
        remedy += ". Before it is added, take the others back: ansible-playbook rollback.yml"
    return Problem(
        "company_not_moved",
        str(settings.sessions_dir / f"{_FOLDER}{company}"),
        "it is a login too, and with the flag on the app would find no row of it and make a new one",
        remedy,
    )
