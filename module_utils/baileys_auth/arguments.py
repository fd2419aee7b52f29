"""The options that the baileys_auth_* modules share, and what they become."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ..node_host import dotenv
from .authority import DATABASE, FILES
from .database import Database, connect
from .errors import AuthStateError, Problem
from .info import folders
from .names import Names
from .names import company_id as canonical_company_id
from .transfer import Settings

_MOST_DAYS = 36_500
APP_OPTIONS: dict[str, dict[str, Any]] = {
    "processes": {"type": "list", "elements": "str", "required": True},
    "optional_processes": {"type": "list", "elements": "str", "default": []},
    "pm2_home": {"type": "path"},
    "health_url": {"type": "str"},
}
DATABASE_OPTIONS: dict[str, dict[str, Any]] = {
    "conninfo": {"type": "str", "no_log": True},
    "schema": {"type": "str", "default": "public"},
}
FILES_OPTIONS: dict[str, dict[str, Any]] = {
    "sessions_dir": {"type": "path", "required": True},
    "state_dir": {"type": "path", "required": True},
    "company_ids": {"type": "list", "elements": "str", "default": []},
    "excluded": {"type": "list", "elements": "str", "default": []},
    # Words like `pre-key`: names of types, not keys.
    "key_types": {"type": "list", "elements": "str", "default": [], "no_log": False},
}
STORES_OPTIONS: dict[str, dict[str, Any]] = {
    "env_file": {"type": "path", "required": True},
    "flag": {"type": "str", "default": "USE_DATABASE_AUTH_STATE"},
    "host": {"type": "str"},
    "conflict": {"type": "str", "choices": ["fail", "files", "database"], "default": "fail"},
}
# Of the modules that look at the whole bot, or move it.
BOT_OPTIONS = {**APP_OPTIONS, **DATABASE_OPTIONS, **FILES_OPTIONS, **STORES_OPTIONS}


def settings(params: dict[str, Any], *, check_mode: bool, backup: bool = False) -> Settings:
    """The settings of one run. Raises AuthStateError for options that contradict each other.

    `backup`: whether the copy makes one on its way. Not from the options: most modules' `backup` is the name of one.
    """
    sessions_dir = Path(params["sessions_dir"])
    days = params.get("lid_mapping_ttl_days", 7.0)
    if not 0 <= days <= _MOST_DAYS:
        raise AuthStateError(
            Problem(
                "lid_mapping_ttl_days",
                "lid_mapping_ttl_days",
                f"{days} is no number of days from 0 (all are kept) to {_MOST_DAYS}",
                "Correct auth_state_lid_mapping_ttl_days",
            )
        )
    return Settings(
        sessions_dir=sessions_dir,
        state_dir=Path(params["state_dir"]),
        backup_dir=Path(params.get("backup_dir") or sessions_dir.with_name(f"{sessions_dir.name}_backup")),
        host=params["host"] or socket.gethostname(),
        flag_store=flag_store(params["env_file"], params["flag"]),
        names=names(params),
        now=time.time(),
        lid_mapping_ttl_days=days,
        authority=params.get("authority", "keep"),
        conflict=params.get("conflict", "fail"),
        accept_key_loss=params.get("accept_key_loss", False),
        backup=backup,
        backup_keep=params.get("backup_keep", 5),
        check_mode=check_mode,
    )


def flag_store(env_file: str, flag: str) -> str:
    """The store that the app reads: the database when the last assignment of the flag in .env says `true`.

    Raises AuthStateError for a `TRUE`, which one app takes for on and another for off: the stores must not be guessed.
    """
    value, _count = dotenv.effective(env_file, flag)
    if dotenv.is_unclear(value):
        raise AuthStateError(
            Problem(
                "flag_spelling",
                env_file,
                f"{flag} is {value!r}, and only the app's code knows whether that is on or off",
                f"Its log says which (grep -h 'auth state' ~/.pm2/logs/*). Write {flag}=true if it is the database,"
                f" {flag}=false if the files, then run again",
            )
        )
    return DATABASE if dotenv.is_on(value) else FILES


def names(params: dict[str, Any]) -> Names:
    try:
        return Names(params["key_types"])
    except ValueError as error:
        raise AuthStateError(Problem("key_types", "key_types", str(error), "Correct auth_state_key_types")) from None


def companies(params: dict[str, Any]) -> list[str]:
    """The named companies in their one spelling, or all that have a folder.

    Raises AuthStateError for a bad or double name.
    """
    excluded = set(_canonical(params["excluded"]))
    named = _canonical(params["company_ids"])
    if len(set(named)) != len(named):
        raise AuthStateError(
            Problem(
                "company_twice",
                "company_ids",
                f"one company is named twice ({', '.join(named)}); 962302 and company_962302 are the same",
                "Name it once",
            )
        )
    if not named:
        named = folders(Path(params["sessions_dir"]))
    return [company for company in named if company not in excluded]


def excluded(params: dict[str, Any]) -> set[str]:
    return set(_canonical(params["excluded"]))


def _canonical(identifiers: list[str]) -> list[str]:
    return [_one_spelling(identifier) for identifier in identifiers]


def _one_spelling(identifier: str) -> str:
    try:
        return canonical_company_id(identifier)
    except ValueError as error:
        raise AuthStateError(
            Problem("company_id", "company_ids", f"{ascii(identifier)[:80]} is no company id: {error}", "Correct it")
        ) from None


@contextmanager
def database(params: dict[str, Any]) -> Any:
    """The database, connected; None where no conninfo was given."""
    if not params["conninfo"]:
        with nullcontext() as nothing:
            yield nothing
        return
    with connect(params["conninfo"]) as connection:
        yield Database(connection, params["schema"])


def now() -> float:
    """Seconds since the epoch: the real clock, everywhere."""
    return time.time()
