"""Files of a login that the stop has torn: Baileys writes in place, and a kill can leave half of one.

The app takes a torn key for a missing one, and a torn creds.json for no login: it would make a new one. So the value of
the verified pre-copy takes its place, or where the database cannot be reached that of the newest backup.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..baileys_auth import values
from ..baileys_auth.archive import Backups, members
from ..baileys_auth.aside import keep_files
from ..baileys_auth.database import Database
from ..baileys_auth.folder import Folder, Listing, open_folder
from ..baileys_auth.manifest import Manifest, ManifestStore
from ..baileys_auth.names import CREDS, CREDS_FILE, Key, company_folder
from ..baileys_auth.staging import Staging
from ..baileys_auth.transfer import Settings
from ..node_host.problems import HostError, Problem


def find(settings: Settings, company: str, listing: Listing, *, gone: bool = False) -> dict[Key, str]:
    """{key: file name} of those that changed since the pre-copy and are no whole JSON.

    `gone`: also a creds.json that is not there, as the app would make a new login of that as well.
    """
    missing = {CREDS: CREDS_FILE} if gone and CREDS not in listing.signatures else {}
    if not listing.files:
        return missing
    base = ManifestStore(settings.state_dir).load(company)
    known = base.known() if base else {}
    with open_folder(settings.folder(company), settings.names) as opened:
        return {
            key: name
            for name, key in listing.files.items()
            if (key not in known or known[key].signature != listing.signatures[key])
            and _is_torn(opened, name, key, listing.signatures[key].size)
        } | missing


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
    if CREDS in torn and not _has_keys(folder):
        raise _no_login(str(folder), "the folder of this login is gone, or empty")
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
                path = folder / left.pop(key)
                how = "was torn by the stop" if path.exists() else "was gone after the stop"
                said.append(f"{path} {how}; the value of {source} is used")
    if CREDS in left:
        raise _no_login(str(folder / left[CREDS]), "it is torn or gone since the stop, and no copy of it can be read")
    staging.place([])
    said += [
        f"{folder / name} was torn by the stop and is new since the copy; it was set aside" for name in left.values()
    ]
    keep_files([folder / name for name in left.values()], settings.state_dir / "aside" / "torn")
    return said


def _has_keys(folder: Path) -> bool:
    """Whether creds.json alone would make a login of it again."""
    return folder.is_dir() and any(name.name != CREDS_FILE for name in folder.iterdir())


def _no_login(where: str, what: str) -> HostError:
    return HostError(
        Problem(
            "torn",
            where,
            f"{what}: the app would make a new login",
            "Do not start the app. Restore a backup: ansible-playbook rollback.yml -e rollback_source=backup"
            " -e accept_key_loss=true",
        )
    )


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
