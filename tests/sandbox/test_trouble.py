"""diagnose.yml on a real bot: nothing is wrong with a healthy one; each seeded trouble is found, and it alone.

Troubles that have nothing to do with each other are seeded together, and told apart by the check that finds each: what
is found has to be exactly what was seeded. What would hide others is seeded alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import postgrest_server
import psycopg
import pytest
import yaml
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.lock import Holder, Lock
from driver import COMPANY, FLAG, PROJECT, Run, Sandbox, difference
from postgrest_server import key_of
from secret_words import found_in, secrets_of

WORKER, SERVICE = "ai-admin-worker-v2", "baileys-service"
Seed = Callable[["Bot"], AbstractContextManager[Any]]


@dataclass
class Bot:
    """A sandbox on the database, and the module as the role calls it."""

    sandbox: Sandbox
    cron: Path
    options: dict[str, Any] = field(default_factory=dict)
    patterns: dict[str, Any] = field(default_factory=lambda: patterns())
    said: list[str] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.sandbox.app / ".auth-state"

    @property
    def env_file(self) -> Path:
        return self.sandbox.app / ".env"

    def diagnose(self) -> dict[str, Any]:
        arguments = {
            "app_dir": str(self.sandbox.app),
            "conninfo": self.sandbox.database_url,
            "sessions_dir": str(self.sandbox.company.parent),
            "state_dir": str(self.state_dir),
            "env_file": str(self.env_file),
            "company_ids": [COMPANY],
            "host": "sandbox",
            "processes": [WORKER, SERVICE],
            "pm2_home": str(self.sandbox.root / "pm2"),
            "health_url": f"http://127.0.0.1:{self.sandbox.health_port}/health",
            "watch_seconds": 0,
            "cron_paths": [str(self.cron)],
            **self.patterns,
            **self.options,
        }
        done = subprocess.run(
            [sys.executable, str(PROJECT / "tests/module_process.py"), "auth_state_diagnose"],
            input=json.dumps(arguments),
            env=os.environ | {"PATH": f"{self.sandbox.root / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.said.append(done.stdout)
        return json.loads(done.stdout)

    def wrong(self) -> set[tuple[str, str]]:
        """{(check, code)} of what is wrong."""
        lines = self.diagnose()["lines"]
        for line in lines:
            assert line["found"], line
            assert line["outcome"] in ("ok", "skipped") or (line["means"] and line["remedy"]), line
        return {(line["check"], line["code"]) for line in lines if line["outcome"] == "wrong"}

    @contextmanager
    def sql(self, *statements: str, undo: str) -> Iterator[None]:
        with psycopg.connect(self.sandbox.database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
        try:
            yield
        finally:
            with psycopg.connect(self.sandbox.database_url, autocommit=True) as connection:
                connection.execute(undo)

    @contextmanager
    def appended(self, path: Path, text: str) -> Iterator[None]:
        """More in a file, and afterwards what was there before."""
        before = path.read_bytes() if path.exists() else None
        with path.open("a") as file:
            file.write(text)
        try:
            yield
        finally:
            if before is None:
                path.unlink()
            else:
                with path.open("r+b") as file:  # the same inode: pm2 has logs open
                    file.truncate(0)
                    file.write(before)

    @contextmanager
    def set(self, **options: Any) -> Iterator[None]:
        before = self.options
        self.options = before | options
        try:
            yield
        finally:
            self.options = before

    def start_anew(self, *names: str) -> None:
        """The processes as the ecosystem file has them."""
        self.sandbox.pm2("delete", *names)
        for name in names:
            self.sandbox.pm2("start", str(self.sandbox.app / "ecosystem.config.cjs"), "--only", name)
        self.wait_up()

    def wait_up(self) -> None:
        for _ in range(100):
            try:
                if self.sandbox.health()["connection"] == "open":
                    return
            except (OSError, KeyError, IndexError):
                pass
            time.sleep(0.1)
        raise AssertionError("the bot does not come up")


def patterns() -> dict[str, Any]:
    """As the roles name them."""
    health, monitor = (
        yaml.safe_load((PROJECT / "roles" / role / "defaults/main.yml").read_text()) for role in ("health", "monitor")
    )
    return {"forbidden": health["health_log_forbidden"]["database"], "unlinked": monitor["monitor_log_unlinked"]}


@pytest.fixture(scope="module")
def bot() -> Iterator[Bot]:
    """A sandbox of its own, deployed: the other tests' one is told as a story."""
    root = Path(tempfile.mkdtemp(prefix="auth-state-sandbox-"))
    sandbox = Sandbox(root)
    try:
        for playbook in ("playbooks/sandbox.yml", "deploy.yml"):
            run = sandbox.play(playbook)
            assert run.rc == 0, run.output[-6000:]
        cron = root / "cron.d"
        cron.mkdir()
        (cron / "others").write_text("# baileys cleanup\n0 4 * * * root /usr/sbin/logrotate /etc/logrotate.conf\n")
        yield Bot(sandbox, cron)
    finally:
        removed = sandbox.play("playbooks/sandbox_clean.yml")
        assert removed.rc == 0, removed.output[-3000:]


