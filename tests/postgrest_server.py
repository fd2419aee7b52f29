"""A stand-in for Supabase's REST endpoint: PostgREST's protocol and answers, over a real database with its real roles.

It reads what `select`, `eq.` and `in.(…)` name, as the role that the key stands for, so that grants and row level
security are PostgreSQL's own. What it answers for a bad key, a table it does not know and a role without rights is what
Supabase's gateway and PostgREST 13 answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql

SECRET = b"the-secret-of-the-stand-in-and-of-no-project"
ROLES = ("anon", "authenticated", "service_role")
Answer = tuple[int, Any]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_of(role: str, secret: bytes = SECRET) -> str:
    """A key as Supabase issues them: a JWT that names a role."""
    head = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    payload = _encoded(json.dumps({"iss": "supabase", "ref": "standin", "role": role, "exp": 2**31}).encode())
    signature = hmac.new(secret, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{_encoded(signature)}"


@dataclass
class Endpoint:
    """One that listens. `asked`: the paths, in order. `answer`: instead of what the database says."""

    url: str
    asked: list[str] = field(default_factory=list)
    answer: tuple[int, bytes] | None = None


@contextmanager
def running(admin_conninfo: str) -> Iterator[Endpoint]:
    """An endpoint over the database, which the superuser's conninfo names: it becomes each key's role."""
    endpoint = Endpoint("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.asked.append(self.path)
            if endpoint.answer is not None:
                status, body = endpoint.answer
            else:
                status, rows = _answer(admin_conninfo, self.path, self.headers)
                body = json.dumps(rows, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


def _answer(conninfo: str, target: str, headers: Message) -> Answer:
    key = headers.get("apikey", "")
    role = next((each for each in ROLES if hmac.compare_digest(key, key_of(each))), None)
    if not key:
        return 401, {"message": "No API key found in request", "hint": "No `apikey` request header or url param."}
    if role is None:
        hint = "Double check your Supabase `anon` or `service_role` API key."
        return 401, {"message": "Invalid API key", "hint": hint}
    if headers.get("Authorization") != f"Bearer {key}":
        return 401, _error("PGRST301", "JWSError JWSInvalidSignature")
    path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
    matched = re.fullmatch(r"/rest/v1/(\w+)", path)
    if not matched:
        return 404, _error("PGRST125", "Invalid path specified in request URL")
    schema = headers.get("Accept-Profile", "public")
    if schema != "public":
        return 406, _error("PGRST106", f"Invalid schema: {schema}", "Only the following schemas are exposed: public")
    return _rows(conninfo, role, schema, matched[1], query)


def _rows(conninfo: str, role: str, schema: str, table: str, query: dict[str, str]) -> Answer:
    columns = sql.SQL(", ").join(sql.Identifier(each) for each in query.pop("select", "*").split(","))
    conditions, values = [sql.SQL("true")], []
    for column, condition in query.items():
        conditions.append(sql.SQL("{}::text = ANY (%s)").format(sql.Identifier(column)))
        values.append(_wanted(condition))
    read = sql.SQL("SELECT coalesce(json_agg(found), '[]') FROM (SELECT {} FROM {} WHERE {}) found").format(
        columns, sql.Identifier(schema, table), sql.SQL(" AND ").join(conditions)
    )
    try:
        with psycopg.connect(conninfo) as connection:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            return 200, connection.execute(read, values).fetchone()[0]
    except psycopg.errors.InsufficientPrivilege as error:
        return (401 if role == "anon" else 403), _error("42501", str(error.diag.message_primary))
    except psycopg.errors.UndefinedTable:
        return 404, _error("PGRST205", f"Could not find the table '{schema}.{table}' in the schema cache")
    except psycopg.OperationalError:
        return 503, _error("PGRST000", "Database connection error. Retrying the connection.")


def _wanted(condition: str) -> list[str]:
    operator, _, rest = condition.partition(".")
    if operator == "eq":
        return [rest]
    assert operator == "in", condition
    assert rest[0] == "(", condition
    assert rest[-1] == ")", condition
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    return [re.sub(r"\\(.)", r"\1", each) for each in quoted]


def _error(code: str, message: str, hint: str | None = None) -> dict[str, Any]:
    return {"code": code, "details": None, "hint": hint, "message": message}
