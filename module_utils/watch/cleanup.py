"""Old files of a login that the database has held for days: what would go, the archive of all of it, and the deletion.

Nothing goes but what the plan listed, and only while it is still the very file that was listed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..baileys_auth import consistency, info, values
from ..baileys_auth.archive import Backups
from ..baileys_auth.authority import DATABASE, StateFile, latest
from ..baileys_auth.database import Database
from ..baileys_auth.durable import sync_folder
from ..baileys_auth.errors import AuthStateError, Problem
from ..baileys_auth.folder import open_folder
from ..baileys_auth.manifest import ManifestStore, Signature
from ..baileys_auth.names import CREDS, LID_MAPPING
from ..baileys_auth.transfer import Settings

LID_MAPPINGS, ALL = "lid_mapping", "all"
LEFTOVERS = "leftovers"
_LASTING = {"session", "pre-key", "app-state-sync-key"}
_STAY = "Nothing was deleted. To see where the login stands: ansible-playbook status.yml"


@dataclass
class CompanyPlan:
    """What would go of one company. `files`: {name: (key type, its signature)}. `stays`: files that do not go."""

    files: dict[str, tuple[str, Signature]] = field(default_factory=dict)
    stays: int = 0
    backups: list[str] = field(default_factory=list)
    only_here: int = 0

    def by_type(self) -> dict[str, int]:
        """How many files of which type are to go."""
        return dict(sorted(Counter(key_type for key_type, _ in self.files.values()).items()))

    def gone(self, folder: Path) -> dict[str, int]:
        """How many of them have gone by now: fewer when something stopped it half way."""
        types = (key_type for name, (key_type, _) in self.files.items() if not os.path.lexists(folder / name))
        return dict(sorted(Counter(types).items()))


@dataclass(frozen=True)
class Rules:
    """What goes. `backup_days` and `backup_keep`: archives older than that go, but for so many newest."""

    scope: str
    backup_keep: int
    backup_days: float


def plan(settings: Settings, database: Database, companies: list[str], rules: Rules) -> dict[str, CompanyPlan]:
    """By company. Raises AuthStateError where files own a login, or where the database has not all of it."""
    problems = [problem for company in companies for problem in _objections(settings, database, company)]
    if problems:
        raise AuthStateError(problems)
    return {company: _plan(settings, database, company, rules) for company in companies}


def fingerprint(plans: dict[str, CompanyPlan]) -> str:
    """The digest of exactly these files and archives."""
    listed = [
        (company, sorted((name, *each) for name, each in one.files.items()), one.backups)
        for company, one in sorted(plans.items())
    ]
    return hashlib.sha256(repr(listed).encode()).hexdigest()


def _objections(settings: Settings, database: Database, company: str) -> list[Problem]:
    """Why no file of this login may go."""
    report = info.inspect(settings, database, [company], set())
    own = [problem for problem in report.problems if problem.code != "company_not_moved"]
    facts = report.companies[company]
    owner, rows = facts["authority"], facts["database"]
    where = f"company {company}"
    if own:
        return own
    if owner["store"] != DATABASE or owner["moving_to"] or owner["since"] is None:
        what = f"this login is in the {owner['store']} ({owner['evidence']})"
        return [Problem("files_own", where, what, f"Only old files of a login on the database go. {_STAY}")]
    if not rows["present"] or rows["identity"] is None:
        return [Problem("row_missing", where, "the database has no complete creds of this login", _STAY)]
    found = []
    if facts["files"]["identity"] not in (None, rows["identity"]):
        what = "the old files are another login than the one in the database: their identity differs"
        found.append(Problem("identity_changed", where, what, f"The files may be the ones that work. {_STAY}"))
    with database.transaction(snapshot=True):
        keys = database.digests(company)
        ((_, text),) = database.values(company, {CREDS}, len(keys))
    lacking = consistency.errors(values.load(text), keys)
    base = ManifestStore(settings.state_dir).load(company)
    moved = {key.type for key in (base.entries if base else ())} & _LASTING
    lacking += [f"all rows of type {each} are gone" for each in sorted(moved - {key.type for key in keys})]
    found += [
        Problem("database_incomplete", f"{where}, the database", each, f"Restore it first. {_STAY}") for each in lacking
    ]
    return found


def _plan(settings: Settings, database: Database, company: str, rules: Rules) -> CompanyPlan:
    made = CompanyPlan()
    folder = settings.folder(company)
    if folder.is_dir():
        with open_folder(folder, settings.names) as opened:
            listing = opened.list()
        for name, key in listing.files.items():
            if rules.scope == ALL or key.type == LID_MAPPING:
                made.files[name] = (key.type, listing.signatures[key])
        if rules.scope == ALL:
            for name in listing.leftovers:
                status = os.lstat(folder / name)
                if stat.S_ISREG(status.st_mode):
                    made.files[name] = (LEFTOVERS, Signature.of(status))
        made.stays = sum(1 for _ in os.scandir(folder)) - len(made.files)
        with database.transaction(snapshot=True):
            rows = database.digests(company)
        made.only_here = sum(key not in rows for name, key in listing.files.items() if name in made.files)
    before = datetime.fromtimestamp(settings.now, timezone.utc) - timedelta(days=rules.backup_days)
    made.backups = Backups(settings.backup_dir, company).expired(rules.backup_keep, before)
    return made


def delete(settings: Settings, database: Database, company: str, planned: CompanyPlan) -> int:
    """Remove what was planned; the number of files that are gone. The login cannot move meanwhile."""
    gone = 0
    with database.transfer(company):
        # The plan has looked at all of it a moment ago; from here on no other run can move the login.
        record = latest(database.record(company), StateFile(settings.state_dir).record(company))
        if record is None or (record.store, record.moving_to) != (DATABASE, None) or not database.has_login(company):
            raise AuthStateError(
                Problem("files_own", f"company {company}", "the login has just been moved by another run", _STAY)
            )
        if planned.files:
            gone = _unlink(settings.folder(company), planned)
    backups = Backups(settings.backup_dir, company)
    for name in planned.backups:
        backups.remove(name)
    return gone


def _unlink(folder: Path, planned: CompanyPlan) -> int:
    gone = 0
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # The creds last: a folder without them is no login any more, so one cut off half way still is what it was.
        for name in sorted(planned.files, key=lambda name: name == "creds.json"):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if Signature.of(status) != planned.files[name][1]:
                raise AuthStateError(
                    Problem(
                        "changed_meanwhile",
                        str(folder / name),
                        "it was written since it was listed, though the database holds this login",
                        f"Find what writes it (lsof +D {folder}). {gone} files are gone; all are in the archive",
                    )
                )
            try:
                os.unlink(name, dir_fd=descriptor)
            except OSError as error:
                remedy = f"See who owns the folder (ls -ld {folder}) and run again. {gone} files are gone"
                raise AuthStateError(
                    Problem("not_deleted", str(folder / name), f"it cannot be deleted: {error.strerror}", remedy)
                ) from None
            gone += 1
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not planned.stays and not os.listdir(folder):
        os.rmdir(folder)
        sync_folder(folder.parent)
    return gone


def facts(plans: dict[str, CompanyPlan]) -> dict[str, Any]:
    """By company, what may be shown: counts by type, and names of archives."""
    return {
        company: {
            "delete": one.by_type(),
            "files": len(one.files),
            "stays": one.stays,
            "only_in_files": one.only_here,
            "backups": one.backups,
        }
        for company, one in plans.items()
    }