# --- Healthy -----------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_a_healthy_bot_and_nothing_is_changed(bot: Bot) -> None:
    ours = files_of(bot.state_dir)
    with bot.sandbox.unchanged():
        run = bot.sandbox.play("diagnose.yml", "-e", json.dumps({"diagnose_cron_paths": [str(bot.cron)]}))
    assert run.rc == 0, run.output[-4000:]
    assert "nothing is wrong" in run.output
    assert "❌" not in run.output
    assert run.recap()["changed"] == 0
    assert files_of(bot.state_dir) == ours
    answer = bot.diagnose()
    assert answer["healthy"]
    # What was not saved in pm2 is worth knowing; the sandbox's bot has no Supabase.
    assert {line["check"] for line in answer["lines"] if line["outcome"] == "note"} <= {"reboot"}
    assert {line["check"] for line in answer["lines"] if line["outcome"] == "skipped"} == {"rest"}
    assert len({line["check"] for line in answer["lines"]}) == answer["checks"]


def test_the_playbook_ends_with_an_error_that_names_the_checks(bot: Bot) -> None:
    with bot.appended(bot.env_file, f"{FLAG}=true\n"), bot.sandbox.unchanged():
        run: Run = bot.sandbox.play("diagnose.yml", "-vvv", "-e", json.dumps({"diagnose_cron_paths": [str(bot.cron)]}))
    assert run.rc != 0
    assert "1 thing is wrong" in run.message()
    assert run.message().rstrip("'").endswith(": flag")
    assert "Leave one line" in run.output


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


# --- Seeded ------------------------------------------------------------------------------------------------------


def log(bot: Bot, name: str, line: str) -> AbstractContextManager[None]:
    return bot.appended(bot.sandbox.root / "pm2" / "logs" / f"{name}-error.log", f"{line}\n")


def env(text: str) -> Seed:
    return lambda bot: bot.appended(bot.env_file, text)


def limit(**options: Any) -> Seed:
    return lambda bot: bot.set(**options)


def sql(*statements: str, undo: str) -> Seed:
    return lambda bot: bot.sql(*statements, undo=undo)


@contextmanager
def another_folder(bot: Bot, name: str) -> Iterator[None]:
    folder = bot.sandbox.company.parent / name
    folder.mkdir()
    shutil.copy(bot.sandbox.company / "creds.json", folder)
    try:
        yield
    finally:
        shutil.rmtree(folder)


@contextmanager
def a_file_of_the_old_ones_written(bot: Bot) -> Iterator[None]:
    """As an app does that still reads them. (One that is gone is a cleanup's.)"""
    path = next(bot.sandbox.company.glob("session-*"))
    before = path.read_bytes()
    path.write_text("{}")
    gone = next(bot.sandbox.company.glob("lid-mapping-*"))
    aside = bot.sandbox.root / gone.name
    gone.rename(aside)
    try:
        yield
    finally:
        aside.rename(gone)
        path.write_bytes(before)


@contextmanager
def a_damaged_backup(bot: Bot) -> Iterator[None]:
    archive = max((bot.sandbox.backups / f"company_{COMPANY}").glob("backup_*.tar"))
    before = archive.read_bytes()
    archive.write_bytes(before[:2000] + b"x" + before[2001:])
    try:
        yield
    finally:
        archive.write_bytes(before)


@contextmanager
def a_lock_left_behind(bot: Bot) -> Iterator[None]:
    gone = subprocess.Popen(["sleep", "60"])
    lock, holder = Lock(bot.state_dir), Holder.here(gone.pid, "deploy.yml", "company 962302 to the database")
    gone.kill()
    gone.wait()
    assert lock.take(holder)
    try:
        yield
    finally:
        assert lock.release(holder.run)


