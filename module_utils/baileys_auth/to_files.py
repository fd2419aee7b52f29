"""Database -> files: the folder made equal to the rows, with exactly Baileys' names.

The new files are written beside the folder, on the same file system, and put in place by rename only while the
flag names the database, so that no app reads a folder that is half old. Rows past their expiry move as well:
the app reads them until its cleanup deletes them.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import consistency, values
from .aside import keep_files, save_folder
from .authority import DATABASE, FILES, Record
from .errors import AuthStateError, Problem
from .folder import open_folder
from .identity import identity_digest
from .manifest import Entry, Manifest, set_digest
from .names import CREDS, LID_MAPPING, Key, company_folder
from .plan import make_plan
from .reader import Reader
from .staging import Staging
from .to_database import differing
from .transfer import Result, Transfer, counts


class ToFiles(Transfer):
    """The way back. A killed run leaves each file old or new; the next run completes it."""

    source, destination = DATABASE, FILES

    def run(self, company_id: str) -> Result:
        result = Result(company_id)
        with self.database.transfer(company_id):
            record = _Run(self, company_id, result).copy()
        if record is not None:
            self.committed(company_id, record)
        return result


class _Run:
    """One company's way back, step by step."""

    def __init__(self, transfer: ToFiles, company_id: str, result: Result) -> None:
        self.transfer, self.company_id, self.result = transfer, company_id, result
        self.settings, self.database = transfer.settings, transfer.database
        self.folder = self.settings.folder(company_id)
        self.foreign = False
        self.staging = Staging(self.settings.state_dir / "staging" / company_folder(company_id), self.folder)
        with result.phase("database"):
            rows = self.database.digests(company_id)
            self.expiry = {key: row.expires_at for key, row in rows.items()}
            self.rows = {key: row.digest for key, row in rows.items()}
            self._check_rows()
            result.authority = transfer.authority(company_id, row_exists=True)
        self.base = transfer.base(company_id, self.rows)

    def copy(self) -> Record | None:
        """Everything up to the commit; None in check mode."""
        result = self.result
        with result.phase("read"):
            present = self.present = self._read(self.base.known() if self.base else None)
        spared = self._plan(present)
        self._check_loss(present)
        with result.phase("stage"):
            self._stage(present)
        self.transfer.check_identity(self.company_id, self.base, result.identity)
        result.keys = len(self.rows) - 1
        result.digest = set_digest(self.rows)
        if self.foreign:
            self._check_places()
        self.transfer.settle_conflicts(self.company_id, result.plan)
        if self.settings.check_mode:
            return None
        with result.phase("place"):
            if result.plan.conflicts and present:
                result.archived = str(save_folder(self.company_id, self.settings))
            self._place()
        with result.phase("verify"):
            placed = self._verify(spared)
        with result.phase("manifest"):
            self.transfer.prepare(self._manifest(placed, spared), self.base)
        assert result.authority is not None
        return self.transfer.record(self.company_id, result.authority)

    def _check_rows(self) -> None:
        """Every row must have a file of its own, and there must be a login."""
        names, where = self.settings.names, f"company {self.company_id}"
        if CREDS not in self.rows:
            raise AuthStateError(
                Problem(
                    "row_missing",
                    where,
                    "the database has no login of this company",
                    "Use the files as they are (rollback_source=files) or a backup (rollback_source=backup)",
                )
            )
        self.names, foreign = names.render_all(self.rows)
        if foreign:
            new = sorted({key.type for key in foreign} - names.types)
            raise AuthStateError(
                Problem(
                    "rows_foreign",
                    where,
                    f"rows that no file of Baileys' can hold: {counts(foreign)}",
                    "Where the original migration script has made them: ansible-playbook repair.yml"
                    + (f". Where a newer Baileys has: -e '{json.dumps({'auth_state_key_types': new})}'" if new else ""),
                )
            )

    def _read(self, known: Mapping[Key, Entry] | None) -> dict[Key, Entry]:
        """What the folder holds now. It is not the authority, so nothing in it can stop the way back."""
        if not self.folder.is_dir():
            return {}
        with open_folder(self.folder, self.settings.names) as folder:
            reader = Reader(folder, known)
            reader.read_all()
        unreadable = set(reader.listing.signatures) - reader.entries.keys()
        self.foreign = any(problem.code in ("unknown_files", "foreign") for problem in reader.problems)
        if self.foreign:
            self.result.warnings.append("the folder holds files that are not Baileys keys; they were left alone")
        return {**reader.entries, **{key: Entry(b"unreadable") for key in unreadable}}

    def _plan(self, present: dict[Key, Entry]) -> set[Key]:
        """Plan the changes. Returns the files that stay although no row has them: the TTL rule's."""
        now, base = time.time(), self.base
        entries = base.entries if base else {}
        left_out = base.left_out if base else {}
        gone = {
            key
            for key, entry in entries.items()
            if entry.expires_at is not None and entry.expires_at <= now and key not in self.rows
        }
        spared = {key for key in (*left_out, *gone) if key in present and key not in self.rows}
        known = {key: entry.digest for key, entry in (*left_out.items(), *entries.items())}
        self.result.plan = make_plan(
            self.rows, {key: entry.digest for key, entry in present.items()}, known if base else None, spared
        )
        self.result.plan.conflicts &= present.keys()  # where a file is gone, as after a cleanup, none is written over
        placed = self.transfer.manifests.placed(self.company_id)
        self.result.plan.conflicts -= {
            key for key in self.result.plan.conflicts if (key, _digest(present, key)) in placed
        }
        return spared

    def _check_loss(self, present: dict[Key, Entry]) -> None:
        """A database that has lost a whole type of keys is no reason to remove the files of them, unless chosen."""
        gone = consistency.gone(self.base.entries if self.base else present, self.rows)
        if gone and self.settings.conflict != DATABASE:
            raise AuthStateError(
                Problem(
                    "rows_gone",
                    f"company {self.company_id}, table whatsapp_keys",
                    f"every row of type {', '.join(gone)} is gone: to copy that back would remove the files as well",
                    "Bring the rows back if there is a backup of the database. The files are as they were at the move:"
                    " ansible-playbook rollback.yml -e rollback_source=files -e accept_key_loss=true. To take the"
                    " database as it is: ansible-playbook rollback.yml -e auth_state_conflict=database",
                )
            )

    def _stage(self, present: dict[Key, Entry]) -> None:
        """Write what differs beside the folder. A row that another program spelt in its own way is no difference."""
        plan, result = self.result.plan, self.result
        if not self.settings.check_mode:
            self.staging.clear()
        wanted = plan.added | plan.changed | {CREDS}
        for key, text in self.database.values(self.company_id, wanted, len(self.rows)):
            try:
                canonical = values.canonical(text, key.type)
            except values.ValueRefusedError as refused:
                raise AuthStateError(
                    Problem(
                        "value_refused",
                        f"company {self.company_id}, table whatsapp_keys, type {key.type}",
                        f"a row's value cannot be written as Baileys reads it: {refused}",
                        "Delete the row if the app does not need it, or restore it from a backup",
                    )
                ) from None
            if key == CREDS:
                self._read_creds(values.load(canonical))
            self.rows[key] = values.digest(canonical)
            if key in present and present[key].digest == self.rows[key]:
                plan.changed.discard(key)
                plan.conflicts.discard(key)
                plan.unchanged.add(key)
            elif not self.settings.check_mode:
                result.bytes += self.staging.write(
                    self.names[key], values.to_file(canonical), self._learnt(key, self.rows[key])
                )

    def _read_creds(self, creds: dict[str, Any]) -> None:
        try:
            self.result.identity = identity_digest(creds)
        except ValueError as error:
            raise AuthStateError(
                Problem(
                    "creds_foreign",
                    f"company {self.company_id}, table whatsapp_auth",
                    f"these are no creds of a login: {error}",
                    "Use the files as they are (rollback_source=files) or a backup (rollback_source=backup)",
                )
            ) from None
        # The files get what the app has: no reason to keep it from going back.
        self.result.warnings += consistency.errors(creds, self.rows.keys())

    def _learnt(self, key: Key, digest: bytes) -> int | None:
        """The mtime that a lid-mapping's file had, or that its row's expiry speaks of: the TTL rule counts from it."""
        if key.type != LID_MAPPING:
            return None
        before = self.base.find(key) if self.base else None
        if before is not None and before.signature is not None and before.digest == digest:
            return before.signature.mtime_ns
        expiry = self.expiry[key]
        return None if expiry is None else max(0, round((expiry - self.settings.lid_mapping_ttl) * 1e9))

    def _check_places(self) -> None:
        """A folder of somebody's where a file belongs would stop the copy half way."""
        for key in self.result.plan.added:
            path = self.folder / self.names[key]
            if path.is_dir() and not path.is_symlink():
                raise AuthStateError(
                    Problem("foreign", str(path), "it is a folder, where a key belongs", "Move it out of the folder")
                )

    def _place(self) -> None:
        plan = self.result.plan
        if plan.changes:
            new = {key: self.rows[key] for key in plan.added | plan.changed}
            self.transfer.manifests.placing(self.company_id, {**new, **dict.fromkeys(plan.removed, b"")})
        used, kept = [], []
        for key in plan.removed:  # a pre-key goes when it was used; for anything else there may be a need one day
            (used if key.type == "pre-key" else kept).append(self.settings.names.render(key))
        with _unhurried():
            self.staging.place(used)
            aside = self.settings.state_dir / "aside" / "removed" / self.folder.name
            keep_files([self.folder / name for name in kept], aside)

    def _verify(self, spared: set[Key]) -> dict[Key, Entry]:
        """Read back what is in the folder now, and hold it against the rows."""
        placed = self._read(self.present)  # what was just read, and the new files
        wrong = differing({key: entry for key, entry in placed.items() if key not in spared}, self.rows)
        if wrong:
            raise AuthStateError(
                Problem(
                    "verification_failed",
                    str(self.folder),
                    f"after the copy the files differ from the database: {counts(wrong)}",
                    "Something else writes into this folder: find it (lsof +D), stop it and run again",
                )
            )
        self.result.verified = True
        return placed

    def _manifest(self, placed: dict[Key, Entry], spared: set[Key]) -> Manifest:
        return Manifest(
            self.company_id,
            self.settings.now,
            self.result.identity,
            {key: placed[key].until(self.expiry[key]) for key in self.rows},
            {key: placed[key] for key in spared},
        )


@contextmanager
def _unhurried() -> Iterator[None]:
    """Files are put in place all or none: a deadline that falls into it ends the run right behind it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _digest(entries: Mapping[Key, Entry], key: Key) -> bytes:
    """Of the file of this key; b"" where there is none."""
    return entries[key].digest if key in entries else b""
