"""What each check of diagnose.yml says of what was seen: one healthy host, and one thing wrong with it at a time."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from ansible.module_utils.diagnosis.check import Line
from ansible.module_utils.diagnosis.checks import CHECKS, diagnose
from ansible.module_utils.diagnosis.facts import Database, Facts, Limits
from ansible.module_utils.node_host.problems import Problem

COMPANY = "962302"
TYPES = ("pre-key", "session", "lid-mapping", "app-state-sync-key")


def process(name: str, pm_id: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "pm_id": pm_id,
        "pid": 4000 + pm_id,
        "status": "online",
        "restart_time": 2,
        "uptime_ms": 90_000,
        "stored_flag": False,
        "stored_flag_value": None,
        "process_flag_value": None,
        **more,
    }


def counts(**more: int) -> dict[str, int]:
    return {"rows": 5, "expiring": 0, "no_string": 0, "old_buffers": 0, **more}


def healthy() -> Facts:
    """A host whose login moved to the database, and nothing is wrong."""
    processes = [process("ai-admin-worker-v2", 0), process("baileys-service", 1)]
    index = {"name": "whatsapp_keys_pkey", "columns": ["company_id", "key_type", "key_id"], "primary": True}
    expiry = {"name": "whatsapp_keys_expires_at", "columns": ["expires_at"], "primary": False, "valid": True}
    return Facts(
        companies=[COMPANY],
        flag_value="true",
        flag_count=1,
        pm2={"processes": processes, "daemon": {"pid": 1}, "problems": [], "observations": [], "unsaved": []},
        later={"processes": deepcopy(processes)},
        watched_seconds=6.0,
        log_lines=40,
        health={COMPANY: {"store": "database", "identity": "0f" * 32, "connection": "open"}},
        health_url="http://127.0.0.1:3000/health",
        info={
            COMPANY: {
                "authority": {"store": "database"},
                "files": {"present": True, "count": 337, "identity": "0f" * 32},
                "database": {"identity": "0f" * 32, "expired": 0, "expired_for": 0.0},
                "since_transfer": {"files": 0, "rows": 12},
            }
        },
        database=Database(
            latency_ms=4.0,
            tables={
                "whatsapp_auth": {"row_security": True, "policies": [], "grants": {}, "indexes": []},
                "whatsapp_keys": {"indexes": [{**index, "valid": True}, expiry], "policies": [], "grants": {}},
            },
            rows={COMPANY: {"creds": counts(rows=1), **{name: counts() for name in TYPES}}},
            accounts={COMPANY: "79000000001:1@s.whatsapp.net"},
            jobs=[{"name": "cleanup", "command": "SELECT cleanup_expired_whatsapp_keys()", "active": True,
                   "last": "succeeded"}],
            cleanup="DELETE FROM whatsapp_keys WHERE expires_at < now()",
        ),
        key_types=frozenset(TYPES) | {"identity-key"},
        rest="service_role",
        backups={COMPANY: {"newest": "backup_20261124T220000Z.tar", "intact": True, "originals": 0}},
        disks={"/opt/ai-admin": (9000, 900_000, 1_000_000)},
    )  # fmt: skip


def found(facts: Facts, outcome: str = "wrong") -> set[tuple[str, str]]:
    lines = diagnose(facts)
    assert {line.check for line in lines} == {check.name for check in CHECKS}
    for line in lines:
        assert line.found, line
        assert (line.outcome in ("ok", "skipped")) != bool(line.means and line.remedy and line.code), line
    return {(line.check, line.code) for line in lines if line.outcome == outcome}


def test_a_healthy_host() -> None:
    assert {line.outcome for line in diagnose(healthy())} == {"ok"}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def a_problem(code: str) -> Problem:
    return Problem(code, "somewhere", "something", "do this")


def worker(facts: Facts) -> dict[str, Any]:
    return facts.pm2["processes"][0]


def setting(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: vars(facts).update(more)


def in_pm2(name: str, *values: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.pm2.update({name: list(values)})


def in_worker(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: worker(facts).update(more)


def resting_beside_another(facts: Facts) -> None:
    facts.pm2 = {**facts.pm2, "resting": ["baileys-service"]}
    facts.processes[1]["status"] = facts.later["processes"][1]["status"] = "stopped"


def a_moment_later(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.later["processes"][0].update(more)


def said(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: (facts.health or {})[COMPANY].update(more)


def in_database(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: vars(facts.database).update(more)


def of_rows(key_type: str, **more: int) -> Callable[[Facts], None]:
    return lambda facts: facts.database.rows[COMPANY].update({key_type: counts(**more)})


def of_index(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.database.tables["whatsapp_keys"]["indexes"][1].update(more)


def of_job(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: (facts.database.jobs or [])[0].update(more)


def in_info(part: str, **more: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.info[COMPANY][part].update(more)


def of_backup(**more: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.backups[COMPANY].update(more)


WRONG: list[tuple[Callable[[Facts], Any], set[tuple[str, str]]]] = [
    (setting(env_mode=0o604), set()),
    (setting(flag_count=2), {("flag", "flag_duplicated")}),
    (setting(flag_value="1"), {("flag", "flag_value"), ("app", "other_store")}),
    (in_worker(stored_flag=True, stored_flag_value="false"), {("flag-in-pm2", "pm2_flag_stored")}),
    (in_worker(process_flag_value="false"), {("flag-in-pm2", "flag_overridden")}),
    (in_worker(process_flag_value="true"), set()),
    (in_pm2("problems", a_problem("pm2_watch").as_dict()), {("pm2", "pm2_watch")}),
    (in_pm2("problems", a_problem("pm2_cluster_mode").as_dict()), {("pm2", "pm2_cluster_mode")}),
    (a_moment_later(restart_time=3), {("processes", "process_crash_loop")}),
    (a_moment_later(pid=5000), {("processes", "process_crash_loop")}),
    (a_moment_later(status="errored", pid=None), {("processes", "process_down")}),
    (a_moment_later(status="stopped", pid=None), {("processes", "process_down")}),
    (resting_beside_another, set()),
    (in_pm2("observations", a_problem("pm2_flag_saved").as_dict()), {("reboot", "pm2_flag_saved")}),
    (in_pm2("observations", a_problem("pm2_dump_readable").as_dict()), {("reboot", "pm2_dump_readable")}),
    (
        in_pm2("unsaved", {"name": "ai-admin-worker-v2", "saved": "stopped", "now": "online"}),
        {("reboot", "pm2_dump_stale")},
    ),
    (in_pm2("unsaved", {"name": "of-somebody-else", "saved": "stopped", "now": "online"}), set()),
    (setting(pending=["ai-admin-worker-v2"]), {("reboot", "pm2_pending")}),
    (setting(strays=[a_problem("login_in_use")]), {("owners", "login_in_use")}),
    (said(connection="replaced"), {("owners", "login_replaced")}),
    (setting(jobs=["/etc/cron.d/cleanup"]), {("cron", "cron_cleanup")}),
    (said(connection="logged_out"), {("phone", "phone_unlinked")}),
    (setting(unlinked=(1, "log", "401 device_removed")), {("phone", "phone_unlinked")}),
    (setting(forbidden={"Bad MAC": (3, "log", "Bad MAC")}), {("logs", "log_forbidden")}),
    (setting(health=None), {("app", "health_silent")}),
    (said(store="files"), {("app", "other_store")}),
    (said(identity="aa" * 32), {("app", "identity_changed")}),
    (in_info("since_transfer", files=2), {("store", "old_store_written")}),
    (in_database(twins={"other": 7}), {("store", "other_tables")}),
    (in_database(twins={"other": 0}), set()),
    (setting(info_problems=[a_problem("owned_elsewhere")]), {("record", "owned_elsewhere")}),
    (setting(info_problems=[a_problem("company_not_moved")]), {("companies", "company_not_moved")}),
    (setting(folders=["old_962302"]), {("companies", "company_spelling")}),
    (setting(info_problems=[a_problem("login_twice")]), {("accounts", "login_twice")}),
    (
        in_database(accounts={COMPANY: "1@s", "777": "1@s"}), {("accounts", "login_twice")},
    ),
    (in_database(accounts={COMPANY: "1@s", f"company_{COMPANY}": "1@s"}), {("accounts", "company_spelling")}),
    (setting(info_problems=[a_problem("torn")]), {("files", "torn")}),
    (in_database(refused=[a_problem("database_unreachable")]), {("database", "database_unreachable")}),
    (in_database(latency_ms=1500.0), {("database", "database_slow")}),
    (setting(limits=Limits(latency_ms=0, cleanup_hours=0)), set()),  # never
    (in_database(missing=["whatsapp_keys"]), {("tables", "tables_missing")}),
    # Then the rows were not read, which says nothing of them.
    (in_database(problems=[a_problem("rights")], rows={}, accounts={}), {("tables", "rights")}),
    (in_database(problems=[a_problem("column_type")]), {("tables", "column_type")}),
    (in_database(open_to=["whatsapp_auth"]), {("access", "table_open")}),
    (of_index(columns=["value"]), {("indexes", "index_on_value")}),
    (of_index(valid=False), {("indexes", "index_invalid")}),
    (in_database(rows={}), {("rows", "row_missing")}),
    (in_database(rows={COMPANY: {"creds": counts(rows=1)}}), {("rows", "keys_missing")}),
    (of_rows("sender"), {("key-types", "original_types")}),
    (of_rows("novelty"), {("key-types", "foreign_types")}),
    (of_rows("lid-mapping", no_string=1), {("key-types", "lid_mapping_number")}),
    (of_rows("session", old_buffers=1), {("key-types", "old_buffers")}),
    (of_rows("lid-mapping", expiring=5), set()),
    (of_rows("pre-key", expiring=5), {("ttl", "ttl_on_keys")}),
    (in_database(cleanup="DELETE FROM whatsapp_keys WHERE updated_at < now()"), {("ttl", "deletes_by_age")}),
    (of_job(command="DELETE FROM whatsapp_keys WHERE created_at < now()"), {("ttl", "deletes_by_age")}),
    (in_info("database", expired=3, expired_for=30_000.0), {("cleanup", "cleanup_not_running")}),
    (in_info("database", expired=3, expired_for=3_000.0), set()),
    (of_job(last="failed"), {("cleanup", "job_failed")}),
    (setting(rest_problems=[a_problem("rest_no_row")]), {("rest", "rest_no_row")}),
    (setting(health={}), {("app", "health_silent")}),
    (said(store=None), {("app", "health_silent")}),
    (of_backup(intact=False), {("backups", "backup_damaged")}),
    (setting(disks={"/": (100, 900_000, 1_000_000)}), {("disk", "disk_full")}),
    (setting(disks={"/": (9000, 10, 1_000_000)}), {("disk", "inodes_full")}),
    (setting(disks={"/": (9000, 0, 0)}), set()),  # btrfs counts none
    (setting(lock=("operator@desk", "gone")), {("lock", "lock_left")}),
    (setting(lock=("operator@desk", "unknown")), {("lock", "lock_left")}),
    (setting(run=a_problem("cutover_unfinished")), {("cut-over", "cutover_unfinished")}),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "codes"), WRONG)
def test_one_thing_is_wrong(harm: Callable[[Facts], Any], codes: set[tuple[str, str]]) -> None:
    facts = healthy()
    harm(facts)
    assert found(facts) == codes


NOTES: list[tuple[Callable[[Facts], Any], tuple[str, str]]] = [
    (setting(env_mode=0o604), ("env", "env_readable")),
    (in_pm2("observations", a_problem("pm2_not_saved").as_dict()), ("reboot", "pm2_not_saved")),
    (setting(info_warnings=["a pre-key is missing"]), ("files", "files")),
    (of_index(columns=["updated_at"]), ("indexes", "index_missing")),
    (of_job(active=False), ("cleanup", "job_inactive")),
    (of_backup(newest=None), ("backups", "backup_missing")),
    (setting(lock=("operator@desk", "alive")), ("lock", "lock_held")),
    (setting(run=a_problem("cutover_under_way")), ("cut-over", "cutover_under_way")),
    (setting(old_script="/opt/ai-admin/scripts/x.js"), ("old-script", "old_script")),
]


@pytest.mark.parametrize(("harm", "code"), NOTES)
def test_what_is_only_worth_knowing(harm: Callable[[Facts], Any], code: tuple[str, str]) -> None:
    facts = healthy()
    harm(facts)
    assert found(facts) == set()
    assert found(facts, "note") == {code}


def on_files() -> Facts:
    """A host that was never deployed to: no table, no backup, and nothing of that is wrong."""
    facts = healthy()
    facts.flag_value, facts.flag_count, facts.rest = None, 0, None
    facts.database = Database(missing=["whatsapp_auth", "whatsapp_keys"])
    facts.backups[COMPANY]["newest"] = None
    facts.info[COMPANY]["authority"]["store"] = "files"
    (facts.health or {})[COMPANY]["store"] = "files"
    return facts


def test_before_the_first_deploy_nothing_is_missed() -> None:
    assert found(on_files()) == set()
    assert found(on_files(), "note") == {("tables", "tables_missing"), ("backups", "backup_missing")}
    assert found(on_files(), "skipped") == {("rest", "")}


def test_what_cannot_be_seen_is_no_good_news() -> None:
    def outcomes(facts: Facts) -> dict[str, str]:
        return {line.check: line.outcome for line in diagnose(facts)}

    facts = healthy()
    facts.database.refused = [a_problem("psycopg_missing")]
    names = ("database", "tables", "access", "indexes", "rows", "key-types", "ttl", "cleanup")
    assert {outcomes(facts)[name] for name in names} == {"skipped"}
    facts = healthy()
    facts.pm2 = {"problems": [a_problem("pm2_no_daemon").as_dict()]}
    seen = outcomes(facts)
    assert seen["pm2"] == "wrong"
    assert {seen[name] for name in ("flag-in-pm2", "processes", "logs", "reboot")} == {"skipped"}
    facts = healthy()
    facts.env_problem = a_problem("env_unreadable")
    seen = outcomes(facts)
    assert (seen["env"], seen["flag"]) == ("wrong", "skipped")


def test_numbers_are_masked() -> None:
    facts = healthy()
    facts.strays = [Problem("login_in_use", "session-79686484488.0.json", "79686484488 is in use", "ps 79686484488")]
    (line,) = (line for line in diagnose(facts) if line.code == "login_in_use")
    assert isinstance(line, Line)
    assert "79686484488" not in str(line)
    assert "7968***4488" in line.found
    assert "7968***4488" in line.remedy
