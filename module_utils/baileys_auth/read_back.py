"""A migrated login, read back the way an app behind Supabase reads it: over REST, with the key of its .env.

Row level security hides rows from a key without a word: the app sees no login and makes a new one. So what the
database holds is compared with what that key sees, before the app is switched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..node_host.postgrest import Postgrest, equals, one_of
from .database import Database
from .errors import Problem
from .names import CREDS, Key
from .schema import AUTH, KEYS, PUBLIC_ROLES, SERVICE_ROLE

_ATTEMPTS = 3
_SERVICE = "Give the app the service_role key (SUPABASE_KEY in .env): the anon key is for browsers"


def read_back(rest: Postgrest, database: Database, company_id: str) -> list[Problem]:
    """What the app's key does not see as the database holds it: the creds, and one key of each type.

    Opens its own transactions. Raises PostgrestError when the endpoint refuses.
    """
    with database.transaction(snapshot=True):
        keys = list(database.digests(company_id))
    chosen = [*([CREDS] if CREDS in keys else []), *_one_of_each_type(keys)]
    for _attempt in range(_ATTEMPTS):  # a bot that runs may write between the two looks
        problems = []
        stored = _stored(database, company_id, chosen, len(keys))
        for key, value in stored.items():
            seen = _seen(rest, company_id, key)
            if seen is None:
                problems.append(_hidden(rest, company_id, key))
            elif seen != value:
                problems.append(_differs(company_id, key))
        if not problems:
            break
    return problems


def depends_on_open_policy(rest: Postgrest, open_tables: list[str]) -> Problem | None:
    """Whether the app reads its login only because the tables are open to everybody."""
    if rest.role not in PUBLIC_ROLES or not open_tables:
        return None
    return Problem(
        "rest_anon_key",
        "SUPABASE_KEY",
        f"it is an {rest.role} key, and reads the login only because {', '.join(open_tables)} can be read by everybody"
        " who has that key; closed, the app would see no row and make a new login",
        f"{_SERVICE}; restart the app; then close the tables with schema_harden=true",
    )


def needs_open_tables(rest: Postgrest | None, open_tables: list[str], env_file: str) -> Problem | None:
    """Why the open tables may not be closed: nothing shows that the app reads them by right. None when it does.

    The key has to be service_role's, and the endpoint has to take it: a key can say what it likes of itself. Raises
    PostgrestError when the endpoint refuses.
    """
    if rest is None:
        return Problem(
            "harden_unproven",
            env_file,
            "it names no SUPABASE_URL and no SUPABASE_KEY, so nothing shows as which role the app reads the tables that"
            " schema_harden=true would close",
            "Where the app reads with a role of its own, grant that role what it needs (docs/least-privilege.sql) and"
            " close them by hand; else leave schema_harden off",
        )
    if rest.role != SERVICE_ROLE:
        depends = depends_on_open_policy(rest, open_tables)
        return depends or Problem(
            "harden_unproven",
            "SUPABASE_KEY",
            f"it is {f'a {rest.role} key' if rest.role else 'a key that does not say whose it is'}, so nothing shows"
            f" that the app still reads its login once {', '.join(open_tables)} are closed",
            f"{_SERVICE}, restart the app and run again; or leave schema_harden off",
        )
    rest.select(AUTH, "company_id", {"company_id": equals("0")})
    return None


def _one_of_each_type(keys: Iterable[Key]) -> list[Key]:
    first: dict[str, Key] = {}
    for key in sorted(keys):
        if key != CREDS:
            first.setdefault(key.type, key)
    return list(first.values())


def _stored(database: Database, company_id: str, keys: list[Key], total: int) -> dict[Key, Any]:
    with database.transaction(snapshot=True):
        return {key: json.loads(text) for key, text in database.values(company_id, keys, total)}


def _seen(rest: Postgrest, company_id: str, key: Key) -> Any:
    """The value that the app's key sees; None where it sees no row (no value of a login is null)."""
    if key == CREDS:
        found = rest.select(AUTH, "creds", {"company_id": equals(company_id)})
        return found[0].get("creds") if found else None
    filters = {"company_id": equals(company_id), "key_type": equals(key.type), "key_id": one_of([key.id])}
    found = rest.select(KEYS, "value", filters)
    return found[0].get("value") if found else None


def _differs(company_id: str, key: Key) -> Problem:
    return Problem(
        "rest_differs",
        f"company {company_id}",
        f"a {key.type} read over REST is another one than the database holds",
        "Compare SUPABASE_URL with database_url: they are two databases",
    )


def _hidden(rest: Postgrest, company_id: str, key: Key) -> Problem:
    role = f"an {rest.role} key" if rest.role in PUBLIC_ROLES else f"a {rest.role} key" if rest.role else "this key"
    what = "the row of its creds" if key == CREDS else f"rows of type {key.type}"
    then = ": with the flag on it would make a NEW login" if key == CREDS else ""
    return Problem(
        "rest_no_row",
        f"company {company_id}",
        f"the database holds {what}, and the app, with {role}, sees none{then}",
        f"{_SERVICE}. If it is that key already, SUPABASE_URL and database_url are two databases",
    )