@contextmanager
def a_cut_over_without_an_end(bot: Bot) -> Iterator[None]:
    journal = Journal(bot.state_dir)
    before = journal.path.read_bytes()
    plan = {"to": "database", "source": "database", "companies": [COMPANY], "host": "sandbox", "release": None}
    journal.write("5f0c4d0a6f3c", "begin", plan=plan, pid=2**22 + 1, started=1)
    journal.write("5f0c4d0a6f3c", "doing", step="copy", to="database")
    try:
        yield
    finally:
        journal.path.write_bytes(before)


@contextmanager
def supabase(bot: Bot, key: str, url: str | None = None) -> Iterator[None]:
    admin = (bot.sandbox.root / "secrets" / "admin_url").read_text().strip()
    database = bot.sandbox.database_url.rpartition("/")[2]
    with postgrest_server.running(f"{admin.rpartition('/')[0]}/{database}") as endpoint:
        text = f"SUPABASE_URL={url or endpoint.url}\nSUPABASE_KEY={key}\n"
        with bot.appended(bot.env_file, text):
            yield


CREDS = f"(SELECT creds FROM whatsapp_auth WHERE company_id = '{COMPANY}')"
KEYS = "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, expires_at) VALUES"
OPEN = """GRANT SELECT ON whatsapp_auth TO anon; CREATE POLICY everybody ON whatsapp_auth FOR ALL USING (true)"""
CRON = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (jobid bigint, schedule text, command text, nodename text, nodeport int, database text,
                       username text, active boolean, jobname text);
CREATE TABLE cron.job_run_details (jobid bigint, runid bigint, status text, return_message text,
                                   start_time timestamptz, end_time timestamptz);
