"""What the server's catalogue says of the tables, and the changes that `schema` describes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import schema as wanted
from .errors import Problem


@dataclass
class Findings:
    """The state of the schema. `missing`: tables and functions; `open_to`: roles that must not reach a login."""

    server_version: int = 0
    missing_tables: list[str] = field(default_factory=list)
    missing_functions: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    open_to: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        return self.missing_tables + [f"{name}()" for name in self.missing_functions]


class Catalogue:
    """One schema of one database. Every method runs inside the caller's transaction."""

    def __init__(self, connection: Any, schema: str) -> None:
        from psycopg import sql

        self._connection, self._schema, self._sql = connection, schema, sql
        self._names = {
            "schema": sql.Identifier(schema),
            "auth": sql.Identifier(schema, wanted.AUTH),
            "keys": sql.Identifier(schema, wanted.KEYS),
            "authority": sql.Identifier(schema, wanted.AUTHORITY),
            "touch": sql.Identifier(schema, "whatsapp_auth_touch"),
        }

    def inspect(self) -> Findings:
        """Everything that can be known before a row is written; reads only."""
        found = Findings(server_version=self._connection.info.server_version)
        if found.server_version < 120000:
            found.problems.append(
                Problem("server_version", "the database", "it is older than PostgreSQL 12", "Upgrade the server first")
            )
        if not self._value("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", self._schema):
            found.problems.append(
                Problem(
                    "schema_missing",
                    f"schema {self._schema}",
                    "it does not exist, or the role may not see it",
                    "Correct auth_state_schema",
                )
            )
            return found
        found.problems += self._role_problems()
        found.roles = self._roles()
        tables = self._tables()
        found.missing_tables = [table for table in wanted.TABLES if table not in tables]
        functions = self._functions()
        found.missing_functions = [name for name in wanted.FUNCTIONS if name not in functions]
        for table, facts in tables.items():
            self._inspect_table(table, facts, found)
        return found

    def create_missing(self, found: Findings) -> None:
        for statement in wanted.create(found.missing_tables, found.missing_functions, found.roles):
            self._connection.execute(self._sql.SQL(statement).format(**self._names))

    def harden(self, found: Findings) -> None:
        """Close the tables that are open: their policies for everybody go, the grants of anon and authenticated too."""
        for table in found.open_to:
            for policy in self._open_policies(table):
                self._connection.execute(
                    self._sql.SQL("DROP POLICY {} ON {}").format(
                        self._sql.Identifier(policy), self._sql.Identifier(self._schema, table)
                    )
                )
            for statement in wanted.close(table, set(found.roles)):
                self._connection.execute(self._sql.SQL(statement).format(**self._names))

    def _inspect_table(self, table: str, facts: dict[str, Any], found: Findings) -> None:
        where = f"table {table}"
        found.problems += wanted.column_problems(table, self._columns(table))
        if facts["primary_key"] != wanted.PRIMARY_KEYS[table]:
            found.problems.append(
                Problem(
                    "primary_key",
                    where,
                    f"its primary key is ({', '.join(facts['primary_key'])})",
                    f"It must be ({', '.join(wanted.PRIMARY_KEYS[table])}): one row per key of a login",
                )
            )
        if facts["unlogged"]:
            found.warnings.append(
                f"{where} is UNLOGGED: after a crash of the server it is empty, and the login with it."
                f" ALTER TABLE {table} SET LOGGED mends that, and locks the table meanwhile"
            )
        missing = [right for right in ("SELECT", "INSERT", "UPDATE", "DELETE") if not facts[right.lower()]]
        if missing:
            found.problems.append(
                Problem(
                    "privileges",
                    where,
                    f"the role {facts['role']} has no {', '.join(missing)} on it",
                    f"GRANT {', '.join(missing)} ON {table} TO that role",
                )
            )
        hidden = self._hidden(table) if facts["row_security_active"] else ""
        if hidden:
            found.problems.append(
                Problem(
                    "row_security",
                    where,
                    f"row level security keeps the role {facts['role']} from {hidden}",
                    "Connect as the owner or a role with BYPASSRLS, or give it a policy (docs/least-privilege.sql)",
                )
            )
        if facts["open"]:
            found.open_to.append(table)
            found.warnings.append(
                f"{where} can be reached by {', '.join(facts['open'])}: every login in it is open to whoever has that"
                " key. schema_harden=true closes it, once the app's own key is known not to need it"
            )
        for index in facts["value_indexes"]:
            found.warnings.append(
                f"{where}: index {index} covers the value; a large value may not fit into it (the copy tries it first)"
            )

    def _role_problems(self) -> list[Problem]:
        """Rights that are no table's. Rows wait for the merge in a temporary table."""
        role, database, usage, temporary = self._connection.execute(
            "SELECT current_user, current_database(), has_schema_privilege(%s, 'USAGE'),"
            " has_database_privilege(current_database(), 'TEMPORARY')",
            [self._schema],
        ).fetchone()
        needed = [(f"USAGE ON SCHEMA {self._schema}", usage), (f"TEMPORARY ON DATABASE {database}", temporary)]
        return [
            Problem("privileges", "the database", f"the role {role} has no {right}", f"GRANT {right} TO that role")
            for right, granted in needed
            if not granted
        ]

    def _tables(self) -> dict[str, dict[str, Any]]:
        rows = self._connection.execute(
            """
            SELECT c.relname,
                   current_user,
                   has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
                   has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'),
                   row_security_active(c.oid),
                   ARRAY(SELECT r.rolname::text FROM pg_roles r
                          WHERE r.rolname = ANY (%(public)s) AND NOT r.rolbypassrls
                            AND EXISTS (
                                SELECT FROM (VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd'))
                                         AS way (name, mark)
                                 WHERE has_table_privilege(r.oid, c.oid, way.name)
                                   AND (NOT c.relrowsecurity OR EXISTS (
                                        SELECT FROM pg_policy p
                                         WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', way.mark)
                                           AND (0 = ANY (p.polroles) OR r.oid = ANY (p.polroles)))))
                          ORDER BY 1),
                   ARRAY(SELECT a.attname::text FROM pg_constraint k
                           CROSS JOIN unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
                          WHERE k.conrelid = c.oid AND k.contype = 'p' ORDER BY u.place),
                   ARRAY(SELECT i.indexrelid::regclass::text FROM pg_index i
                           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                          WHERE i.indrelid = c.oid AND a.attname IN ('value', 'creds')),
                   c.relpersistence = 'u'
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND c.relkind IN ('r', 'p')
            """,
            {"schema": self._schema, "tables": list(wanted.TABLES), "public": list(wanted.PUBLIC_ROLES)},
        ).fetchall()
        names = ("role", "select", "insert", "update", "delete", "row_security_active", "open", "primary_key",
                 "value_indexes", "unlogged")  # fmt: skip
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}

    def _hidden(self, table: str) -> str:
        """What row level security keeps this role from; empty when it may see and write every row."""
        policies = self._connection.execute(
            """
            SELECT p.polname, p.polcmd::text, p.polpermissive,
                   coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
                   AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
              FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = %s AND c.relname = %s
               AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))
             ORDER BY 1
            """,
            [self._schema, table],
        ).fetchall()
        narrowing = [name for name, _way, permissive, everything in policies if not permissive and not everything]
        if narrowing:
            return f"some rows: policy {', '.join(narrowing)}"
        whole = {way for _name, way, permissive, everything in policies if permissive and everything}
        ways = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
        return ", ".join(name for way, name in ways.items() if not whole & {way, "*"})

    def _columns(self, table: str) -> dict[str, dict[str, Any]]:
        rows = self._connection.execute(
            """
            SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
              FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
            """,
            [self._schema, table],
        ).fetchall()
        return {
            name: {"type": kind, "not_null": not_null, "default": default} for name, kind, not_null, default in rows
        }

    def _functions(self) -> set[str]:
        rows = self._connection.execute(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = %s AND p.proname = ANY (%s)",
            [self._schema, list(wanted.FUNCTIONS)],
        )
        return {name for (name,) in rows}

    def _roles(self) -> list[str]:
        rows = self._connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [[*wanted.PUBLIC_ROLES, wanted.SERVICE_ROLE]]
        )
        return sorted(name for (name,) in rows)

    def _open_policies(self, table: str) -> list[str]:
        rows = self._connection.execute(
            """
            SELECT p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = %s AND c.relname = %s
               AND (0 = ANY (p.polroles) OR EXISTS (
                    SELECT FROM unnest(p.polroles) o JOIN pg_roles r ON r.oid = o WHERE r.rolname = ANY (%s)))
            """,
            [self._schema, table, list(wanted.PUBLIC_ROLES)],
        )
        return [name for (name,) in rows]

    def _value(self, text: str, *parameters: Any) -> Any:
        return self._connection.execute(text, parameters).fetchone()[0]
