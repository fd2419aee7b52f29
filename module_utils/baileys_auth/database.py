"""The two tables in PostgreSQL, through a psycopg 3 connection. Nothing else of this package needs psycopg.

Works through a transaction-mode pooler: no session state, no prepared statements, advisory locks of the
transaction alone. The digest of a row is computed by the server from the text of its jsonb, so comparing a
whole login moves 32 bytes a key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, NamedTuple

from . import dashboard, values
from .authority import Record
from .errors import AuthStateError, Problem
from .identity import identity_digest
from .names import CREDS, Key

CONNECT_TIMEOUT = 10  # seconds
_LOCK_TIMEOUT = "10s"
_CHUNK = 1 << 16  # bytes handed to COPY at once
# What to do about what PostgreSQL says, by SQLSTATE.
_REMEDIES = {
    "42P01": "Apply the SQL migration: baileys_auth_schema, or deploy.yml with auth_state_manage_schema=true",
    "42501": "Give the role the rights in docs/least-privilege.sql",
    "54000": "An index covers a value that is too large for it: drop that index",
    "55P03": "Something holds a lock on the tables: look at pg_stat_activity, then run again",
}
_FEW = 0.3  # below this share of a login's rows, they are fetched by key; above, the whole is streamed


class Row(NamedTuple):
    """What a comparison needs of a row. `expires_at`: seconds since the epoch, None for never."""

    digest: bytes
    expires_at: float | None


@contextmanager
def connect(conninfo: str) -> Iterator[Any]:
    """An open psycopg connection. Raises AuthStateError when there is no psycopg, no server or no entry.

    No message holds the conninfo: psycopg's own name host, port, user and database, never the password.
    """
    if not conninfo.strip():  # libpq would look for a server on this very host
        raise AuthStateError(
            Problem(
                "database_url",
                "database_url",
                "it is not set, or empty",
                "Run it where the inventory's vault.yml is, or with DATABASE_URL exported in this shell",
            )
        )
    try:
        import psycopg
    except ImportError:
        raise AuthStateError(
            Problem(
                "psycopg_missing",
                "this host's Python",
                "psycopg 3 cannot be imported, so the database cannot be reached",
                "deploy.yml (or repair.yml) brings it, check mode does not; or install python3-psycopg",
            )
        ) from None
    try:
        connection = psycopg.connect(
            conninfo, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=None, application_name="baileys_auth_state",
            client_encoding="utf8",
        )  # fmt: skip
    except psycopg.ProgrammingError:
        raise AuthStateError(
            Problem(
                "database_url", "database_url", "it is no PostgreSQL connection string", "Write it as postgresql://…"
            )
        ) from None
    except psycopg.OperationalError as error:
        raise AuthStateError(_unreachable(error)) from None
    with connection:
        yield connection


def _unreachable(error: Exception) -> Problem:
    text = " ".join(str(error).split())
    if "connection to server" not in text and "resolve host" not in text:
        # libpq quotes what it cannot read, which may be a piece of a password that is not percent-encoded.
        text = re.sub(r"""["'][^"']*["']""", "…", text)
    if "password authentication failed" in text:
        return Problem("database_password", "the database", text, "Correct the password in database_url")
    if "certificate" in text or "SSL" in text:
        return Problem("database_tls", "the database", text, "Correct sslmode, sslrootcert or the host in database_url")
    if "does not exist" in text:
        return Problem("database_unreachable", "the database", text, "Correct user and database in database_url")
    if "permission denied" in text:
        return Problem(
            "database_unreachable", "the database", text, "Give the role the rights in docs/least-privilege.sql"
        )
    return Problem(
        "database_unreachable",
        "the database",
        text or "no answer",
        "Start it, or correct host and port in database_url",
    )


class Database:
    """One login's rows in one schema. Every method runs inside the caller's transaction."""

    def __init__(self, connection: Any, schema: str = "public") -> None:
        from psycopg import sql

        self._connection, self._schema = connection, schema
        self._sql = sql
        self._tables = {
            "auth": sql.Identifier(schema, "whatsapp_auth"),
            "keys": sql.Identifier(schema, "whatsapp_keys"),
            "authority": sql.Identifier(schema, "whatsapp_auth_authority"),
            "stats": sql.Identifier(schema, "get_whatsapp_auth_stats"),
        }
        self._authority_name = self._tables["authority"].as_string(connection)
        self._stats_name = self._tables["stats"].as_string(connection) + "()"

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[None]:
        """A transaction that no timeout of the role's ends. `snapshot`: it sees one state, and writes none."""
        with self._connection.transaction():
            if snapshot:
                self._run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            limits = {
                "lock_timeout": _LOCK_TIMEOUT,
                "statement_timeout": "0",
                "idle_in_transaction_session_timeout": "0",
                # What is told to be committed has to be there after a crash, whatever the role's own setting is.
                "synchronous_commit": "on",
            }
            if self._connection.info.server_version >= 170000:
                limits["transaction_timeout"] = "0"
            columns = ", ".join("set_config(%s, %s, true)" for _ in limits)
            self._run(f"SELECT {columns}", [text for limit in limits.items() for text in limit])
            yield

    @contextmanager
    def transfer(self, company_id: str) -> Iterator[None]:
        """A transaction that has the login to itself. Raises AuthStateError when another run has it."""
        with self.transaction():
            self._lock(company_id)
            yield

    def _lock(self, company_id: str) -> None:
        taken = self._run(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('baileys_auth_state/' || %s, 0))", [company_id]
        ).fetchone()[0]
        if not taken:
            raise AuthStateError(
                Problem(
                    "locked",
                    f"company {company_id}",
                    "another run is moving this login right now",
                    "Wait for it to end, then look at it with status.yml or run again",
                )
            )

    # Reading

    def digests(self, company_id: str) -> dict[Key, Row]:
        """Every row of the login, creds among them; none where there are no tables yet."""
        if not self.has_tables():
            return {}
        cursor = self._connection.cursor(binary=True)
        cursor.execute(
            self._statement(
                """
                SELECT 'creds', '', sha256(convert_to(creds::text, 'UTF8')), NULL::float8
                  FROM {auth} WHERE company_id = %(company)s
                UNION ALL
                SELECT key_type, key_id, sha256(convert_to(value::text, 'UTF8')),
                       CASE WHEN isfinite(expires_at) THEN extract(epoch FROM expires_at)::float8 END
                  FROM {keys} WHERE company_id = %(company)s
                """
            ),
            {"company": company_id},
        )
        types: dict[str, str] = {}
        rows = {}
        while chunk := cursor.fetchmany(10_000):
            for key_type, key_id, digest, expires_at in chunk:
                rows[Key(types.setdefault(key_type, key_type), key_id)] = Row(bytes(digest), expires_at)
        return rows

    def set_digest(self, company_id: str) -> str | None:
        """What manifest.set_digest makes of `digests`, worked out by the server: one value instead of every row's.

        None where there are no tables yet.
        """
        if not self.has_tables():
            return None
        (digest,) = self._run(
            """
            SELECT encode(sha256(coalesce(string_agg(part, '' ORDER BY part), '')), 'hex')
              FROM (SELECT 'creds'::bytea || '\\000\\000' || sha256(convert_to(creds::text, 'UTF8')) AS part
                      FROM {auth} WHERE company_id = %(company)s
                    UNION ALL
                    SELECT convert_to(key_type, 'UTF8') || '\\000' || convert_to(key_id, 'UTF8') || '\\000'
                           || sha256(convert_to(value::text, 'UTF8'))
                      FROM {keys} WHERE company_id = %(company)s) AS parts
            """,
            {"company": company_id},
        ).fetchone()
        return digest

    def expiries(self, company_id: str) -> dict[Key, float]:
        """Of the rows that have one."""
        rows = self._run(
            """
            SELECT key_type, key_id, extract(epoch FROM expires_at)::float8
              FROM {keys} WHERE company_id = %s AND isfinite(expires_at)
            """,
            [company_id],
        )
        return {Key(key_type, key_id): expires_at for key_type, key_id, expires_at in rows}

    def has_login(self, company_id: str) -> bool:
        return (
            self.has_tables()
            and self._run("SELECT EXISTS (SELECT FROM {auth} WHERE company_id = %s)", [company_id]).fetchone()[0]
        )

    def count(self, company_id: str) -> int:
        """How many keys it has."""
        if not self.has_tables():
            return 0
        return self._run("SELECT count(*) FROM {keys} WHERE company_id = %s", [company_id]).fetchone()[0]

    def values(self, company_id: str, wanted: Collection[Key], total: int) -> Iterator[tuple[Key, bytes]]:
        """(key, jsonb text) of the wanted rows, in bounded memory. `total`: how many rows the login has."""
        if CREDS in wanted:
            for (text,) in self._run("SELECT creds::text FROM {auth} WHERE company_id = %s", [company_id]):
                yield CREDS, text.encode("utf-8")
        keys = [key for key in wanted if key != CREDS]
        if len(keys) <= total * _FEW:
            yield from self._values_by_key(company_id, keys)
            return
        chosen = set(keys)
        select = self._statement(
            "COPY (SELECT key_type, key_id, value::text FROM {keys} WHERE company_id = %s) TO STDOUT"
        )
        with self._connection.cursor().copy(select, [company_id]) as copy:
            for key_type, key_id, text in copy.rows():
                key = Key(key_type, key_id)
                if key in chosen:
                    yield key, text.encode("utf-8")

    def _values_by_key(self, company_id: str, keys: list[Key]) -> Iterator[tuple[Key, bytes]]:
        for start in range(0, len(keys), 1000):
            part = keys[start : start + 1000]
            rows = self._run(
                """
                SELECT key_type, key_id, value::text FROM {keys}
                  JOIN unnest(%s::text[], %s::text[]) AS wanted (key_type, key_id) USING (key_type, key_id)
                 WHERE company_id = %s
                """,
                [[key.type for key in part], [key.id for key in part], company_id],
            )
            for key_type, key_id, text in rows:
                yield Key(key_type, key_id), text.encode("utf-8")

    def rows(self, company_id: str) -> Iterator[dict[str, Any]]:
        """Every row of the login as it is, creds first; values as jsonb text."""
        for (text,) in self._run("SELECT creds::text FROM {auth} WHERE company_id = %s", [company_id]):
            yield {"key_type": CREDS.type, "key_id": CREDS.id, "value": text}
        select = self._statement(
            "COPY (SELECT key_type, key_id, value::text, expires_at FROM {keys} WHERE company_id = %s) TO STDOUT"
        )
        with self._connection.cursor().copy(select, [company_id]) as copy:
            for key_type, key_id, text, expires_at in copy.rows():
                yield {"key_type": key_type, "key_id": key_id, "value": text, "expires_at": expires_at}

    def companies(self) -> dict[str, str | None]:
        """{company id: the account's own jid} of every login in the table."""
        if not self.has_tables():
            return {}
        return dict(self._run("SELECT company_id, creds -> 'me' ->> 'id' FROM {auth} ORDER BY 1").fetchall())

    def identity(self, company_id: str) -> str | None:
        """The identity digest of the login in the database; None when these are no creds."""
        (text,) = self._run("SELECT creds::text FROM {auth} WHERE company_id = %s", [company_id]).fetchone()
        try:
            return identity_digest(values.load(values.canonical(text.encode(), CREDS.type)))
        except ValueError:
            return None

    def stats(self) -> dict[str, int]:
        """What get_whatsapp_auth_stats() answers, by column. Raises LookupError without it, or the tables it reads."""
        if not self.has_tables() or self._run("SELECT to_regprocedure(%s) IS NULL", [self._stats_name]).fetchone()[0]:
            raise LookupError("get_whatsapp_auth_stats")
        cursor = self._run("SELECT * FROM {stats}()")
        return dict(zip([column.name for column in cursor.description], cursor.fetchone(), strict=True))

    def dashboard(self) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]] | None]:
        """(policies, grants and indexes by table, the jobs of pg_cron or None where it is not)."""
        return dashboard.tables(self._connection, self._schema), dashboard.cron_jobs(self._connection)

    # Writing

    def stage(self, company_id: str, *, first: bool = False) -> Stage:
        """Where the rows of one transfer wait for the merge; gone with the transaction.

        `first`: there is no row to merge with, so they go straight into the table, while the next ones are read.
        """
        if first and not self._filters_rows():
            columns = "company_id, created_at, updated_at, key_type, key_id, value, expires_at"
            return Stage(
                self._connection, self._statement(f"COPY {{keys}} ({columns}) FROM STDIN"), f"{company_id}\tnow\tnow\t"
            )
        self._run(
            """
            CREATE TEMPORARY TABLE baileys_auth_staged
                (key_type text NOT NULL, key_id text NOT NULL, value jsonb NOT NULL, expires_at timestamptz)
                ON COMMIT DROP
            """
        )
        return Stage(self._connection, "COPY baileys_auth_staged (key_type, key_id, value, expires_at) FROM STDIN")

    def _filters_rows(self) -> bool:
        """Whether row level security holds for this role: then PostgreSQL refuses COPY into the table."""
        return self._run(
            "SELECT row_security_active(%s)", [self._tables["keys"].as_string(self._connection)]
        ).fetchone()[0]

    def merge(self, company_id: str) -> None:
        """The staged rows into the table, in one statement."""
        self._run(
            """
            INSERT INTO {keys} AS present
                   (company_id, key_type, key_id, value, expires_at, created_at, updated_at)
            SELECT %s, key_type, key_id, value, expires_at, now(), now() FROM baileys_auth_staged
                ON CONFLICT (company_id, key_type, key_id)
                DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, updated_at = now()
            """,
            [company_id],
        )

    def add_missing(self, company_id: str) -> None:
        """The staged rows into the table, but for those that are there."""
        self._run(
            """
            INSERT INTO {keys} (company_id, key_type, key_id, value, expires_at, created_at, updated_at)
            SELECT %s, key_type, key_id, value, expires_at, now(), now() FROM baileys_auth_staged
                ON CONFLICT (company_id, key_type, key_id) DO NOTHING
            """,
            [company_id],
        )

    def write_creds(self, company_id: str, creds: bytes) -> None:
        self._run(
            """
            INSERT INTO {auth} (company_id, creds) VALUES (%s, %s::jsonb)
                ON CONFLICT (company_id) DO UPDATE SET creds = excluded.creds, updated_at = now()
            """,
            [company_id, creds.decode("utf-8")],
        )

    def keep(self, company_id: str, keys: Iterable[Key]) -> None:
        """Take the expiry off these rows."""
        chosen = list(keys)
        self._run(
            """
            UPDATE {keys} AS present SET expires_at = NULL, updated_at = now()
              FROM unnest(%s::text[], %s::text[]) AS kept (key_type, key_id)
             WHERE company_id = %s AND present.key_type = kept.key_type AND present.key_id = kept.key_id
            """,
            [[key.type for key in chosen], [key.id for key in chosen], company_id],
        )

    def delete(self, company_id: str, keys: Iterable[Key]) -> None:
        chosen = list(keys)
        self._run(
            """
            DELETE FROM {keys} AS present USING unnest(%s::text[], %s::text[]) AS gone (key_type, key_id)
             WHERE company_id = %s AND present.key_type = gone.key_type AND present.key_id = gone.key_id
            """,
            [[key.type for key in chosen], [key.id for key in chosen], company_id],
        )

    def has_tables(self) -> bool:
        names = [self._tables[name].as_string(self._connection) for name in ("auth", "keys")]
        return self._run("SELECT to_regclass(%s) IS NOT NULL AND to_regclass(%s) IS NOT NULL", names).fetchone()[0]

    # The record of which store is right

    def has_authority_table(self) -> bool:
        return self._run("SELECT to_regclass(%s) IS NOT NULL", [self._authority_name]).fetchone()[0]

    def record(self, company_id: str) -> Record | None:
        if not self.has_authority_table():
            return None
        row = self._run(
            "SELECT store, moving_to, host, since, revision FROM {authority} WHERE company_id = %s", [company_id]
        ).fetchone()
        return Record(*row) if row else None

    def write_record(self, company_id: str, record: Record) -> None:
        if not self.has_authority_table():
            return
        self._run(
            """
            INSERT INTO {authority} (company_id, store, moving_to, host, since, revision)
            VALUES (%s, %s, %s, %s, %s, %s)
                ON CONFLICT (company_id) DO UPDATE
               SET store = excluded.store, moving_to = excluded.moving_to, host = excluded.host,
                   since = excluded.since, revision = excluded.revision
            """,
            [company_id, record.store, record.moving_to, record.host, record.since, record.revision],
        )

    def _statement(self, text: str) -> Any:
        return self._sql.SQL(text).format(**self._tables)

    def _run(self, text: str, parameters: Any = None) -> Any:
        return self._connection.execute(self._statement(text), parameters)


