"""Checks of the database. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..baileys_auth.names import CREDS_TYPE, LID_MAPPING
from ..baileys_auth.schema import AUTH, KEYS
from ..node_host.problems import Problem
from .check import Note, Said, Unknown, note
from .facts import Facts

# What the original migration script made of Baileys' key types: it split file names at the first hyphen.
ORIGINAL_TYPES = frozenset({"app", "lid", "pre", "sender", "device", "identity", "contacts"})
_AS_STRINGS = (
    f"UPDATE {KEYS} SET value = to_jsonb(value #>> '{{}}')"
    f" WHERE key_type = '{LID_MAPPING}' AND jsonb_typeof(value) = 'number'"
)
_NOT_ASKED = "the database could not be asked"
NOT_READ = "the tables are not as they should be, so their rows were not read: see the check tables"


def database(facts: Facts) -> Said:
    if any(each.code == "psycopg_missing" for each in facts.database.refused):
        return Unknown("psycopg is not on this host yet, so nothing could be asked: deploy.yml brings it")
    if facts.database.refused:
        return facts.database.refused
    took, allowed = facts.database.latency_ms, facts.limits.latency_ms
    if 0 < allowed < took:
        what = f"it answers in {took:.0f} ms, and {allowed:.0f} are allowed: each message waits for several answers"
        return [
            Problem("database_slow", "the database", what, "Look at its load (pg_stat_activity), and at the way to it")
        ]
    return f"it answers in {took:.0f} ms"


def tables(facts: Facts) -> Said:
    if facts.database.refused:
        return Unknown(_NOT_ASKED)
    found = list(facts.database.problems)
    if facts.database.missing:
        what = f"{', '.join(facts.database.missing)} not there: the app would say that the table does not exist"
        remedy = "Apply the SQL: ansible-playbook deploy.yml --tags schema"
        if facts.store == "database" and {AUTH, KEYS} & set(facts.database.missing):
            # With the flag on no deploy begins without the login.
            remedy = "Back to the files first: ansible-playbook rollback.yml -e rollback_source=files"
            remedy += " -e auth_state_conflict=files; then ansible-playbook deploy.yml, which makes them"
        missing = Problem("tables_missing", "the database", what, remedy)
        # Before the first deploy they are not missed.
        found.append(missing if facts.store == "database" else note(missing))
    return found or "tables and functions are there, as the app reads them"


def access(facts: Facts) -> Said:
    if facts.database.refused:
        return Unknown(_NOT_ASKED)
    what = "anon or authenticated can reach it: whoever has the key that browsers get reads every login"
    remedy = "Give the app the service_role key if it has the anon key (the check rest says), then"
    remedy += " ansible-playbook deploy.yml -e schema_harden=true"
    return [Problem("table_open", f"table {table}", what, remedy) for table in facts.database.open_to] or (
        "closed to anon and authenticated"
    )


def indexes(facts: Facts) -> Said:
    if facts.database.refused:
        return Unknown(_NOT_ASKED)
    found: list[Problem] = []
    for table, seen in facts.database.tables.items():
        for index in seen["indexes"]:
            if {"value", "creds"} & set(index["columns"]):
                what = f"index {index['name']} covers the value: a large one does not fit, and the app's write fails"
                found.append(Problem("index_on_value", f"table {table}", what, f"DROP INDEX {index['name']}"))
            elif not index["valid"]:
                what = f"index {index['name']} is invalid"
                found.append(Problem("index_invalid", f"table {table}", what, f"REINDEX INDEX {index['name']}"))
    keys = facts.database.tables.get(KEYS)
    if keys and not any("expires_at" in index["columns"] for index in keys["indexes"]):
        what = "no index on expires_at: each cleanup reads the whole table"
        sql = f"CREATE INDEX ON {KEYS} (expires_at) WHERE expires_at IS NOT NULL"
        found.append(Note("index_missing", f"table {KEYS}", what, sql))
    return found or "on the keys and on expires_at, none on a value"


def _unread(facts: Facts) -> Unknown | None:
    """Why nothing is known of the rows; None where they were read."""
    if facts.database.refused:
        return Unknown(_NOT_ASKED)
    return Unknown(NOT_READ) if facts.database.problems else None


def rows(facts: Facts) -> Said:
    if unread := _unread(facts):
        return unread
    if facts.store == "files":
        return "the flag names the files"
    found = [each for each in facts.info_problems if each.code == "flag_without_login"]
    without = {company for company in facts.companies if CREDS_TYPE not in facts.database.rows.get(company, {})}
    if not found:
        what = f"the flag is on, and {AUTH} has no row of it: at its next start the app makes a NEW login"
        remedy = "Off again before anything else: ansible-playbook rollback.yml -e rollback_source=files"
        remedy += " -e auth_state_conflict=files"
        found = [Problem("row_missing", f"company {each}", what, remedy) for each in sorted(without)]
    for company in facts.companies:
        if company not in without and len(facts.database.rows[company]) == 1:
            what = f"{KEYS} has no row of it: no message that it gets can be read"
            remedy = "If the files are whole: ansible-playbook rollback.yml -e rollback_source=files"
            found.append(Problem("keys_missing", f"company {company}", what, remedy))
    return found or "; ".join(_counts(facts, company) for company in facts.companies)


def _counts(facts: Facts, company: str) -> str:
    types = {name: seen["rows"] for name, seen in sorted(facts.database.rows[company].items()) if name != CREDS_TYPE}
    listed = ", ".join(f"{name} {count}" for name, count in types.items())
    return f"company {company}: {sum(types.values())} keys ({listed})"


def key_types(facts: Facts) -> Said:
    if unread := _unread(facts):
        return unread
    found: list[Problem] = []
    repair = "ansible-playbook repair.yml --check, which says what it would do; then without --check"
    for company, types in facts.database.rows.items():
        where = f"company {company}"
        original = sorted(types.keys() & ORIGINAL_TYPES - facts.key_types)
        foreign = sorted(types.keys() - facts.key_types - set(original) - {CREDS_TYPE})
        if original:
            count = sum(types[name]["rows"] for name in original)
            what = (
                f"{count} row(s) of the types {', '.join(original)}, which the original migration script made: the app"
            )
            what += " never finds them"
            found.append(Problem("original_types", where, what, repair))
        if foreign:
            what = f"rows of the types {', '.join(foreign)}, which Baileys does not have"
            remedy = "If a newer Baileys writes them, name them in auth_state_key_types"
            found.append(Problem("foreign_types", where, what, remedy))
        if types.get(LID_MAPPING, {}).get("no_string"):
            what = (
                f"{types[LID_MAPPING]['no_string']} lid-mapping(s) are no JSON string: Baileys takes them for missing"
            )
            found.append(Problem("lid_mapping_number", where, what, _AS_STRINGS))
        bytes_ = sum(seen["old_buffers"] for seen in types.values())
        if bytes_:
            what = f"{bytes_} value(s) hold bytes as a list of numbers, which Baileys 7 does not read"
            remedy = "A copy writes them right: ansible-playbook rollback.yml, then ansible-playbook deploy.yml"
            found.append(Problem("old_buffers", where, what, remedy))
    return found or "only Baileys' own key types, each value in Baileys' own form"


def ttl(facts: Facts) -> Said:
    if unread := _unread(facts):
        return unread
    found: list[Problem] = []
    for company, types in facts.database.rows.items():
        expiring = {name: seen["expiring"] for name, seen in types.items() if seen["expiring"] and name != LID_MAPPING}
        if expiring:
            listed = ", ".join(f"{count} {name}" for name, count in sorted(expiring.items()))
            what = f"{listed} would be deleted by age, and are written once: without them the login breaks"
            remedy = (
                "ansible-playbook repair.yml takes the expiry off. If it comes back, the app itself sets it: fix that"
            )
            found.append(Problem("ttl_on_keys", f"company {company}", what, remedy))
    for name, sql in _deleting(facts):
        if "updated_at" in sql.lower() or "created_at" in sql.lower():
            what = "it deletes keys by when they were written: keys that are written once go with time"
            remedy = "Let it delete by expires_at alone: SELECT cleanup_expired_whatsapp_keys()"
            found.append(Problem("deletes_by_age", name, what, remedy))
    return found or "only lid-mappings expire"


def _deleting(facts: Facts) -> Iterable[tuple[str, str]]:
    if facts.database.cleanup:
        yield "cleanup_expired_whatsapp_keys()", facts.database.cleanup
    for job in facts.database.jobs or []:
        if "delete" in job["command"].lower():
            yield f"pg_cron job {job['name']}", job["command"]


def cleanup(facts: Facts) -> Said:
    if unread := _unread(facts):
        return unread
    found: list[Problem] = []
    hours = facts.limits.cleanup_hours
    for company, seen in facts.info.items():
        rows = seen.get("database") or {}
        expired = rows.get("expired_for", 0.0) / 3600
        if hours and rows.get("expired") and expired > hours + 0.5:
            what = f"{rows['expired']} key(s) are there still, the first {expired:.0f} h after its expiry;"
            what += f" the cleanup is due every {hours:g} h"
            remedy = f"The flag starts it: see that {facts.flag}=true in .env, then: pm2 restart {facts.names}"
            found.append(Problem("cleanup_not_running", f"company {company}", what, remedy))
    for job in facts.database.jobs or []:
        if not job["active"]:
            found.append(
                Note("job_inactive", f"pg_cron job {job['name']}", "it is switched off", "SELECT cron.alter_job")
            )
        elif job["last"] == "failed":
            what = "its last run failed"
            remedy = "SELECT return_message FROM cron.job_run_details ORDER BY start_time DESC LIMIT 5"
            found.append(Problem("job_failed", f"pg_cron job {job['name']}", what, remedy))
    jobs = "no pg_cron" if facts.database.jobs is None else f"{len(facts.database.jobs)} job(s) of pg_cron"
    return found or f"nothing is left that expired long ago; {jobs}"


def rest(facts: Facts) -> Said:
    if facts.rest_problems:
        return facts.rest_problems
    if facts.rest is None:
        return Unknown("SUPABASE_URL and SUPABASE_KEY are not set in .env")
    return f"the key of .env ({facts.rest}) reads every login as the database holds it"
