"""The record when no key is copied: a move that is complete, and a store that is given up."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from . import values
from .aside import save_folder, save_rows
from .authority import DATABASE, FILES, Authority, Record, StateFile
from .database import Database
from .errors import AuthStateError, Problem
from .folder import open_folder
from .identity import identity_digest
from .manifest import Entry, Manifest, ManifestStore
from .names import CREDS, CREDS_FILE, Key
from .plan import count_by_type
from .reader import Reader
from .transfer import Result, Settings, current_authority, decide

_USUAL_SIZE = 1 << 14  # bytes of a creds.json
_TAKE_ALONG = "Take them along: ansible-playbook rollback.yml -e rollback_source=database"
_WAIT = "Where the bot can wait for the database, nothing is lost: ansible-playbook rollback.yml, once it is back"


class Handover:
    """One host's records. `database` may be None: then the host's own copy is written, and is the later one."""

    def __init__(self, settings: Settings, database: Database | None, store: str) -> None:
        self.settings, self.database, self.store = settings, database, store
        self.state = StateFile(settings.state_dir)
        self.manifests = ManifestStore(settings.state_dir)

    def settle(self, company_id: str) -> tuple[Result, bool]:
        """(the result, whether the record changed): the app runs on this store, which is the authority from now on."""
        result = Result(company_id)
        if self.settings.flag_store != self.store:
            raise AuthStateError(
                Problem(
                    "flag_against_record",
                    f"company {company_id}",
                    f"the flag in .env makes the app read the {self.settings.flag_store}, so the {self.store} cannot be"
                    " its store",
                    "Switch the flag first, with the app stopped",
                )
            )
        with self._transaction(company_id):
            found = self._authority(company_id)
            result.authority = replace(found, store=self.store)
            present = found.record
            if present is not None and (present.store, present.moving_to) == (self.store, None):
                self._write_state(company_id, present)
                return result, False
            record = result.authority.moved(None, self.settings.host, self.settings.timestamp)
            self._write(company_id, record)
        self._write_state(company_id, record)
        return result, True

    def abandon(self, company_id: str) -> tuple[Result, bool]:
        """(the result, whether anything changed): the other store is given up, with what it alone holds.

        That loses the keys the app has written there since, so it wants `accept_key_loss`, and the losing state is
        archived first. Nothing is copied.
        """
        result = Result(company_id)
        with self._transaction(company_id):
            found = self._authority(company_id)
            result.authority = found
            if self.store == FILES:
                result.identity = self._identity_of_files(company_id)
            if found.store == self.store:
                return result, False
            if self.store == FILES:
                self._check_same_login(company_id, result.identity)
            elif self.database is not None and not self.database.has_login(company_id):
                raise AuthStateError(
                    Problem(
                        "row_missing",
                        f"company {company_id}, table whatsapp_auth",
                        "it has no row of this login: started on the database, the app would make a new one",
                        "Stay on the files",
                    )
                )
            rows = self.database.digests(company_id) if self.database else {}
            files = self._files(company_id) if self.database else {}
            lost = self._lost(company_id, {key: row.digest for key, row in rows.items()}, files)
            if lost and not self.settings.accept_key_loss:
                raise AuthStateError(
                    Problem(
                        "key_loss",
                        f"company {company_id}",
                        f"in the {found.store} and not in the {self.store}: {lost}. Messages would not decrypt",
                        f"{_TAKE_ALONG if self.database else _WAIT}. To lose them all the same:"
                        " ansible-playbook rollback.yml -e rollback_source=files -e accept_key_loss=true",
                    )
                )
            if self.settings.check_mode:
                return result, True
            if lost and self.database and found.store == DATABASE:
                result.archived = str(save_rows(self.database, company_id, self.settings))
            elif lost and found.store == FILES:
                result.archived = str(save_folder(company_id, self.settings))
            record = found.moved(self.store, self.settings.host, self.settings.timestamp)
            self._write(company_id, record)
            if rows:
                # Should the run be cut off, or fail before the switch, the next way back may replace these files.
                self.manifests.placing(company_id, {**dict.fromkeys(rows, b""), **files})
                self._accept_rows(company_id, rows)
        self._write_state(company_id, record)
        return result, True

    def _transaction(self, company_id: str) -> AbstractContextManager[None]:
        return self.database.transfer(company_id) if self.database else nullcontext()

    def _authority(self, company_id: str) -> Authority:
        if self.database is not None:
            row_exists = self.database.has_login(company_id)
            return current_authority(self.settings, self.database, self.state, company_id, row_exists=row_exists)
        # Nobody can tell whether there is a row; the record or the flag decides.
        return decide(self.settings, self.state, company_id, self.state.record(company_id), row_exists=True)

    def _identity_of_files(self, company_id: str) -> str:
        """Raises AuthStateError where the app would make a new login: no loss of keys that is accepted means that."""
        folder = self.settings.folder(company_id)
        try:
            with open_folder(folder, self.settings.names) as opened:
                _data, creds = opened.read(CREDS_FILE, CREDS, _USUAL_SIZE)
            return identity_digest(values.load(creds))
        except (AuthStateError, FileNotFoundError, ValueError):
            raise AuthStateError(
                Problem(
                    "no_login",
                    str(folder / CREDS_FILE),
                    "it is missing or incomplete: started on these files, the app would make a new login",
                    "Take the login along: ansible-playbook rollback.yml -e rollback_source=database. Or restore a"
                    " backup: ansible-playbook rollback.yml -e rollback_source=backup",
                )
            ) from None

    def _check_same_login(self, company_id: str, identity: str) -> None:
        """Raises AuthStateError where the database has a login that was paired later: the files' one is dead then.

        One without an account or an identity is none: an app that found nothing has made it, or it is damaged.
        """
        if self.database is None or self.settings.conflict == FILES or not self.database.has_login(company_id):
            return
        if self.database.companies().get(company_id) and self.database.identity(company_id) not in (None, identity):
            raise AuthStateError(
                Problem(
                    "identity_changed",
                    f"company {company_id}",
                    "the database has another login than the files, with an account of its own: where the phone was"
                    " paired again since the move, WhatsApp knows the files' one no more",
                    "Take the login along: ansible-playbook rollback.yml -e rollback_source=database"
                    " -e auth_state_conflict=database. Only if the one in the files is the one that works, the same"
                    " again with -e auth_state_conflict=files",
                )
            )

    def _lost(self, company_id: str, rows: dict[Key, bytes], files: dict[Key, bytes]) -> str:
        """What the authority has and this store has not, for people; empty when nothing is."""
        if self.database is None:
            return "nobody knows how many, since the database cannot be reached"
        have, want = (rows, files) if self.store == DATABASE else (files, rows)
        base = self.manifests.load(company_id)
        apart = set(base.left_out) if base else set()
        keys = {key for key, digest in want.items() if have.get(key) != digest and key not in apart}
        return ", ".join(f"{number} {key_type}" for key_type, number in count_by_type(keys).items())

    def _files(self, company_id: str) -> dict[Key, bytes]:
        folder = self.settings.folder(company_id)
        if not folder.is_dir():
            return {}
        with open_folder(folder, self.settings.names) as opened:
            base = self.manifests.load(company_id)
            reader = Reader(opened, base.known() if base else None)
            reader.read_all()
        return {key: entry.digest for key, entry in reader.entries.items()}

    def _accept_rows(self, company_id: str, rows: dict) -> None:
        """The rows as they are now are accounted for: the next copy of the files may replace them."""
        base = self.manifests.load(company_id)
        entries = base.entries if base else {}
        accepted = {
            key: entries[key]
            if key in entries and entries[key].digest == row.digest
            else Entry(row.digest, None, None, row.expires_at)
            for key, row in rows.items()
        }
        left_out = base.left_out if base else {}
        identity = base.identity if base else ""
        self.manifests.prepare(Manifest(company_id, time.time(), identity, accepted, left_out))
        self.manifests.commit(company_id)

    def _write(self, company_id: str, record: Record) -> None:
        if self.database is not None and not self.settings.check_mode:
            self.database.write_record(company_id, record)

    def _write_state(self, company_id: str, record: Record) -> None:
        if not self.settings.check_mode:
            self.state.write(company_id, record)
