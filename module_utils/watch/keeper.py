"""The controller's side of the ledger: its key, its anchor for each host, and its clock.

All of it lies in one folder of the controller, 0700. The key is made at the first pass. Who loses the folder loses the
proof: the ledgers cannot be checked any more, and the seven days begin anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ..baileys_auth.durable import make_folder, replace_file
from ..node_host.problems import HostError, Problem
from . import ledger
from .ledger import Anchor, Chain, Entry

REAL, SANDBOX = "real", "sandbox"
_ITS_OWN = (
    "Run it where monitor.yml runs, as the same user and with the same monitor_controller_dir, or give its key:"
    f" monitor_key, in the vault. Where that is lost, {ledger.NEW}"
)


class Keeper:
    """The key and one host's anchor. `key`: from a vault; without one, the folder's own."""

    def __init__(self, folder: Path, host: str, key: str | None = None) -> None:
        self._folder, self.host = folder, host
        self._anchor = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', host)}.json"
        self._given = key

    @contextmanager
    def alone(self, *, writing: bool = True) -> Iterator[None]:
        """One pass of this host at a time on this controller. Not `writing`: as many as like, and nothing is made."""
        if not writing:
            yield
            return
        make_folder(self._folder)
        descriptor = os.open(self._folder / f"{self._anchor.stem}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise HostError(
                Problem(
                    "pass_under_way",
                    f"monitor of {self.host}",
                    "another pass is under way on this controller",
                    "It ends by itself within a minute; run again then",
                )
            ) from None
        finally:
            os.close(descriptor)

    def key(self, *, make: bool) -> bytes:
        """The key. `make`: where there is none yet. Raises HostError where there is none and none may be made."""
        if self._given:
            text = self._given.strip()
            # One that monitor.yml has made, out of its file, or one of the operator's own.
            return bytes.fromhex(text) if re.fullmatch("[0-9a-f]{64}", text) else self._given.encode("utf-8")
        path = self._folder / "key"
        try:
            return bytes.fromhex(path.read_text("ascii"))
        except FileNotFoundError:
            if not make:
                raise HostError(
                    Problem(
                        "ledger_no_key",
                        str(path),
                        "this controller has no key, so it cannot tell whether the ledger is genuine",
                        _ITS_OWN,
                    )
                ) from None
        make_folder(self._folder)
        made = secrets.token_bytes(32)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:  # another host's pass was quicker
            return self.key(make=False)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(made.hex())
            file.flush()
            os.fsync(file.fileno())
        return made

    def anchor(self) -> Anchor | None:
        try:
            return Anchor(**json.loads(self._anchor.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise HostError(
                Problem(
                    "ledger_anchor",
                    str(self._anchor),
                    "it is damaged",
                    "Move it aside; the next pass takes the ledger as it is, and says so in it",
                )
            ) from None

    def read(self, text: str, *, make: bool = False, renew: bool = False) -> Chain:
        """The ledger, checked. `make`: the key, where there is none yet. `renew`: whoever sealed it.

        One that another controller has sealed is refused: a line with our key in it would make it worthless there too.
        """
        anchor = self.anchor()
        if not text and anchor is None:
            return Chain()
        where = f"{self.host}: .auth-state/ledger.jsonl"
        chain = ledger.read(text, self.key(make=make and (renew or not text)), self.host, anchor, where)
        ours = anchor is not None or chain.entries or {fault.code for fault in chain.faults} != {"ledger_edited"}
        if not ours and not renew:
            what = "this controller has never written to it, and no entry has the seal of its key"
            raise HostError(Problem("ledger_other_key", where, what, _ITS_OWN))
        return chain

    def clock_back(self, chain: Chain, at: datetime) -> list[Problem]:
        """Nothing, or why no entry of this time may follow: it would be out of order, and all after it."""
        newest, now = chain.entries[-1]["at"] if chain.entries else "", at.isoformat(timespec="seconds")
        if now >= newest:
            return []
        what = f"it says {now}, and the newest entry of the ledger is of {newest}: the next would be out of order"
        remedy = (
            f"Set it right (timedatectl). If it is right, it was ahead at that entry: wait until then, or {ledger.NEW}"
        )
        return [Problem("clock_back", "the clock of this controller", what, remedy)]

    def seal(self, entry: Entry, chain: Chain, *, renew: bool = False) -> str:
        """The next line. The anchor knows of it before it can be on the target. `renew`: it begins a new ledger.

        What the anchor knows already it does not forget for it: the line may never be written, or be refused because
        another pass has written one since the ledger was read.
        """
        line = ledger.seal({**entry, "host": self.host}, self.key(make=True), Chain() if renew else chain)
        known = self.anchor()
        if known is None or (known.pending is not None and chain.last == ledger.digest(known.pending)):
            known = Anchor(chain.count, chain.last)
        self._write(replace(known, pending=line))
        return line

    def written(self, line: str) -> None:
        """The line is on the target's disk."""
        self._write(Anchor(json.loads(line)["number"], ledger.digest(line), None))

    def _write(self, anchor: Anchor) -> None:
        make_folder(self._folder)
        replace_file(self._anchor, [json.dumps(anchor.as_dict()).encode() + b"\n"])


def now(inventories: list[str], project: Path, folders: list[str], transport: str) -> tuple[datetime, str]:
    """(the time, which clock it is from). `folders`: the app's, and all others that this run reads or writes.

    It is the real one, and no variable changes that. Only in a sandbox that is on this very machine, and that is
    reached through the sandbox's inventory alone, a file `clock` beside the app moves it, by its seconds, for what lies
    in that sandbox; what was sealed with it says so and counts for nothing elsewhere.
    """
    here, (app, *others) = datetime.now(timezone.utc), [Path(each).expanduser().resolve() for each in folders]
    folder = app.parent
    sandbox = project / "inventory" / "sandbox"
    only = len(inventories) == 1 and os.path.realpath(inventories[0]) == os.path.realpath(sandbox)
    only = only and all(each.is_relative_to(folder) for each in others)
    if only and transport == "local" and (folder / "ports.json").is_file() and (folder / "clock").is_file():
        seconds = float((folder / "clock").read_text("ascii"))
        return datetime.fromtimestamp(here.timestamp() + seconds, timezone.utc), SANDBOX
    return here, REAL
