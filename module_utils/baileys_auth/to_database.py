"""Files -> database: the rows made equal to the files, but for the lid-mappings that the TTL rule leaves out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from . import consistency, lid_mapping, values
from .archive import Archive, Backups
from .aside import save_rows
from .authority import DATABASE, FILES, Record
from .database import Database, Row, Stage
from .errors import AuthStateError, Problem
from .folder import Folder, Listing, open_folder
from .manifest import Entry, Manifest, set_digest
from .names import CREDS, LID_MAPPING, Key
from .names import company_id as canonical_company_id
from .plan import make_plan
from .reader import Reader
from .transfer import MOVE, RehearsalError, Result, Settings, Transfer, counts


class ToDatabase(Transfer):
    """One transaction per company, verified inside it: the database holds the old state or the new one, whole."""

    source, destination = FILES, DATABASE

    def __init__(self, settings: Settings, database: Database, listings: Mapping[str, Listing] | None = None) -> None:
        """`listings`: of the folders of companies, by id, as they are; those that are not there are made."""
        super().__init__(settings, database)
        self.listings = listings or {}
        self._logins: dict[str, str | None] | None = None

    def logins(self) -> dict[str, str | None]:
        """{company id: the account's own jid} of the rows that there were and of the folders read since."""
        if self._logins is None:
            self._logins = self.database.companies()
        return self._logins

    def run(self, company_id: str) -> Result:
        if self.settings.authority == MOVE and not self.settings.check_mode:
            # While the app is stopped each second counts. The verification asks for every row anyway, and tells.
            with suppress(_OtherRowsError):
                return self._run(company_id, rows_as_copied=True)
        return self._run(company_id, rows_as_copied=False)

    def _run(self, company_id: str, *, rows_as_copied: bool) -> Result:
        result = Result(company_id)
        try:
            with (
                open_folder(self.settings.folder(company_id), self.settings.names) as folder,
                self.database.transfer(company_id),
            ):
                record = _Run(self, company_id, folder, result, rows_as_copied).copy()
        except RehearsalError:
            return result
        self.committed(company_id, record)
        return result


class _OtherRowsError(Exception):
    """Ends the transaction of a copy that took the rows for those of the last copy, and they are not."""


class _Run:
    """One company's copy, step by step. `rows_as_copied`: take the rows for what the last copy has left."""

    def __init__(
        self, transfer: ToDatabase, company_id: str, folder: Folder, result: Result, rows_as_copied: bool
    ) -> None:
        self.transfer, self.company_id, self.result = transfer, company_id, result
        self.rows_as_copied = rows_as_copied
        self.settings, self.database = transfer.settings, transfer.database
        with result.phase("database"):
            self.rows = self._rows()
            result.authority = transfer.authority(company_id, row_exists=CREDS in self.rows)
        self.base = transfer.base(company_id, {key: row.digest for key, row in self.rows.items()})
        # One "now" per rollout: the last copy judges the mappings by the time of the pre-copy.
        follows = self.base is not None and self.settings.authority == MOVE
        self.now = self.base.made_at if self.base and follows else self.settings.now
        with result.phase("read"):
            known, listing = self.base.known() if self.base else None, transfer.listings.get(company_id)
            # Rows as they were copied have the value of every file that did not change since.
            self.reader = Reader(folder, known, None if self.rows_as_copied else self._value_needed, listing)
        self.judged = self.base if follows else None
        self.expiries: dict[str, float | None] = {}  # by the id of a lid-mapping
        self.left_out: set[Key] = set()
        self.expiring: set[Key] = set()
        self.creds = b""
        self.backups = Backups(self.settings.backup_dir, company_id)
        self.largest: tuple[Key, bytes] | None = None

    def copy(self) -> Record:
        """Everything up to the commit. Raises RehearsalError in check mode, where the first change would be made."""
        result, transfer = self.result, self.transfer
        with result.phase("read"):
            waiting = self._read()
        self._check_login()
        self._plan()
        if self.settings.check_mode:
            with result.phase("rehearse"):
                self._rehearse()
            raise RehearsalError
        with result.phase("merge"):
            self._merge(waiting=waiting)
        with result.phase("verify"):
            self._verify()
        with result.phase("manifest"):
            transfer.prepare(self._manifest(), self.base)
        assert result.authority is not None
        return transfer.record(self.company_id, result.authority)

    def _rows(self) -> dict[Key, Row]:
        """What the database holds: as the last manifest has it, when the server says that nothing has changed since."""
        last = self.transfer.manifests.load(self.company_id)
        self.rows_as_copied &= last is not None
        if last is None or not (self.rows_as_copied or self.database.set_digest(self.company_id) == last.set_digest()):
            return self.database.digests(self.company_id)
        expiries = self.database.expiries(self.company_id)
        return {key: Row(entry.digest, expiries.get(key)) for key, entry in last.entries.items()}

    # Reading: each file that is needed once, straight into COPY

    def _value_needed(self, key: Key, digest: bytes) -> bool:
        """Whether an unchanged file must be read all the same, because its row is not there or differs."""
        row = self.rows.get(key)
        known_out = self.base is not None and key in self.base.left_out
        return not known_out and (row is None or row.digest != digest)

    def _read(self) -> bool:
        """Read the folder; what the database lacks goes there on the way. Returns whether it has to be merged."""
        reader, result = self.reader, self.result
        mappings: dict[Key, bytes] = {}
        with ExitStack() as stack:
            archive = self._begin_backup(stack) if self.settings.backup else None
            reader.read_mappings(lambda key, canonical, _entry: mappings.update({key: canonical}))
            self._judge_mappings(mappings)
            stage = None if self.settings.check_mode else stack.enter_context(self._open_stage())
            for key, canonical in mappings.items():
                if key not in self.left_out:
                    self._stage(stage, key, canonical, reader.entries[key])
            reader.read_others(lambda key, canonical, entry: self._stage(stage, key, canonical, entry))
            reader.check()
            if self.settings.check_mode and result.backed_up:
                result.backed_up = not self.backups.counts(result.backup, reader)
            if archive is not None:
                made, newest = archive.finish(), result.backup
                result.backup, result.backed_up = self.backups.keep(made, newest, self.settings.backup_keep)
            elif self.settings.backup and self.settings.check_mode:
                result.backed_up = not self.backups.counts(result.backup, reader)
        return stage is not None and stage.waiting

    def _open_stage(self) -> Stage:
        return self.database.stage(self.company_id, first=not self.rows and self.base is None)

    def _begin_backup(self, stack: ExitStack) -> Archive | None:
        """A new archive of every file on the way past; None where the newest holds the same, and in check mode."""
        reader, result = self.reader, self.result
        reader.check()  # what the listing alone shows, before anything is written
        newest = result.backup = self.backups.newest()
        known = set_digest(reader.known_digests()) if newest is not None and reader.unchanged() else ""
        if newest is not None and newest.digest == known and self.backups.intact(newest):
            return None
        if self.settings.check_mode:
            return None
        return stack.enter_context(self.backups.write(reader, self.settings.now))

    def _judge_mappings(self, read: dict[Key, bytes]) -> None:
        """The TTL rule. A mapping that is past its TTL but has its row (aged since) is left as it is."""
        reader = self.reader
        if not read and self.judged is not None and self._judges_the_same(self.judged):
            self.left_out |= self.judged.left_out.keys()
            entries = self.judged.entries.items()
            self.expiries = {key.id: entry.expires_at for key, entry in entries if key.type == LID_MAPPING}
            return
        latest = time.time_ns()  # a clock that was wrong must not make a mapping live for years
        learnt = {
            key.id: lid_mapping.Learnt(
                entry.partner or "", max(0, min(reader.listing.signatures[key].mtime_ns, latest))
            )
            for key, entry in reader.entries.items()
            if key.type == LID_MAPPING
        }
        users = lid_mapping.session_users(reader.listing.files.values())
        verdicts = lid_mapping.judge(learnt, users, self.now, self.settings.lid_mapping_ttl)
        for key_id, verdict in verdicts.items():
            key = Key(LID_MAPPING, key_id)
            self.expiries[key_id] = verdict.expires_at
            if verdict.aged and key not in self.rows:
                self.left_out.add(key)
        # Left out before, and wanted now because its user has a session since: its value was not read yet.
        again = [
            key
            for key in reader.entries
            if key.type == LID_MAPPING and key not in read and key not in self.left_out and key not in self.rows
        ]
        names = {key: name for name, key in reader.listing.files.items()} if again else {}
        reader.read(
            [names[key] for key in again],
            lambda key, canonical, _entry: read.update({key: canonical}),
            trust=False,
        )

    def _judges_the_same(self, before: Manifest) -> bool:
        """Whether nothing that the rule looks at has changed since the copy that made this manifest.

        None of the mappings was, else it would have been read. While the app is stopped each second counts.
        """
        files = self.reader.listing.files.values()
        return (
            before.lid_mapping_ttl == self.settings.lid_mapping_ttl
            and lid_mapping.asked_of(files) == lid_mapping.asked_of(before.known())
            and self.rows.keys().isdisjoint(before.left_out)
        )

    def _expiry(self, key: Key) -> float | None:
        return self.expiries[key.id] if key.type == LID_MAPPING else None

    def _must_live(self, key: Key) -> bool:
        """Whether a row must lose its expiry: its user has a session since, or somebody else put it there."""
        return key in self.result.plan.unchanged and self._expiry(key) is None

    def _stage(self, stage: Stage | None, key: Key, canonical: bytes, entry: Entry) -> None:
        if key == CREDS:
            self.creds = canonical
            return
        row = self.rows.get(key)
        if row is not None and row.digest == entry.digest:
            return
        if stage is not None:
            stage.add(key, canonical, self._expiry(key))
        elif self.largest is None or len(canonical) > len(self.largest[1]):
            self.largest = key, canonical

    # Checking and planning

    def _check_login(self) -> None:
        """What must hold of the login as a whole."""
        reader, company_id = self.reader, self.company_id
        problems = [
            Problem("inconsistent", str(reader.folder.path), each, "Restore the folder from a backup that has it")
            for each in consistency.errors(reader.creds, reader.entries.keys())
        ]
        for elsewhere, account in self.transfer.logins().items():
            if elsewhere == company_id:
                continue
            if _same_company(elsewhere, company_id):
                problems.append(_twice(company_id, "the database knows it under a second spelling of its id"))
            elif account is not None and account == reader.account:
                problems.append(_twice(company_id, f"company {elsewhere} has the same account (creds.me.id)"))
        self.transfer.logins()[company_id] = reader.account
        if problems:
            raise AuthStateError(problems)
        partners = {key.id: entry.partner or "" for key, entry in reader.entries.items() if key.type == LID_MAPPING}
        self.transfer.check_identity(company_id, self.base, reader.identity)
        self.result.warnings += consistency.warnings(
            reader.creds, reader.entries.keys(), partners, reader.tc_token_index
        )

    def _plan(self) -> None:
        result, reader, now = self.result, self.reader, time.time()
        self.kept = {key: entry for key, entry in reader.entries.items() if key not in self.left_out}
        digests = {key: entry.digest for key, entry in self.kept.items()}
        rows = {key: row.digest for key, row in self.rows.items()}
        plan = result.plan = make_plan(
            digests,
            rows,
            self.base.digests() if self.base else None,
            self.left_out,
            not_missed={key for key, entry in (self.base.entries if self.base else {}).items() if _expired(entry, now)},
        )
        self.expiring = {key for key, row in self.rows.items() if row.expires_at is not None and self._must_live(key)}
        plan.unchanged -= self.expiring
        plan.changed |= self.expiring
        self._confirm_conflicts(plan.conflicts)
        result.keys, result.bytes = len(digests) - 1, reader.bytes_read
        result.identity, result.digest = reader.identity, set_digest(digests)
        self.transfer.settle_conflicts(self.company_id, plan)

    def _confirm_conflicts(self, conflicts: set[Key]) -> None:
        """A row that another program spelt in its own way (1.50, a Buffer as an array) is no change."""
        if not (conflicts and self.base):
            return
        for key, text in self.database.values(self.company_id, conflicts & self.rows.keys(), len(self.rows)):
            before = self.base.entries.get(key)
            if before is not None and values.digest_of(text, key.type) == before.digest:
                conflicts.discard(key)

    # Changing

    def _merge(self, *, waiting: bool) -> None:
        plan = self.result.plan
        if self.rows_as_copied and self._written_since(plan.added | plan.changed | plan.removed):
            raise _OtherRowsError
        if plan.conflicts:
            self.result.archived = str(save_rows(self.database, self.company_id, self.settings))
        if plan.removed:
            self.database.delete(self.company_id, plan.removed)
        if CREDS in plan.added or CREDS in plan.changed:
            self.database.write_creds(self.company_id, self.creds)
        if waiting:
            self.database.merge(self.company_id)
        if self.expiring:
            self.database.keep(self.company_id, self.expiring)

    def _written_since(self, keys: set[Key]) -> bool:
        """Whether somebody else has written these rows since the last copy: the verification would not see it."""
        return any(
            key not in self.rows or values.digest_of(text, key.type) != self.rows[key].digest
            for key, text in self.database.values(self.company_id, keys, len(self.rows))
        )

    def _rehearse(self) -> None:
        """Try the largest value on the real table, whose indexes may not take it; the transaction is rolled back."""
        plan = self.result.plan
        if not self.database.has_tables():
            return
        if CREDS in plan.added or CREDS in plan.changed:
            self.database.write_creds(self.company_id, self.creds)
        if self.largest is not None:
            key, canonical = self.largest
            with self.database.stage(self.company_id) as stage:
                stage.add(key, canonical, self._expiry(key))
            self.database.merge(self.company_id)

    def _verify(self) -> None:
        """Value by value: the database holds what the files hold, and nothing else."""
        if self.result.plan.changes or self.rows_as_copied:
            # One digest of them all; which ones differ is asked when it is another.
            equal = self.database.set_digest(self.company_id) == self.result.digest
            if self.rows_as_copied and not equal:
                raise _OtherRowsError
            wrong = set() if equal else self._differing(self.database.digests(self.company_id))
            expiring = list(self.database.expiries(self.company_id))
        else:
            wrong = self._differing(self.rows)
            expiring = [key for key, row in self.rows.items() if row.expires_at is not None]
        wrong |= {key for key in expiring if key not in wrong and self._expiry(key) is None}
        if wrong:
            raise AuthStateError(
                Problem(
                    "verification_failed",
                    f"company {self.company_id}",
                    f"after the copy the database differs from the files: {counts(wrong)}",
                    "Nothing was kept, the transaction was rolled back. Look for triggers and rules on the two tables",
                )
            )
        self.result.verified = True

    def _differing(self, rows: Mapping[Key, Row]) -> set[Key]:
        return differing(self.kept, {key: row.digest for key, row in rows.items()})

    def _manifest(self) -> Manifest:
        return Manifest(
            self.company_id,
            self.now,
            self.reader.identity,
            {key: entry.until(self._expiry(key)) for key, entry in self.kept.items()},
            {key: self.reader.entries[key] for key in self.left_out},
            self.settings.lid_mapping_ttl,
        )


def differing(entries: Mapping[Key, Entry], digests: Mapping[Key, bytes]) -> set[Key]:
    """The keys that only one side has, or that differ."""
    wrong = set(entries.keys() ^ digests.keys())
    return wrong | {key for key, entry in entries.items() if digests.get(key, entry.digest) != entry.digest}


def _expired(entry: Entry, now: float) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now


def _same_company(one: str, other: str) -> bool:
    try:
        return canonical_company_id(one) == other
    except ValueError:
        return False


def _twice(company_id: str, what: str) -> Problem:
    return Problem(
        "login_twice",
        f"company {company_id}",
        what,
        "Two processes would open one login. Delete the row that is not in use, or name the right company",
    )
