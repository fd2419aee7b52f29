"""What a look at the database's dashboard shows: rows, policies, grants, indexes, scheduled jobs. Reads only."""

from __future__ import annotations

from typing import Any

from . import schema as wanted

_STALE = "90 days"  # older failures of a job are history

_POLICIES = """
    SELECT c.relname, p.polname,
           CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                ELSE 'DELETE' END,
           CASE WHEN 0 = ANY (p.polroles) THEN ARRAY['everybody']
                ELSE ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY (p.polroles) ORDER BY 1) END
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %s AND c.relname = ANY (%s) ORDER BY 1, 2
"""
_GRANTS = """
    SELECT c.relname, coalesce(r.rolname, 'everybody'),
           array_agg(DISTINCT a.privilege_type::text ORDER BY a.privilege_type::text)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      LEFT JOIN pg_roles r ON r.oid = a.grantee
     WHERE n.nspname = %s AND c.relname = ANY (%s) AND a.grantee <> c.relowner GROUP BY 1, 2 ORDER BY 1, 2
"""
_INDEXES = """
    SELECT c.relname, x.relname, i.indisprimary, i.indisvalid,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]) ORDER BY a.attnum)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %s AND c.relname = ANY (%s) ORDER BY 1, 2
"""


def tables(connection: Any, schema: str) -> dict[str, dict[str, Any]]:
    """Policies, grants and indexes of each table that is there, as the dashboard shows them."""
    names = list(wanted.TABLES)
    there = connection.execute(
        "SELECT c.relname, c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = ANY (%s) AND c.relkind IN ('r', 'p') ORDER BY 1",
        [schema, names],
    ).fetchall()
    found: dict[str, dict[str, Any]] = {
        table: {"row_security": secured, "policies": [], "grants": {}, "indexes": []} for table, secured in there
    }
    for table, name, way, roles in connection.execute(_POLICIES, [schema, names]):
        found[table]["policies"].append({"name": name, "for": way, "to": roles})
    for table, role, rights in connection.execute(_GRANTS, [schema, names]):
        found[table]["grants"][role] = rights
    for table, name, primary, valid, columns in connection.execute(_INDEXES, [schema, names]):
        found[table]["indexes"].append({"name": name, "columns": columns, "primary": primary, "valid": valid})
    return found


def cron_jobs(connection: Any) -> list[dict[str, Any]] | None:
    """pg_cron's jobs that speak of the tables, and how the last run of each ended; None where there is no pg_cron."""
    readable = "SELECT to_regclass('cron.job') IS NOT NULL AND has_schema_privilege('cron', 'USAGE')"
    if not connection.execute(readable).fetchone()[0]:
        return None
    if not connection.execute("SELECT has_table_privilege('cron.job', 'SELECT')").fetchone()[0]:
        return None
    rows = connection.execute(
        "SELECT jobid, coalesce(to_jsonb(j) ->> 'jobname', jobid::text), schedule, command, active FROM cron.job j"
        " WHERE command ILIKE '%%whatsapp%%' ORDER BY 1"
    ).fetchall()
    return [
        {"name": name, "schedule": schedule, "command": command, "active": active, "last": _last_run(connection, job)}
        for job, name, schedule, command, active in rows
    ]


def _last_run(connection: Any, job: int) -> str | None:
    """`succeeded`, `failed` and the like, of a job's last run."""
    readable = "SELECT to_regclass('cron.job_run_details') IS NOT NULL"
    if not connection.execute(readable).fetchone()[0]:
        return None
    row = connection.execute(
        "SELECT status FROM cron.job_run_details WHERE jobid = %s AND start_time > now() - %s::interval"
        " ORDER BY start_time DESC LIMIT 1",
        [job, _STALE],
    ).fetchone()
    return row[0] if row else None


def rows_by_type(connection: Any, schema: str) -> dict[str, dict[str, dict[str, int]]]:
    """{company: {key type: {rows, expiring, no_string, old_buffers}}} of every login in the table.

    `no_string`: values that are no JSON string. `old_buffers`: bytes as numbers, which Baileys 7 does not revive.
    """
    from psycopg import sql

    found: dict[str, dict[str, dict[str, int]]] = {}
    statement = sql.SQL(
        """
        SELECT company_id, key_type, count(*), count(expires_at),
               count(*) FILTER (WHERE jsonb_typeof(value) <> 'string'), count(*) FILTER (WHERE {numbers})
          FROM {keys} GROUP BY 1, 2
        UNION ALL
        SELECT company_id, 'creds', 1, 0, 0, count(*) FILTER (WHERE {creds_numbers}) FROM {auth} GROUP BY 1
        """
    ).format(
        keys=sql.Identifier(schema, wanted.KEYS),
        auth=sql.Identifier(schema, wanted.AUTH),
        numbers=sql.SQL(_NUMBERS.format("value")),
        creds_numbers=sql.SQL(_NUMBERS.format("creds")),
    )
    for company, key_type, rows, expiring, no_string, old_buffers in connection.execute(statement):
        counts = {"rows": rows, "expiring": expiring, "no_string": no_string, "old_buffers": old_buffers}
        found.setdefault(company, {})[key_type] = counts
    return found


_NUMBERS = """jsonb_path_exists({}, '$.** ? (@.type == "Buffer" && @.data.type() == "array")')"""


def cleanup_source(connection: Any, schema: str) -> str | None:
    """The text of cleanup_expired_whatsapp_keys(): what it deletes by."""
    row = connection.execute(
        "SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname = %s AND p.proname = 'cleanup_expired_whatsapp_keys'",
        [schema],
    ).fetchone()
    return row[0] if row else None


def twins(connection: Any, schema: str) -> dict[str, int]:
    """{other schema: rows written since the statistics began} of tables of the same names elsewhere."""
    rows = connection.execute(
        "SELECT schemaname, sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables"
        " WHERE relname = ANY (%s) AND schemaname <> %s GROUP BY 1 ORDER BY 1",
        [[wanted.AUTH, wanted.KEYS], schema],
    )
    return dict(rows.fetchall())
