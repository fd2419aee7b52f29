"""One line more at the end of the target's ledger, whole or not at all. Knows no key."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..baileys_auth.archive import free_name
from ..baileys_auth.durable import locked, make_folder, own_like, sync_folder, write_all
from ..node_host.problems import HostError, Problem
from .observe import LEDGER


def append(state_dir: Path, line: str, size: int, keep: int, *, renew: bool) -> str | None:
    """Write the line behind the first `keep` bytes; what stood there is a write that was cut off.

    `size`: of the ledger when the controller read it. `renew`: the old ledger is kept aside, and its path returned.
    """
    make_folder(state_dir)
    path, aside = state_dir / LEDGER, None
    with locked(state_dir):
        have = path.stat().st_size if path.exists() else 0
        if have != size:
            raise HostError(
                Problem("ledger_moved_on", str(path), "another pass has written to it meanwhile", "Run again")
            )
        if renew and path.exists():
            aside = free_name(state_dir, "ledger", ".jsonl", time.time())
            os.rename(path, aside)
            keep = 0
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            own_like(descriptor, state_dir)
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, keep)
            lead = b"\n" if keep and os.pread(descriptor, 1, keep - 1) != b"\n" else b""
            os.lseek(descriptor, keep, os.SEEK_SET)
            write_all(descriptor, lead + line.encode("ascii") + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(state_dir)
    return str(aside) if aside else None
