"""A login's misplaced rows put right in the database: one transaction per company, archived first, verified after.

The app may run meanwhile. It asks for the right keys alone, so it neither reads nor writes a misplaced row; what it has
written under a right key wins, also when it does so while this runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import authority
from .aside import save_rows
from .authority import StateFile
from .database import Database
from .errors import AuthStateError, Problem
from .names import CREDS, LID_MAPPING, Key
from .plan import count_by_type
from .retype import Repair, make_repair, misplaced
from .transfer import Settings, current_authority


@dataclass(frozen=True)
class Outcome:
    """`archived`: the rows as they were, one JSON line each; None when nothing changed. `rows`: how many there are."""

    repair: Repair
    rows: int
    archived: str | None

    def as_dict(self) -> dict[str, Any]:
        reasons = sorted(set(self.repair.left.values()))
        return {
            "actions": self.repair.by_type(),
            "rows": self.rows,
            "archived": self.archived,
            "left": [f"{_of(self.repair, reason)}: {reason}" for reason in reasons],
        }


def repair(settings: Settings, database: Database, company_id: str) -> Outcome:
    """Put one login's rows right, or in check mode only say what would be. Raises AuthStateError."""
    with database.transfer(company_id):
        rows = database.digests(company_id)
        _check_owner(settings, database, company_id, row_exists=CREDS in rows)
        keys = {key for key in rows if key != CREDS}
        wrong = {key for key in keys if misplaced(key, settings.names)}
        texts = dict(database.values(company_id, wrong, len(keys))) if wrong else {}
        found = make_repair({key: rows[key].expires_at is not None for key in keys}, texts, settings.names)
        if settings.check_mode or not found.changes:
            return Outcome(found, len(keys), None)
        archived = str(save_rows(database, company_id, settings))
        _change(database, company_id, found, {key: rows[key].expires_at for key in keys})
        now = database.digests(company_id)
        _verify(company_id, found, {key: row.digest for key, row in rows.items()}, now)
        return Outcome(found, len(now) - (CREDS in now), archived)


def _check_owner(settings: Settings, database: Database, company_id: str, *, row_exists: bool) -> None:
    """Only a login that the app reads from the database is put right there."""
    if not row_exists:
        raise AuthStateError(
            Problem(
                "row_missing",
                f"company {company_id}",
                "whatsapp_auth has no row of it, so there is no login to repair in the database",
                "Name the right company, or migrate its files: deploy.yml for this host",
            )
        )
    found = current_authority(settings, database, StateFile(settings.state_dir), company_id, row_exists=row_exists)
    if found.store != authority.DATABASE:
        raise AuthStateError(
            Problem(
                "files_own",
                f"company {company_id}",
                f"its files hold the login ({found.evidence}), and they are whole: nothing has to be repaired",
                "Migrate them over these rows, which are archived first: deploy.yml for this host, with"
                " -e auth_state_conflict=files",
            )
        )


def _change(database: Database, company_id: str, found: Repair, expires: dict[Key, float | None]) -> None:
    with database.stage(company_id) as stage:
        for wrong, (right, value) in found.retyped.items():
            stage.add(right, value, expires[wrong] if right.type == LID_MAPPING else None)
    database.add_missing(company_id)
    database.delete(company_id, found.retyped.keys() | found.superseded)
    if found.unexpired:
        database.keep(company_id, found.unexpired)


def _verify(company_id: str, found: Repair, before: dict[Key, bytes], now: dict[Key, Any]) -> None:
    """Every misplaced row that was understood is gone, its right one is there, and what was left is as it was.

    The right rows are the app's, which may write one while this runs, and removes a pre-key that was used.
    """
    gone = found.retyped.keys() | found.superseded
    wrong = {key for key in gone if key in now}
    wrong |= {right for right, _value in found.retyped.values() if right not in now}
    wrong |= {key for key in found.left if key not in now or now[key].digest != before[key]}
    if wrong:
        raise AuthStateError(
            Problem(
                "verification_failed",
                f"company {company_id}",
                f"after the repair these rows are not as they should be: {_counts(wrong)}",
                "Nothing was kept, the transaction was rolled back. Look for triggers and rules on the two tables",
            )
        )


def diff(companies: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Counts by type, for --diff."""
    before, after = [], []
    for company, facts in companies.items():
        for key_type, count in facts["actions"].items():
            line = f"company {company} {key_type}: {{}} misplaced, {{}} with an expiry that must not be\n"
            placed = count["retyped"] + count["superseded"]
            before.append(line.format(placed + count["left"], count["unexpired"]))
            after.append(line.format(count["left"], 0))
    return {"before": "".join(before), "after": "".join(after)}


def _of(found: Repair, reason: str) -> str:
    return _counts({key for key, why in found.left.items() if why == reason})


def _counts(keys: set[Key]) -> str:
    return ", ".join(f"{number} {key_type}" for key_type, number in count_by_type(keys).items())
