"""What both directions of a transfer share: its settings, its result, the authority, the base, the conflicts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from . import authority as store_authority
from .archive import Backup
from .authority import Authority, Record, StateFile
from .database import Database
from .durable import remove_abandoned
from .errors import AuthStateError, Problem
from .manifest import Manifest, ManifestStore
from .names import Key, Names, company_folder
from .plan import Plan, count_by_type

KEEP, MOVE = "keep", "move"
FAIL = "fail"
_TO = {store_authority.FILES: "rollback.yml", store_authority.DATABASE: "deploy.yml"}


@dataclass(frozen=True)
class Settings:
    """One run's choices. `now`: seconds since the epoch, one for all companies. `conflict`: fail, files or database."""

    sessions_dir: Path
    state_dir: Path
    backup_dir: Path
    host: str
    flag_store: str
    names: Names
    now: float
    lid_mapping_ttl_days: float = 7.0
    authority: str = KEEP
    conflict: str = FAIL
    accept_key_loss: bool = False
    backup: bool = False
    backup_keep: int = 5
    check_mode: bool = False

    def folder(self, company_id: str) -> Path:
        return self.sessions_dir / company_folder(company_id)

    @property
    def lid_mapping_ttl(self) -> float:
        """In seconds."""
        return self.lid_mapping_ttl_days * 86_400.0

    @property
    def timestamp(self) -> str:
        return datetime.fromtimestamp(self.now, timezone.utc).isoformat(timespec="seconds")


@dataclass
class Result:
    """What one transfer did, or would do. `keys`: signal keys, creds apart. `seconds`: by phase.

    `backup`: the newest of the files. `backed_up`: whether it was made by this transfer.
    """

    company_id: str
    plan: Plan = field(default_factory=Plan)
    authority: Authority | None = None
    identity: str = ""
    digest: str = ""
    keys: int = 0
    bytes: int = 0
    verified: bool = False
    archived: str | None = None
    backup: Backup | None = None
    backed_up: bool = False
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return self.plan.changes or self.backed_up

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 4)


class RehearsalError(Exception):
    """Ends the transaction of check mode: everything was planned, nothing is kept."""


class Transfer:
    """One direction of a transfer; the subclass names its `source` and its `destination`."""

    source: str
    destination: str

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.manifests = ManifestStore(settings.state_dir)
        self.state = StateFile(settings.state_dir)
        self._prepared = False
        if not settings.check_mode:
            for folder in (settings.state_dir, settings.state_dir / "manifests"):
                remove_abandoned(folder)

    def authority(self, company_id: str, *, row_exists: bool) -> Authority:
        """Which store is right. Raises AuthStateError unless it is this transfer's source."""
        found = current_authority(self.settings, self.database, self.state, company_id, row_exists=row_exists)
        if found.store != self.source:
            raise AuthStateError(self._wrong_way(company_id, found))
        if self.settings.flag_store == self.destination:
            raise AuthStateError(
                Problem(
                    "flag_against_record",
                    f"company {company_id}",
                    f"the flag in .env makes the app read the {self.destination}, which this copy would change",
                    f"Stop the app and switch the flag to the {self.source} first",
                )
            )
        return found

    def base(self, company_id: str, rows: Mapping[Key, bytes]) -> Manifest | None:
        """The manifest of the last transfer that was committed."""
        pending = self.manifests.load_next(company_id)
        if pending is None:
            return self.manifests.load(company_id)
        if pending.digests() != rows:  # it never was; the next `prepare` writes over it
            return self.manifests.load(company_id)
        if not self.settings.check_mode:
            self.manifests.commit(company_id)
        return pending

    def settle_conflicts(self, company_id: str, plan: Plan) -> None:
        """Raise AuthStateError for keys that the destination got from elsewhere, unless the choice was made."""
        if plan.conflicts and self.settings.conflict != self.source:
            raise AuthStateError(
                Problem(
                    "conflict",
                    f"company {company_id}",
                    f"in the {self.destination}, but neither put there by the last transfer nor in the {self.source}:"
                    f" {counts(plan.conflicts)}",
                    f"By the record the bot runs on the {self.source}. To keep that: the same again with"
                    f" -e auth_state_conflict={self.source}, which archives what is in the {self.destination} first. To"
                    " compare them: ansible-playbook status.yml",
                )
            )

    def check_identity(self, company_id: str, base: Manifest | None, identity: str) -> None:
        """Raise AuthStateError when the source holds another login than the last transfer moved."""
        if base is not None and base.identity not in ("", identity) and self.settings.conflict != self.source:
            raise AuthStateError(
                Problem(
                    "identity_changed",
                    f"company {company_id}",
                    f"the login in the {self.source} is another one than was moved: its identity has changed,"
                    " as when an app finds no login and makes a new one",
                    f"If the phone was paired again on purpose, keep the {self.source}:"
                    f" -e auth_state_conflict={self.source}. If not, the login that works is in the {self.destination}",
                )
            )

    def record(self, company_id: str, authority: Authority) -> Record:
        """Write down, in the caller's transaction, that the move to the destination is under way (or not)."""
        moving_to = self.destination if self.settings.authority == MOVE else None
        present = authority.record
        if present is not None and (present.store, present.moving_to) == (self.source, moving_to):
            return present
        record = authority.moved(moving_to, self.settings.host, self.settings.timestamp)
        self.database.write_record(company_id, record)
        return record

    def prepare(self, manifest: Manifest, base: Manifest | None) -> None:
        """The manifest on the disk before the database commits; the one of before stays where it says the same."""
        self._prepared = not manifest.says_the_same(base)
        if self._prepared:
            self.manifests.prepare(manifest)
        else:
            self.manifests.discard(manifest.company_id)

    def committed(self, company_id: str, record: Record) -> None:
        """What follows the database's commit on the host's own disk."""
        if self._prepared:
            self.manifests.commit(company_id)
        self.manifests.forget_placed(company_id)
        self.state.write(company_id, record)

    def _wrong_way(self, company_id: str, found: Authority) -> Problem:
        return Problem(
            "wrong_way",
            f"company {company_id}",
            f"the login is in the {found.store} ({found.evidence}); to copy the {self.source} over it would lose keys",
            f"To move it from there: ansible-playbook {_TO[self.source]}",
        )


def current_authority(
    settings: Settings, database: Database, state: StateFile, company_id: str, *, row_exists: bool
) -> Authority:
    """Which store is right for one login. Raises AuthStateError when that cannot be told."""
    return decide(
        settings,
        state,
        company_id,
        store_authority.latest(database.record(company_id), state.record(company_id)),
        row_exists=row_exists,
    )


def decide(
    settings: Settings, state: StateFile, company_id: str, record: Record | None, *, row_exists: bool
) -> Authority:
    """The same from one record, such as the host's own copy where the database cannot be reached."""
    return store_authority.decide(
        record,
        settings.flag_store,
        folder_exists=settings.folder(company_id).is_dir(),
        row_exists=row_exists,
        host=settings.host,
        where=f"company {company_id}",
        ours=state.wrote(company_id, record),
        choice=None if settings.conflict == FAIL else settings.conflict,
    )


def counts(keys: Collection[Key]) -> str:
    """`3 session, 1 creds`: what may be shown of keys, whose ids are phone numbers."""
    return ", ".join(f"{number} {key_type}" for key_type, number in count_by_type(keys).items())
