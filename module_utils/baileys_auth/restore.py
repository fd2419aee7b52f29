"""One verified backup put in the place of a company's folder: its contents, by folder swap.

Copying a backup over the folder by hand nests it inside (`company_…/backup_…/creds.json`), and the app makes a new
login. Here every member is read and parsed before the folder is touched, and what was there is kept aside.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import values
from .archive import Backups, free_name, members
from .durable import exchange, make_folder, sync_folder
from .errors import AuthStateError, Problem
from .identity import identity_digest
from .manifest import ManifestStore
from .names import CREDS, Key, Names, company_folder, is_leftover
from .staging import Staging


def verify(backups: Backups, name: str, names: Names) -> tuple[Path, int, str]:
    """(path, number of keys, identity) of a backup, after reading all of it.

    Raises AuthStateError when it is damaged or no whole login.
    """
    path, digests, identity = _read(backups, name, names, None)
    return path, len(digests), identity


def restore(backups: Backups, name: str, folder: Path, state_dir: Path, names: Names) -> tuple[Path, Path | None]:
    """(the backup, where the former folder is kept). The folder then holds the backup's files and nothing else."""
    staging = Staging(state_dir / "staging" / f"restore_{company_folder(backups.company_id)}", folder)
    staging.clear()
    try:
        path, digests, _identity = _read(backups, name, names, staging)
        staging.sync()
        sync_folder(staging.path)
        # Should the run be killed while the database is still right, the next way back may replace these files.
        ManifestStore(state_dir).placing(backups.company_id, digests)
        make_folder(folder.parent)
        aside = None
        if folder.is_symlink() or folder.exists():
            make_folder(state_dir / "aside")
            aside = free_name(state_dir / "aside", folder.name, "", time.time())
            # Under the name that the former one gets: killed here, the login is where it was.
            os.rename(staging.path, aside)
            exchange(aside, folder)
        else:
            os.rename(staging.path, folder)
    finally:
        staging.clear()
    sync_folder(folder.parent)
    return path, aside


def _read(backups: Backups, name: str, names: Names, staging: Staging | None) -> tuple[Path, dict[Key, bytes], str]:
    """(path, digest of each key, identity); each file is also written to `staging`."""
    path = backups.path(name)
    identity, digests = "", {}
    for file_name, data, mtime_ns in members(path, backups.company_id):
        if is_leftover(file_name):
            continue
        key = names.parse(file_name)
        if key is None:
            raise _not_whole(path, f"{file_name} is not a Baileys key")
        try:
            canonical = values.canonical(data, key.type)
            if key == CREDS:
                identity = identity_digest(values.load(canonical))
        except ValueError as error:
            raise _not_whole(path, f"{file_name}: {error}") from None
        digests[key] = values.digest(canonical)
        if staging is not None:
            staging.write(file_name, data, mtime_ns)
    if not identity:
        raise _not_whole(path, "it holds no creds.json")
    return path, digests, identity


def _not_whole(path: Path, what: str) -> AuthStateError:
    return AuthStateError(
        Problem("backup_damaged", str(path), what, "Name another backup: rollback_backup=<name>; nothing was changed")
    )
