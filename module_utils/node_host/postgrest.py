"""A PostgREST endpoint, as Supabase puts it before its PostgreSQL: read a table with the key that the app has.

Neither the key nor the address of a project is ever in a message.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .problems import HostError, Problem

URL_VARIABLE = "SUPABASE_URL"
# The first that is set, as apps are used to name it.
KEY_VARIABLES = (
    "SUPABASE_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_ANON_KEY",
    "SUPABASE_PUBLISHABLE_KEY",
)
_SHORTEST_KEY = 20  # characters: sb_secret_ and what follows it
_PATH = "/rest/v1"
_LIMIT = 1 << 26  # bytes of an answer

_WRONG_KEY = f"Take the service_role key from the API settings of the project and put it into .env ({KEY_VARIABLES[0]})"
_APPLY = "Apply the SQL migration (deploy.yml does); when it has been, reload the cache: NOTIFY pgrst, 'reload schema'"


class PostgrestError(HostError):
    """The endpoint refused, or did not answer."""


@dataclass(frozen=True)
class Postgrest:
    """One endpoint and the key that opens it. `url`: the project's, without a path."""

    url: str
    key: str = field(repr=False)
    schema: str = "public"
    timeout: float = 10.0

    @property
    def role(self) -> str | None:
        """The role that the key stands for (`service_role`, `anon`); None where it does not say."""
        for start, role in (("sb_secret_", "service_role"), ("sb_publishable_", "anon")):
            if self.key.startswith(start):
                return role
        try:
            payload = self.key.split(".")[1]
            role = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["role"]
        except (IndexError, ValueError, KeyError, TypeError):
            return None
        return role if isinstance(role, str) else None

    def select(self, table: str, columns: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """The rows of a table. `filters`: column -> PostgREST's condition, such as `equals(…)` or `one_of(…)`.

        Raises PostgrestError for everything but an answer with rows, or with none.
        """
        query = urlencode({"select": columns, **filters}, quote_via=quote)
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}{_PATH}/{table}?{query}",
            headers={
                "apikey": self.key,
                "Authorization": f"Bearer {self.key}",
                "Accept": "application/json",
                "Accept-Profile": self.schema,
            },
        )
        try:
            with _OPENER.open(request, timeout=self.timeout) as response:
                rows = json.loads(response.read(_LIMIT))
        except urllib.error.HTTPError as error:
            with error:
                raise PostgrestError(refusal(error.code, error.read(1 << 16), table)) from None
        except (OSError, http.client.HTTPException) as error:
            raise PostgrestError(_unreachable(error)) from None
        except ValueError:
            raise PostgrestError(_no_postgrest("it answers 200 with something that is no JSON")) from None
        if not isinstance(rows, list):
            raise PostgrestError(_no_postgrest("it answers 200 with something that is no list of rows"))
        return rows


def equals(value: str) -> str:
    return f"eq.{value}"


def one_of(values: list[str]) -> str:
    """PostgREST's `in`: each value in quotes, since ids hold its commas, colons and brackets."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return f"in.({','.join(quoted)})"


def from_environment(variables: Mapping[str, str], schema: str = "public") -> Postgrest | None:
    """The endpoint that an app's settings name; None where they name none.

    Raises PostgrestError when only half of it is set, or when the address is none.
    """
    url = variables.get(URL_VARIABLE, "").strip()
    name = next((each for each in KEY_VARIABLES if variables.get(each, "").strip()), None)
    if not url and name is None:
        return None
    if not url or name is None:
        missing = URL_VARIABLE if not url else KEY_VARIABLES[0]
        raise PostgrestError(
            Problem(
                "rest_half_set",
                f".env: {missing}",
                "it is not set, and the other half of the pair is",
                "Set both, or neither where the app connects in another way",
            )
        )
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets, as in https://[YOUR-PROJECT-REF].supabase.co
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(char.isspace() for char in url):
        raise PostgrestError(
            Problem(
                "rest_url",
                f".env: {URL_VARIABLE}",
                "it is no address (https://…)",
                "Take it from the API settings of the project in Supabase",
            )
        )
    key = variables[name].strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise PostgrestError(Problem("rest_key", f".env: {name}", "it holds characters that no key has", _WRONG_KEY))
    if len(key) < _SHORTEST_KEY:
        raise PostgrestError(Problem("rest_key", f".env: {name}", "it is too short for a key", _WRONG_KEY))
    return Postgrest(url, key, schema)


def refusal(status: int, body: bytes, table: str) -> Problem:
    """What an answer that is no success means; its own words (code and message) are PostgREST's, never the key."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return _no_postgrest(f"it answers {status} without PostgREST's words")
    code, message = str(said.get("code") or ""), str(said.get("message") or said.get("msg") or "")
    words = f"{status} {code} {message}".replace("  ", " ").strip()
    if code == "42501":
        return Problem(
            "rest_permission",
            f"table {table}",
            f"the app's key may not read it ({words})",
            f"Give the app the service_role key, not the anon key. {_WRONG_KEY}",
        )
    if code in ("PGRST205", "42P01"):
        return Problem("rest_table_missing", f"table {table}", f"the endpoint does not know it ({words})", _APPLY)
    if code == "PGRST106":
        return Problem(
            "rest_schema",
            "SUPABASE_URL",
            f"the endpoint does not show this schema ({words})",
            "Add it to the exposed schemas in the API settings of the project",
        )
    if status == 401 or code.startswith("PGRST3"):
        return Problem("rest_key_refused", "SUPABASE_KEY", f"the endpoint refuses the key ({words})", _WRONG_KEY)
    return Problem(
        "rest_refused",
        "SUPABASE_URL",
        f"the endpoint refuses ({words})",
        "Look at the state of the project in Supabase's dashboard (paused? database down?)",
    )


def _unreachable(error: Exception) -> Problem:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLError):
        what = "its certificate or TLS is refused"
    elif isinstance(reason, socket.gaierror):
        what = "its name is not known"
    elif isinstance(reason, TimeoutError):
        what = "it does not answer in time"
    else:
        what = f"it cannot be reached ({getattr(reason, 'strerror', None) or type(reason).__name__})"
    return Problem(
        "rest_unreachable",
        "SUPABASE_URL",
        what,
        "Compare SUPABASE_URL in .env with the API settings of the project; see whether the project is paused",
    )


def _no_postgrest(what: str) -> Problem:
    return Problem(
        "rest_foreign",
        "SUPABASE_URL",
        f"{what}: there is no PostgREST behind this address",
        "Take the address from the API settings of the project in Supabase, without a path",
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that .env names, and to no other."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


# No proxy of the caller's: the app's own fetch uses none.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