class Stage:
    """COPY of rows, each behind `lead`. A context manager: leaving it ends the COPY."""

    def __init__(self, connection: Any, statement: Any, lead: str = "") -> None:
        self._copy_manager = connection.cursor().copy(statement)
        self._lead = lead
        self._buffer = bytearray()
        self.rows = 0

    @property
    def waiting(self) -> bool:
        """Whether there are rows that still have to be merged into the table."""
        return bool(self.rows) and not self._lead

    def __enter__(self) -> Stage:
        self._copy = self._copy_manager.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._flush()
        self._copy_manager.__exit__(*error)

    def add(self, key: Key, canonical: bytes, expires_at: float | None) -> None:
        """One row. Neither an id nor a canonical value can hold a raw tab or newline; a backslash is doubled."""
        expiry = "\\N" if expires_at is None else datetime.fromtimestamp(expires_at, timezone.utc).isoformat()
        key_id = key.id.replace("\\", "\\\\")
        self._buffer += f"{self._lead}{key.type}\t{key_id}\t".encode()
        self._buffer += canonical.replace(b"\\", b"\\\\")
        self._buffer += f"\t{expiry}\n".encode("ascii")
        self.rows += 1
        if len(self._buffer) >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._copy.write(bytes(self._buffer))
            self._buffer.clear()


def refusal(error: Exception, where: str) -> Problem:
    """A database error for people, without the row that caused it. An error that is not psycopg's is raised again."""
    state = getattr(error, "sqlstate", None)
    if not type(error).__module__.startswith("psycopg"):
        raise error
    text = str(getattr(getattr(error, "diag", None), "message_primary", None) or "the connection was lost")
    return Problem(
        "database_error",
        where,
        f"PostgreSQL refused ({state or 'no answer'}): {text}",
        f"Nothing was kept, the transaction was rolled back. {_REMEDIES.get(state, 'Fix it and run again')}",
    )
