"""Append-only files of one JSON object a line (JSON Lines): each is on the disk before `append` returns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .durable import make_folder, own_like, sync_folder, write_all


def append(path: Path, facts: Mapping[str, Any]) -> None:
    """Add one line, synced. The file is for its owner alone, who is that of its folder."""
    make_folder(path.parent)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        own_like(descriptor, path.parent)
        # A newline first where a killed run left half a line.
        lead = b"" if _ends_whole(path) else b"\n"
        write_all(descriptor, lead + json.dumps(facts).encode() + b"\n")
        os.fsync(descriptor)
    except OSError as error:  # that of a descriptor does not say which file
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines, oldest first. Half a line, as a power cut leaves it, is left out: what was to follow never began."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
