"""The rehearsal: a command of the app's own loads the copied login through the app's own code, before anything stops.

The command prints one JSON line: {"identity": <digest>, "keys": {<key type>: {"count": n, "sample": <digest>}}}, and
ends with 0. `identity` as the health endpoint tells it. `sample`: SHA-256 of one key of the type, the first by its
Baileys file name in byte order, read through the app's key store and written as JSON with sorted keys, no blanks, and
bytes in base64. It must neither write nor connect to WhatsApp. The sandbox's bot has one: scripts/load-auth-state.js.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..baileys_auth.database import Database
from ..baileys_auth.names import CREDS, Key, Names
from ..node_host.mask import mask
from ..node_host.problems import HostError, Problem

# Baileys turns these into protobuf messages while it reads them, so that their JSON is not the stored one.
_CONVERTED = frozenset({"app-state-sync-key"})


@dataclass(frozen=True)
class Command:
    """`words`: with {company_id}, {store} and {code_dir} in them. `code_dir`: the code that runs after the cut-over."""

    words: tuple[str, ...]
    app_dir: str
    code_dir: str
    environment: Mapping[str, str]
    timeout: float

    def load(self, company_id: str, store: str) -> dict[str, Any]:
        """What the app's code found in this store. Raises HostError with the command's own last words."""
        filled = [
            word.replace("{company_id}", company_id).replace("{store}", store).replace("{code_dir}", self.code_dir)
            for word in self.words
        ]
        try:
            done = subprocess.run(
                filled,
                cwd=self.app_dir,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failed(company_id, store, f"it did not end within {self.timeout:g} s") from None
        except OSError as error:
            raise _failed(company_id, store, f"it cannot be run ({error.strerror})") from None
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise _failed(company_id, store, f"it ended with {done.returncode} and said: {mask(said)}")
        try:
            answer = json.loads(done.stdout.strip().splitlines()[-1])
            return {"identity": str(answer["identity"]), "keys": dict(answer["keys"])}
        except (IndexError, ValueError, KeyError, TypeError):
            raise _failed(company_id, store, "its last line is not the JSON that a rehearsal answers with") from None


def differences(command: Command, wanted: Mapping[str, dict[str, Any]], store: str) -> list[Problem]:
    """What the app's code cannot read of these logins. `wanted`: by company, as the command answers; keys may be none.

    Several at a time: each is a start of the app's runtime.
    """

    def one(company_id: str) -> list[Problem]:
        try:
            found = command.load(company_id, store)
        except HostError as error:
            return error.problems
        wrong = _differing(wanted[company_id], found)
        return _failed(company_id, store, f"it read something else than was copied: {wrong}").problems if wrong else []

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return [problem for problems in pool.map(one, wanted) for problem in problems]


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """What the app's code read otherwise than it was copied, for people; empty when nothing is. Pure."""
    wrong = ["the identity"] if wanted["identity"] not in ("", found["identity"]) else []
    for key_type, facts in sorted(wanted["keys"].items()):
        have = found["keys"].get(key_type, {})
        if not have.get("sample"):
            wrong.append(f"no {key_type}")
        elif have["sample"] != facts["sample"] and key_type not in _CONVERTED:
            wrong.append(f"another {key_type}")
    return ", ".join(wrong)


def expected(database: Database, company_id: str, names: Names) -> dict[str, Any]:
    """What the command has to answer for the rows of this login."""
    with database.transaction(snapshot=True):
        rows = database.digests(company_id)
        first: dict[str, tuple[bytes, Key]] = {}
        files, _foreign = names.render_all(rows.keys() - {CREDS})  # the app asks for no other
        for key, name in files.items():
            candidate = (name.encode(), key)
            first[key.type] = min(first.get(key.type, candidate), candidate)
        wanted = {key for _name, key in first.values()}
        samples = {key.type: _sample(text) for key, text in database.values(company_id, wanted, len(rows))}
        identity = (database.identity(company_id) if CREDS in rows else None) or ""
    return {"identity": identity, "keys": {key_type: {"sample": sample} for key_type, sample in samples.items()}}


def _sample(text: bytes) -> str:
    compact = json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(compact.encode("utf-8")).hexdigest()


def _failed(company_id: str, store: str, what: str) -> HostError:
    return HostError(
        Problem(
            "rehearsal",
            f"company {company_id}, {store}",
            f"the app's own code cannot load this login (cutover_rehearsal_command): {what}",
            "The app was not stopped. Run the command by hand on the host as the app's user, and mend the app or .env",
        )
    )
