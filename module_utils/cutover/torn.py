"""Files of a login that the stop has torn: Baileys writes in place, and a kill can leave half of one.

The app takes a torn key for a missing one, and a torn creds.json for no login: it would make a new one. So the value of
the verified pre-copy takes its place, or where the database cannot be reached that of the newest backup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..baileys_auth import values
from ..baileys_auth.archive import Backups, members
from ..baileys_auth.database import Database
from ..baileys_auth.durable import make_folder, sync_folder
from ..baileys_auth.folder import Folder, Listing, open_folder
from ..baileys_auth.manifest import Manifest, ManifestStore
from ..baileys_auth.names import CREDS, Key, company_folder
from ..baileys_auth.staging import Staging
from ..baileys_auth.transfer import Settings
from ..node_host.problems import HostError, Problem


def find(settings: Settings, company: str, listing: Listing) -> dict[Key, str]:
    """{key: file name} of those that changed since the pre-copy and are no whole JSON."""
    if not listing.files:
        return {}
    base = ManifestStore(settings.state_dir).load(company)
    known = base.known() if base else {}
    with open_folder(settings.folder(company), settings.names) as opened:
        return {
            key: name
            for name, key in listing.files.items()
            if (key not in known or known[key].signature != listing.signatures[key])
            and _is_torn(opened, name, key, listing.signatures[key].size)
        }


def _is_torn(folder: Folder, name: str, key: Key, size: int) -> bool:
    try:
        values.canonical(folder.read_bytes(name, size), key.type)
    except values.TornError:
        return True
    except values.ValueRefusedError:
        return False  # whole; the copy says what is wrong with it
    return False


def mend(settings: Settings, database: Database | None, company: str, torn: dict[Key, str]) -> list[str]:
    """Put a copy in the place of each; says what was done. Raises HostError for a creds.json without a copy."""
    folder = settings.folder(company)
    base = ManifestStore(settings.state_dir).load(company)
    said = []
    staging = Staging(settings.state_dir / "staging" / company_folder(company), folder)
    staging.clear()
    left = dict(torn)
    for source, copies in (
        ("the verified pre-copy", _pre_copied(database, company, base, torn)),
        ("the newest backup", _backed_up(Backups(settings.backup_dir, company), torn)),
    ):
        for key, canonical in copies if left else ():
            if key in left:
                staging.write(left[key], values.to_file(canonical), None)
                said.append(f"{folder / left.pop(key)} was torn by the stop; the value of {source} is used")
    if CREDS in left:
        raise HostError(
            Problem(
                "torn",
                str(folder / left[CREDS]),
                "the stop has torn it, and no copy of it can be read: the app would make a new login",
                "Do not start the app. Restore a backup: ansible-playbook rollback.yml -e rollback_source=backup"
                " -e accept_key_loss=true",
            )
        )
    staging.place([])
    for name in left.values():
        said.append(f"{folder / name} was torn by the stop and is new since the copy; it was set aside")
        _set_aside(folder / name, settings.state_dir / "aside" / "torn")
    return said


def _pre_copied(
    database: Database | None, company: str, base: Manifest | None, torn: dict[Key, str]
) -> Iterator[tuple[Key, bytes]]:
    """The rows of these keys, as far as they still are what the pre-copy has verified."""
    wanted = [key for key in torn if base is not None and key in base.entries]
    if database is None or base is None or not wanted:
        return
    with database.transaction(snapshot=True):
        for key, text in database.values(company, wanted, len(base.entries)):
            canonical = values.canonical(text, key.type)
            if values.digest(canonical) == base.entries[key].digest:
                yield key, canonical


def _backed_up(backups: Backups, torn: dict[Key, str]) -> Iterator[tuple[Key, bytes]]:
    newest = backups.newest()
    if newest is None:
        return
    keys = {name: key for key, name in torn.items()}
    for name, data, _mtime in members(backups.folder / newest.archive, backups.company_id):
        if name in keys:
            yield keys[name], values.canonical(data, keys[name].type)


def _set_aside(path: Path, folder: Path) -> None:
    make_folder(folder)
    os.rename(path, folder / path.name)
    sync_folder(path.parent)