"""
NO_CRON = "DROP SCHEMA cron CASCADE"


def row(key_type: str, key_id: str, value: str, expires: str = "NULL") -> Seed:
    where = f"company_id = '{COMPANY}' AND key_type = '{key_type}' AND key_id = '{key_id}'"
    return sql(
        f"{KEYS} ('{COMPANY}', '{key_type}', '{key_id}', '{value}', {expires})",
        undo=f"DELETE FROM whatsapp_keys WHERE {where}",
    )


SEEDS: dict[str, tuple[Seed, set[tuple[str, str]]]] = {
    "flag twice": (env(f"{FLAG}=true\n"), {("flag", "flag_duplicated")}),
    "flag of another word": (env(f"{FLAG}=yes\n"), {("flag", "flag_duplicated"), ("flag", "flag_value"),
                             ("app", "other_store"), ("record", "flag_against_record")}),
    "key refused": (lambda bot: supabase(bot, key_of("service_role", b"another")), {("rest", "rest_key_refused")}),
    "key of browsers": (lambda bot: supabase(bot, key_of("anon")), {("rest", "rest_permission")}),
    "half of Supabase": (env("SUPABASE_URL=https://x.supabase.co\n"), {("rest", "rest_half_set")}),
    "no address": (lambda bot: supabase(bot, key_of("anon"), "x.supabase.co"), {("rest", "rest_url")}),
    "nobody there": (lambda bot: supabase(bot, key_of("anon"), "http://127.0.0.1:9"), {("rest", "rest_unreachable")}),
    "job that deletes files": (
        lambda bot: bot.appended(
            bot.cron / "cleanup",
            f"0 3 * * * root find {bot.sandbox.company} -name 'lid-mapping-*' -mtime +7 -delete\n",
        ),
        {("cron", "cron_cleanup")},
    ),
    "job that calls a script": (
        lambda bot: bot.appended(bot.cron / "cleanup", "*/30 * * * * app node /opt/x/cleanup-whatsapp-keys.js\n"),
        {("cron", "cron_cleanup")},
    ),
    "phone unlinked": (
        lambda bot: log(bot, SERVICE, "❌ Connection of company 962302 closed: 401 device_removed"),
        {("phone", "phone_unlinked")},
    ),
    "stale keys": (
        lambda bot: log(bot, SERVICE, "\x1b[31mSession error:Error: Bad MAC\x1b[0m"),
        {("logs", "log_forbidden")},
    ),
    "no credentials": (
        lambda bot: log(bot, SERVICE, "❌ Failed to load credentials: fetch failed"), {("logs", "log_forbidden")},
    ),
    "company not moved": (lambda bot: another_folder(bot, "company_555555"), {("companies", "company_not_moved")}),
    "company spelled anew": (lambda bot: another_folder(bot, COMPANY), {("companies", "company_spelling")}),
    "company spelled twice": (
        lambda bot: another_folder(bot, f"company_company_{COMPANY}"), {("companies", "company_spelling")},
    ),
    "row spelled twice": (
        sql(
            f"INSERT INTO whatsapp_auth (company_id, creds) VALUES ('company_{COMPANY}', {CREDS})",
            undo=f"DELETE FROM whatsapp_auth WHERE company_id <> '{COMPANY}'",
        ),
        {("accounts", "company_spelling")},
    ),
    "one account twice": (
        sql(
            f"INSERT INTO whatsapp_auth (company_id, creds) VALUES ('777', {CREDS})",
            undo=f"DELETE FROM whatsapp_auth WHERE company_id <> '{COMPANY}'",
        ),
        {("accounts", "login_twice")},
    ),
    "held by another host": (
        sql(
            "UPDATE whatsapp_auth_authority SET host = 'elsewhere', revision = revision + 1",
            undo="UPDATE whatsapp_auth_authority SET host = 'sandbox', revision = revision - 1",
        ),
        {("record", "owned_elsewhere")},
    ),
    "no row": (
        sql(
            "CREATE TABLE aside AS SELECT * FROM whatsapp_auth; DELETE FROM whatsapp_auth",
            undo="INSERT INTO whatsapp_auth SELECT * FROM aside ON CONFLICT DO NOTHING; DROP TABLE aside",
        ),
        {("rows", "row_missing")},
    ),
    "another login": (
        sql(
            "CREATE TABLE aside AS SELECT * FROM whatsapp_auth; UPDATE whatsapp_auth SET creds ="
            " jsonb_set(creds, '{registrationId}', '7')",
            undo="UPDATE whatsapp_auth w SET creds = aside.creds FROM aside; DROP TABLE aside",
        ),
        {("app", "identity_changed")},
    ),
    "type of the original script": (row("pre", "key-9999", "{}"), {("key-types", "original_types")}),
    "type of nobody": (row("novelty", "1", "{}"), {("key-types", "foreign_types")}),
    "mapping that is a number": (
        row("lid-mapping", "79005550199", "102765716069999"),
        {("key-types", "lid_mapping_number")},
    ),
    "bytes as numbers": (
        row("identity-key", "79005550199.0", '{"type": "Buffer", "data": [5, 1, 2]}'), {("key-types", "old_buffers")},
    ),
    "expiry of a pre-key": (row("pre-key", "9999", "{}", "now() + interval '30 days'"), {("ttl", "ttl_on_keys")}),
    "cleanup by age": (
        sql(
            CRON,
            "INSERT INTO cron.job VALUES (1, '0 3 * * *', 'DELETE FROM whatsapp_keys WHERE updated_at < now() -"
            " interval ''30 days''', '', 0, '', '', true, 'old-keys')",
            undo=NO_CRON,
        ),
        {("ttl", "deletes_by_age")},
    ),
    "job of pg_cron that fails": (
        sql(
            CRON,
            "INSERT INTO cron.job VALUES (1, '0 */6 * * *', 'SELECT cleanup_expired_whatsapp_keys()', '', 0, '', '',"
            " true, 'cleanup')",
            "INSERT INTO cron.job_run_details VALUES (1, 1, 'succeeded', '', now() - interval '9 h', now()),"
            " (1, 2, 'failed', '', now() - interval '3 h', now())",
            undo=NO_CRON,
        ),
        {("cleanup", "job_failed")},
    ),
    "cleanup that does not run": (
        row("lid-mapping", "79005550199", '"102765716069999"', "now() - interval '12 h'"),
        {("cleanup", "cleanup_not_running")},
    ),
    "index on values": (
        sql(
            "CREATE INDEX heavy ON whatsapp_keys (company_id) INCLUDE (value) WHERE key_type = 'lid-mapping'",
            undo="DROP INDEX heavy",
        ),
        {("indexes", "index_on_value")},
    ),
    "open to browsers": (
        sql(OPEN, undo="DROP POLICY everybody ON whatsapp_auth; REVOKE ALL ON whatsapp_auth FROM anon"),
        {("access", "table_open")},
    ),
    "function missing": (
        sql(
            "ALTER FUNCTION get_whatsapp_auth_stats() RENAME TO aside",
            undo="ALTER FUNCTION aside() RENAME TO get_whatsapp_auth_stats",
        ),
        {("tables", "tables_missing")},
    ),
    "table missing": (
        sql("ALTER TABLE whatsapp_keys RENAME TO aside", undo="ALTER TABLE aside RENAME TO whatsapp_keys"),
        {("tables", "tables_missing"), ("rows", "row_missing")},
    ),
    "database that is not there": (
        lambda bot: bot.set(conninfo="postgresql://x:secretword@127.0.0.1:9/x"), {("database", "database_unreachable")},
    ),
    "slow database": (limit(latency_ms=0.001), {("database", "database_slow")}),
    "old file written": (a_file_of_the_old_ones_written, {("store", "old_store_written")}),
    "backup damaged": (a_damaged_backup, {("backups", "backup_damaged")}),
    "full disk": (limit(free_mb=1 << 30), {("disk", "disk_full")}),
    "no inodes": (limit(free_inodes=1 << 30), {("disk", "inodes_full")}),
    "lock left behind": (a_lock_left_behind, {("lock", "lock_left")}),
    "cut-over cut off": (a_cut_over_without_an_end, {("cut-over", "cutover_unfinished")}),
}  # fmt: skip


# What no other trouble is seen beside: the database is not asked, or its login is not the app's.
ALONE = {"flag of another word", "no row", "another login", "table missing", "database that is not there"}


def together() -> list[list[str]]:
    """The troubles in groups, of which no check finds two."""

    def checks(name: str) -> set[str]:
        return {check for check, _code in SEEDS[name][1]}

    groups: list[list[str]] = []
    for name in (each for each in SEEDS if each not in ALONE):
        for group in groups:
            if all(checks(name).isdisjoint(checks(other)) for other in group):
                group.append(name)
                break
        else:
            groups.append([name])
    return [*groups, *([name] for name in sorted(ALONE))]


@pytest.mark.parametrize("names", together(), ids=", ".join)
def test_seeded_troubles_are_found_and_they_alone(bot: Bot, names: list[str]) -> None:
    with ExitStack() as seeds:
        for name in names:
            seeds.enter_context(SEEDS[name][0](bot))
        before = bot.sandbox.snapshot()
        assert bot.wrong() == set().union(*(SEEDS[name][1] for name in names))
        assert difference(before, bot.sandbox.snapshot()) == {}
    assert bot.wrong() == set(), "a seed was not taken away"


def test_tables_of_the_same_name_elsewhere(bot: Bot) -> None:
    make = "CREATE SCHEMA other; CREATE TABLE other.whatsapp_keys (LIKE whatsapp_keys)"
    with bot.sql(make, "INSERT INTO other.whatsapp_keys SELECT * FROM whatsapp_keys", undo="DROP SCHEMA other CASCADE"):
        for _ in range(20):  # the statistics come a moment later
            if bot.wrong() == {("store", "other_tables")}:
                break
            time.sleep(0.5)
        else:
            raise AssertionError(bot.wrong())


def test_the_service_key_reads_all_and_the_browsers_key_only_through_the_hole(bot: Bot) -> None:
    with supabase(bot, key_of("service_role")):
        (line,) = [line for line in bot.diagnose()["lines"] if line["check"] == "rest"]
        assert line["outcome"] == "ok"
        assert "service_role" in line["found"]
    close = "REVOKE ALL ON whatsapp_auth, whatsapp_keys FROM anon;"
    close += "DROP POLICY everybody ON whatsapp_auth; DROP POLICY everybody ON whatsapp_keys"
    opened = f"{OPEN}; {OPEN.replace('whatsapp_auth', 'whatsapp_keys')}"
    with bot.sql(opened, undo=close), supabase(bot, key_of("anon")):
        assert bot.wrong() == {("access", "table_open"), ("rest", "rest_anon_key")}
        with bot.sandbox.unchanged():
            refused = bot.sandbox.play("deploy.yml", "--tags", "schema", "-e", "schema_harden=true")
        assert refused.rc == 2
        assert "closed, the app would see no row and make a new login" in refused.message()


def test_open_tables_are_closed_when_told_and_the_apps_key_does_without(bot: Bot) -> None:
    processes = bot.sandbox.processes()
    opened = f"{OPEN}; {OPEN.replace('whatsapp_auth', 'whatsapp_keys')}"
    close = "REVOKE ALL ON whatsapp_auth, whatsapp_keys FROM anon;"
    close += "DROP POLICY IF EXISTS everybody ON whatsapp_auth; DROP POLICY IF EXISTS everybody ON whatsapp_keys"
    with bot.sql(opened, undo=close), supabase(bot, key_of("service_role")):
        assert bot.wrong() == {("access", "table_open")}
        run = bot.sandbox.play("deploy.yml", "--tags", "schema", "-e", "schema_harden=true")
        assert run.rc == 0, run.output[-4000:]
        assert "closed whatsapp_auth, whatsapp_keys to anon and authenticated" in run.output
        assert bot.wrong() == set()
    assert bot.sandbox.processes() == processes


# --- Seeded in pm2 -----------------------------------------------------------------------------------------------


def test_flag_stored_in_pm2(bot: Bot) -> None:
    environment = os.environ | {"PM2_HOME": str(bot.sandbox.root / "pm2"), FLAG: "false"}
    environment["PATH"] = f"{bot.sandbox.root / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["pm2", "restart", WORKER, "--update-env"], env=environment, check=True, capture_output=True)
    try:
        assert bot.wrong() == {("flag-in-pm2", "pm2_flag_stored")}
    finally:
        bot.start_anew(WORKER)
    assert bot.wrong() == set()


def test_a_process_that_is_stopped(bot: Bot) -> None:
    bot.sandbox.pm2("stop", WORKER)
    try:
        assert bot.wrong() == {("processes", "process_down")}
    finally:
        bot.sandbox.pm2("start", WORKER)
    assert bot.wrong() == set()


def test_a_crash_loop_that_pm2_calls_online(bot: Bot) -> None:
    worker = bot.sandbox.app / "src" / "worker.js"
    before = worker.read_text()
    worker.write_text("setTimeout(() => process.exit(1), 1200);\n")
    bot.sandbox.pm2("restart", WORKER)
    try:
        with bot.set(watch_seconds=5):
            assert bot.wrong() == {("processes", "process_crash_loop")}
    finally:
        worker.write_text(before)
        bot.start_anew(WORKER)
    assert bot.wrong() == set()


def test_a_start_by_the_clock_and_by_a_file(bot: Bot) -> None:
    bot.sandbox.pm2("restart", WORKER, "--cron-restart", "0 3 * * *")
    assert bot.wrong() == {("pm2", "pm2_cron_restart")}
    bot.sandbox.pm2("delete", WORKER)
    bot.sandbox.pm2(
        "start", str(bot.sandbox.app / "src/worker.js"), "--name", WORKER, "--cwd", str(bot.sandbox.app), "--watch",
    )  # fmt: skip
    assert bot.wrong() == {("pm2", "pm2_watch")}
    bot.start_anew(WORKER)
    assert bot.wrong() == set()


def test_a_saved_list_that_is_stale_and_readable(bot: Bot) -> None:
    dump = bot.sandbox.root / "pm2" / "dump.pm2"
    bot.sandbox.pm2("stop", WORKER)
    bot.sandbox.pm2("save")
    bot.sandbox.pm2("start", WORKER)
    try:
        dump.chmod(0o644)
        assert bot.wrong() == {("reboot", "pm2_dump_stale"), ("reboot", "pm2_dump_readable")}
        bot.sandbox.pm2("save")
        dump.chmod(0o600)
        assert bot.wrong() == set()
    finally:
        dump.unlink()


def test_a_second_process_on_the_login(bot: Bot) -> None:
    """Started by hand beside pm2's: WhatsApp ends the first one's connection."""
    stray = subprocess.Popen(
        [str(bot.sandbox.root / "bin" / "node"), "src/baileys-service.js"],
        cwd=bot.sandbox.app,
        env={"PATH": os.environ["PATH"], "HEALTH_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    errors = bot.sandbox.root / "pm2" / "logs" / f"{SERVICE}-error.log"
    try:
        for _ in range(100):
            if bot.sandbox.health()["connection"] == "replaced":
                break
            time.sleep(0.1)
        assert bot.wrong() == {("owners", "login_in_use"), ("owners", "login_replaced"), ("logs", "log_forbidden")}
    finally:
        stray.send_signal(signal.SIGTERM)
        stray.wait(10)
        bot.sandbox.pm2("restart", SERVICE)
        bot.wait_up()
        os.truncate(errors, 0)
    assert bot.wrong() == set()


# --- Nothing of all this said a secret ---------------------------------------------------------------------------


def test_no_secret_was_said(bot: Bot) -> None:
    text = "\n".join([*bot.sandbox.outputs, *bot.said])
    secrets = {*secrets_of(bot.sandbox, bot.sandbox.company), key_of("service_role"), key_of("anon"), "secretword"}
    assert len(secrets) > 300
    assert min(secrets) in found_in(min(secrets), secrets)
    assert found_in(text, secrets) == []
