"""What loses a conflict, whole and whatever it holds, kept among the company's backups before it is changed.

And single files that go, kept in our own folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import whole
from .archive import Backups, free_name
from .durable import make_folder, replace_file, sync_folder

if TYPE_CHECKING:
    from .database import Database
    from .transfer import Settings


def save_rows(database: Database, company_id: str, settings: Settings) -> Path:
    """The rows, one JSON line each: `database_<UTC>.jsonl`."""
    folder = Backups(settings.backup_dir, company_id).folder
    make_folder(folder)
    path = free_name(folder, "database", ".jsonl", time.time())
    replace_file(path, (json.dumps(row).encode() + b"\n" for row in database.rows(company_id)))
    return path


def save_folder(company_id: str, settings: Settings) -> Path:
    """The files, read back and compared: `files_<UTC>.tar`."""
    return whole.archive(settings.folder(company_id), Backups(settings.backup_dir, company_id).folder, "files")


def keep_files(paths: Iterable[Path], folder: Path) -> None:
    """These files out of their folder and into another; one of the same name that was there before goes."""
    moving = list(paths)
    if not moving:
        return
    make_folder(folder)
    for path in moving:
        with suppress(FileNotFoundError):
            os.replace(path, folder / path.name)
    sync_folder(folder)
    sync_folder(moving[0].parent)
