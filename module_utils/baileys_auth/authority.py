"""Which store holds the complete and current login: one at a time, per company, by record and never by clock.

The record is a row of ours beside the two tables (so that two hosts sharing a database cannot both take one
login) and a copy of it in the host's state file, for when the database cannot be reached; the higher revision
is the later one. While a login moves (`moving_to`), its owners are stopped before the flag in .env is
switched, so the flag itself says on which side a half-finished move stands.
"""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..node_host.machine import machine_id
from .durable import locked, make_folder, replace_file
from .errors import AuthStateError, Problem

FILES, DATABASE = "files", "database"


def other(store: str) -> str:
    return FILES if store == DATABASE else DATABASE


@dataclass(frozen=True)
class Record:
    """What is written down about one login. `since`: when the store last changed hands, ISO 8601 in UTC."""

    store: str
    moving_to: str | None
    host: str
    since: str
    revision: int = 1


@dataclass(frozen=True)
class Authority:
    """`store` is right. `evidence`: what says so. `record`: the written one, None when nothing is on record."""

    store: str
    evidence: str
    record: Record | None = None

    @property
    def moving_to(self) -> str | None:
        return self.record.moving_to if self.record else None

    def moved(self, to: str | None, host: str, now: str) -> Record:
        """The next record: a move to the other store is under way, or (None) the present store is settled."""
        if self.record is None:
            return Record(self.store, to, host, now)
        since = self.record.since if self.record.store == self.store else now
        return Record(self.store, to, host, since, self.record.revision + 1)


def latest(*records: Record | None) -> Record | None:
    """The later of two copies of one record."""
    return max((each for each in records if each), key=lambda each: each.revision, default=None)


def decide(
    record: Record | None,
    flag_store: str,
    *,
    folder_exists: bool,
    row_exists: bool,
    host: str,
    where: str,
    ours: bool = False,
    choice: str | None = None,
) -> Authority:
    """The authority of one login. `flag_store`: what the flag in .env makes the app read.

    `ours`: this host wrote the record itself, whatever its name was then. `choice`: the store an operator named, for
    when somebody switched the flag by hand.
    Raises AuthStateError when another host holds the login, or when the app would make a new one.
    """
    if record is not None:
        if record.host != host and not ours:
            raise AuthStateError(
                Problem(
                    "owned_elsewhere",
                    where,
                    f"host {record.host} has held this login since {record.since}, and this run is for {host}",
                    f"Roll it back there first: ansible-playbook rollback.yml --limit {record.host}. Where it is this"
                    f" very host, renamed and made anew, say so: -e auth_state_host={record.host}",
                )
            )
        if record.moving_to is not None:
            return Authority(flag_store, "a move is under way, and the flag says so", record)
        if record.store != flag_store and choice is not None:
            return Authority(choice, "chosen with auth_state_conflict", record)
        if record.store != flag_store:
            raise AuthStateError(
                Problem(
                    "flag_against_record",
                    where,
                    f"the record says that this login has been in the {record.store} since {record.since}, but the flag"
                    f" in .env makes the app read the {flag_store}",
                    "Somebody switched the flag by hand. If the app has not run since, switch it back. If it has, keep"
                    " the store that it ran on: -e auth_state_conflict=files, or -e auth_state_conflict=database",
                )
            )
        return Authority(record.store, "the record", record)
    if flag_store == DATABASE and row_exists:
        return Authority(DATABASE, "the flag is on and the database has the login")
    if flag_store == DATABASE and folder_exists and choice == FILES:
        return Authority(FILES, "chosen with auth_state_conflict")
    if flag_store == DATABASE and folder_exists:
        raise AuthStateError(
            Problem(
                "flag_without_login",
                where,
                "the flag is on, but the database has no row of this login: the app would make a new one",
                "Switch the flag off and restart the app before anything else:"
                " ansible-playbook rollback.yml -e rollback_source=files -e auth_state_conflict=files. Where other"
                " companies run on the database (the flag is one for all), take those back in its place, which loses"
                ' nothing: ansible-playbook rollback.yml -e \'{"company_ids": ["…"]}\', with theirs alone;'
                " then ansible-playbook deploy.yml for all",
            )
        )
    return Authority(FILES, "the flag is off")


class StateFile:
    """`<state_dir>/state.json`: the host's copy of the records, one a company, and the machine that wrote them."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "state.json"

    def record(self, company_id: str) -> Record | None:
        return self._load()["companies"].get(company_id)

    def wrote(self, company_id: str, record: Record | None) -> bool:
        """Whether this host wrote that record itself, under whatever name; a copy of the folder elsewhere did not."""
        return record is not None and record == self.record(company_id) and self._load().get("place") == self._place()

    def write(self, company_id: str, record: Record) -> None:
        make_folder(self._path.parent)
        with locked(self._path.parent):
            self._write(company_id, record)

    def _write(self, company_id: str, record: Record) -> None:
        present = self._load()
        companies = {**present["companies"], company_id: record}
        place = self._place()
        if (companies, place) != (present["companies"], present.get("place")):
            state = {"companies": {name: asdict(each) for name, each in companies.items()}, "place": place}
            replace_file(self._path, [json.dumps(state, indent=1, sort_keys=True).encode() + b"\n"])

    def _place(self) -> str:
        """The machine, by its id and its own name (a clone keeps the id), and the folder, as a digest."""
        place = (machine_id(), socket.gethostname(), str(self._path.resolve()))
        return hashlib.sha256("\0".join(place).encode()).hexdigest()[:16]

    def _load(self) -> dict[str, Any]:
        try:
            state = json.loads(self._path.read_bytes())
            return {**state, "companies": {name: Record(**entry) for name, entry in state["companies"].items()}}
        except FileNotFoundError:
            return {"companies": {}}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise AuthStateError(
                Problem(
                    "state_file",
                    str(self._path),
                    "it is damaged, or of a newer version of this project",
                    "Move it aside: the record in the database (table whatsapp_auth_authority) is the same",
                )
            ) from None
