"""The tables that the bot reads, as SQL to create them and as what must be found of them.

On Supabase a policy `FOR ALL USING (true)` that names no role lets `anon` read every login. The tables made here
are closed: row level security on, no policy but for `service_role`, nothing granted to `anon` and `authenticated`.
Tables that are there already are described, never changed, unless told to (`harden`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import Problem

AUTH, KEYS, AUTHORITY = "whatsapp_auth", "whatsapp_keys", "whatsapp_auth_authority"
TABLES = (AUTH, KEYS, AUTHORITY)
PUBLIC_ROLES = ("anon", "authenticated")
SERVICE_ROLE = "service_role"

# Column -> type, as pg_catalog.format_type names it.
COLUMNS: dict[str, dict[str, str]] = {
    AUTH: {
        "company_id": "text",
        "creds": "jsonb",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    KEYS: {
        "company_id": "text",
        "key_type": "text",
        "key_id": "text",
        "value": "jsonb",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
        "expires_at": "timestamp with time zone",
    },
    AUTHORITY: {
        "company_id": "text",
        "store": "text",
        "moving_to": "text",
        "host": "text",
        "since": "text",
        "revision": "integer",
    },
}
PRIMARY_KEYS = {AUTH: ["company_id"], KEYS: ["company_id", "key_type", "key_id"], AUTHORITY: ["company_id"]}
FUNCTIONS = ("cleanup_expired_whatsapp_keys", "get_whatsapp_auth_stats")

_CREATE_TABLE = {
    AUTH: """
CREATE TABLE {auth} (
    company_id text PRIMARY KEY,
    creds jsonb NOT NULL,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TRIGGER whatsapp_auth_updated_at BEFORE UPDATE ON {auth}
    FOR EACH ROW EXECUTE FUNCTION {touch}();
""",
    KEYS: """
CREATE TABLE {keys} (
    company_id text NOT NULL,
    key_type text NOT NULL,
    key_id text NOT NULL,
    value jsonb NOT NULL,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (company_id, key_type, key_id)
);
COMMENT ON COLUMN {keys}.expires_at IS 'NULL: never';
CREATE INDEX whatsapp_keys_expires_at ON {keys} (expires_at) WHERE expires_at IS NOT NULL;
CREATE TRIGGER whatsapp_keys_updated_at BEFORE UPDATE ON {keys}
    FOR EACH ROW EXECUTE FUNCTION {touch}();
""",
    AUTHORITY: """
CREATE TABLE {authority} (
    company_id text PRIMARY KEY,
    store text NOT NULL CHECK (store IN ('files', 'database')),
    moving_to text CHECK (moving_to IN ('files', 'database')),
    host text NOT NULL,
    since text NOT NULL,
    revision integer NOT NULL
);
COMMENT ON TABLE {authority} IS 'Which store holds the complete and current login, and on which host';
""",
}

_TOUCH = """
CREATE OR REPLACE FUNCTION {touch}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$;
"""

_CREATE_FUNCTION = {
    "cleanup_expired_whatsapp_keys": """
CREATE FUNCTION {schema}.cleanup_expired_whatsapp_keys() RETURNS TABLE (deleted_count bigint)
LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM {keys} WHERE expires_at IS NOT NULL AND expires_at < now() RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
""",
    "get_whatsapp_auth_stats": """
CREATE FUNCTION {schema}.get_whatsapp_auth_stats()
RETURNS TABLE (
    total_companies bigint, total_keys bigint, expired_keys bigint, active_keys bigint, db_size_bytes bigint
)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM {auth}),
           count(*),
           count(*) FILTER (WHERE expires_at < now()),
           count(*) FILTER (WHERE expires_at IS NULL OR expires_at >= now()),
           pg_total_relation_size('{auth}') + pg_total_relation_size('{keys}')
      FROM {keys}
$$;
""",
}

_CLOSE_TABLE = "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"

# For a role with only the rights that the migration needs; {role} is an identifier of the operator's choice.
# docs/least-privilege.sql is the same for psql.
LEAST_PRIVILEGE = """
GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {auth}, {keys}, {authority} TO {role};
GRANT EXECUTE ON FUNCTION {schema}.get_whatsapp_auth_stats() TO {role};
CREATE POLICY mover ON {auth} FOR ALL TO {role} USING (true) WITH CHECK (true);
CREATE POLICY mover ON {keys} FOR ALL TO {role} USING (true) WITH CHECK (true);
CREATE POLICY mover ON {authority} FOR ALL TO {role} USING (true) WITH CHECK (true);
"""


def create(missing_tables: Iterable[str], missing_functions: Iterable[str], roles: Iterable[str]) -> list[str]:
    """The statements, with {placeholders} for identifiers, that add what is missing and close what they add.

    `roles`: those of Supabase's that exist on the server.
    """
    tables, functions, present = list(missing_tables), list(missing_functions), set(roles)
    statements = [_TOUCH] if {AUTH, KEYS} & set(tables) else []
    for table in tables:
        statements += [_CREATE_TABLE[table], *close(table, present)]
    for function in functions:
        signature = f"{{schema}}.{function}()"
        statements += [_CREATE_FUNCTION[function], f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;"]
        statements += [f"REVOKE ALL ON FUNCTION {signature} FROM {role};" for role in PUBLIC_ROLES if role in present]
        if SERVICE_ROLE in present:
            statements.append(f"GRANT EXECUTE ON FUNCTION {signature} TO {SERVICE_ROLE};")
    return statements


def close(table: str, roles: set[str]) -> list[str]:
    """The statements that leave a table to its owner and, where that role exists, to service_role."""
    name = _placeholder(table)
    statements = [_CLOSE_TABLE.replace("{table}", name), f"REVOKE ALL ON {name} FROM PUBLIC;"]
    statements += [f"REVOKE ALL ON {name} FROM {role};" for role in PUBLIC_ROLES if role in roles]
    if SERVICE_ROLE in roles and table != AUTHORITY:
        statements.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {SERVICE_ROLE};")
        statements.append(f"DROP POLICY IF EXISTS service_role_all ON {name};")
        statements.append(
            f"CREATE POLICY service_role_all ON {name} FOR ALL TO {SERVICE_ROLE} USING (true) WITH CHECK (true);"
        )
    return statements


def _placeholder(table: str) -> str:
    return {AUTH: "{auth}", KEYS: "{keys}", AUTHORITY: "{authority}"}[table]


def column_problems(table: str, found: dict[str, dict[str, Any]]) -> list[Problem]:
    """What of a table that exists stands in the way. `found`: {column: {type, not_null, default}}."""
    where = f"table {table}"
    problems = []
    for column, wanted in COLUMNS[table].items():
        have = found.get(column)
        if have is None:
            problems.append(
                Problem(
                    "column_missing",
                    where,
                    f"it has no column {column}",
                    f"Add it: ALTER TABLE {table} ADD COLUMN {column} {wanted}",
                )
            )
        elif have["type"] != wanted and not (wanted == "text" and have["type"].startswith("character varying")):
            problems.append(
                Problem(
                    "column_type",
                    where,
                    f"its column {column} is {have['type']}, and the app and the migration need {wanted}",
                    "Compare it with the SQL of the original migration",
                )
            )
    for column, have in found.items():
        if column not in COLUMNS[table] and have["not_null"] and not have["default"]:
            problems.append(
                Problem(
                    "column_foreign",
                    where,
                    f"its column {column} is NOT NULL without a default, so no row can be added",
                    f"Give it a default: ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT …",
                )
            )
    return problems
