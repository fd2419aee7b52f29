"""baileys_auth_schema: makes closed tables, finds what stands in the way of a migration, and closes only when told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import postgrest_server
import psycopg
import pytest
from ansible.module_utils.baileys_auth import schema as wanted
from bot_host import COMPANY, BotHost, codes, good, total
from postgresql_server import Server, TestDatabase
from postgrest_server import key_of

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def schema(run_module: Run) -> Run:
    def run(database: TestDatabase | str, check: bool = False, **options: Any) -> dict[str, Any]:
        conninfo = database if isinstance(database, str) else database.conninfo
        return run_module("baileys_auth_schema", _check=check, conninfo=conninfo, **options)

    return run


@pytest.fixture
def served(postgresql: Server, fresh_database: TestDatabase, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """`served(key)`: the .env of an app that reads the database over REST with this key."""
    with postgrest_server.running(postgresql.url(fresh_database.name, admin=True)) as endpoint:

        def env_file(key: str) -> str:
            path = tmp_path / ".env"
            path.write_text(f"SUPABASE_URL={endpoint.url}\nSUPABASE_KEY={key}\n")
            return str(path)

        yield env_file


@pytest.fixture
def host(bot_host: BotHost, fresh_database: TestDatabase) -> BotHost:
    """A host whose database's tables may be changed."""
    bot_host.conninfo = fresh_database.conninfo
    return bot_host


@contextmanager
def as_role(postgresql: Server, database: TestDatabase, role: str) -> Iterator[psycopg.Connection]:
    """What a Supabase key of that role may do."""
    with psycopg.connect(postgresql.url(database.name, admin=True), autocommit=True) as connection:
        connection.execute(f'SET SESSION AUTHORIZATION "{role}"')
        yield connection


def problems(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


# Creating


def test_tables_are_made_once(schema: Run, empty_database: TestDatabase) -> None:
    everything = [*wanted.TABLES, *(f"{name}()" for name in wanted.FUNCTIONS)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        empty_database.run("SELECT FROM whatsapp_auth")
    checked = good(schema(empty_database, state="checked"))
    assert (checked["ok"], checked["changed"], checked["missing"]) == (False, False, everything)
    planned = good(schema(empty_database, check=True))
    assert (planned["changed"], planned["missing"]) == (True, everything)
    assert empty_database.tables() == {}
    made = good(schema(empty_database))
    assert (made["changed"], made["missing"], made["diff"]) == (True, everything, planned["diff"])
    again = good(schema(empty_database))
    assert (again["changed"], again["missing"], again["ok"], again["problems"]) == (False, [], True, [])
    assert good(schema(empty_database, state="checked"))["ok"] is True
    secured = "SELECT relname FROM pg_class WHERE relrowsecurity AND relname LIKE 'whatsapp%' ORDER BY 1"
    assert empty_database.run(secured) == sorted((table,) for table in wanted.TABLES)


def test_only_what_is_missing_is_made(schema: Run, fresh_database: TestDatabase) -> None:
    fresh_database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES ('1', '{}')")
    fresh_database.run("DROP TABLE whatsapp_auth_authority; DROP FUNCTION get_whatsapp_auth_stats()")
    answer = good(schema(fresh_database))
    assert answer["missing"] == ["whatsapp_auth_authority", "get_whatsapp_auth_stats()"]
    assert fresh_database.run("SELECT company_id FROM whatsapp_auth") == [("1",)]


def test_shape_is_what_the_bot_reads(fresh_database: TestDatabase) -> None:
    fresh_database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES ('1', '{}')")
    for key, expiry in (("1", "NULL"), ("2", "now() - interval '1 minute'"), ("3", "now() + interval '1 day'")):
        fresh_database.run(f"INSERT INTO whatsapp_keys VALUES ('1', 'a', '{key}', '1', now(), now(), {expiry})")
    stats = fresh_database.run("SELECT total_companies, total_keys, expired_keys, active_keys, db_size_bytes > 0"
                               " FROM get_whatsapp_auth_stats()")  # fmt: skip
    assert stats == [(1, 3, 1, 2, True)]
    for table in ("whatsapp_auth", "whatsapp_keys"):
        fresh_database.run(f"UPDATE {table} SET created_at = '2020-01-01', updated_at = '2020-01-01'")
        assert fresh_database.run(f"SELECT bool_and(updated_at > now() - interval '1 minute') FROM {table}") == [
            (True,)
        ]
    assert fresh_database.run("SELECT deleted_count FROM cleanup_expired_whatsapp_keys()") == [(1,)]
    assert fresh_database.run("SELECT key_id FROM whatsapp_keys ORDER BY 1") == [("1",), ("3",)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        fresh_database.run(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES ('1', 'a', '1', '2')"
        )


def test_server_of_another_encoding(host: BotHost, postgresql: Server, schema: Run) -> None:
    """What initdb makes where no locale is set: psycopg's own default would be bytes in place of text."""
    postgresql.admin("CREATE DATABASE plain ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0 OWNER ai_admin")
    try:
        database = TestDatabase(postgresql.url("plain"))
        postgresql.admin('ALTER SCHEMA public OWNER TO "ai_admin"', "plain")
        good(schema(database))
        assert not good(schema(database))["changed"]
        host.conninfo = database.conninfo
        good(host.state())
    finally:
        postgresql.admin("DROP DATABASE plain WITH (FORCE)")


def test_unlogged_table_is_said_and_stops_nobody_from_leaving_it(schema: Run, fresh_database: TestDatabase) -> None:
    fresh_database.run("ALTER TABLE whatsapp_keys SET UNLOGGED")
    answer = good(schema(fresh_database, state="checked"))
    assert answer["ok"]
    assert [said for said in answer["findings"] if "whatsapp_keys is UNLOGGED" in said]


def test_another_schema(schema: Run, host: BotHost, fresh_database: TestDatabase) -> None:
    fresh_database.run('CREATE SCHEMA "Odd ""name"')
    answer = good(schema(fresh_database, schema='Odd "name'))
    assert len(answer["missing"]) == 5
    good(host.state(schema='Odd "name'))
    good(host.info(schema='Odd "name'))
    assert fresh_database.run('SELECT company_id FROM "Odd ""name".whatsapp_auth') == [(COMPANY,)]
    assert fresh_database.run("SELECT count(*) FROM whatsapp_auth") == [(0,)]
    assert fresh_database.run('SELECT total_companies FROM "Odd ""name".get_whatsapp_auth_stats()') == [(1,)]
    assert problems(good(schema(fresh_database, schema="nowhere", state="checked"))) == ["schema_missing"]
    assert codes(schema(fresh_database, schema="nowhere")) == ["schema_missing"]


# Who may read


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_new_tables_are_closed(
    schema: Run, postgresql: Server, host: BotHost, fresh_database: TestDatabase, role: str
) -> None:
    good(host.state())
    with as_role(postgresql, fresh_database, role) as connection:
        for table in wanted.TABLES:
            for statement in (
                f"SELECT * FROM {table}",
                f"DELETE FROM {table}",
                f"INSERT INTO {table} (company_id) VALUES ('x')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        for function in wanted.FUNCTIONS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {function}()")


def test_service_role_has_the_apps_tables_and_not_our_record(
    postgresql: Server, host: BotHost, fresh_database: TestDatabase
) -> None:
    good(host.state())
    postgresql.admin("ALTER ROLE service_role NOBYPASSRLS")
    try:
        with as_role(postgresql, fresh_database, "service_role") as connection:
            assert connection.execute("SELECT count(*) FROM whatsapp_auth").fetchone() == (1,)
            assert connection.execute("SELECT count(*) > 0 FROM whatsapp_keys").fetchone() == (True,)
            assert connection.execute("SELECT total_companies FROM get_whatsapp_auth_stats()").fetchone() == (1,)
            changed = connection.execute("UPDATE whatsapp_auth_authority SET host = 'x'")
            assert changed.rowcount == 0
    finally:
        postgresql.admin("ALTER ROLE service_role BYPASSRLS")


OPEN = """
ALTER TABLE whatsapp_auth ENABLE ROW LEVEL SECURITY;
CREATE POLICY "all of it" ON whatsapp_auth FOR ALL USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON whatsapp_auth TO anon;
ALTER TABLE whatsapp_keys DISABLE ROW LEVEL SECURITY;
GRANT SELECT ON whatsapp_keys TO authenticated;
"""  # the original's policy, and a table without any


def test_open_tables_are_reported_and_closed_only_when_told(
    schema: Run, postgresql: Server, host: BotHost, fresh_database: TestDatabase, served: Callable[[str], str]
) -> None:
    good(host.state())
    fresh_database.run(OPEN)
    told = {"harden": True, "env_file": served(key_of("service_role"))}

    def reads(role: str, table: str) -> bool:
        with as_role(postgresql, fresh_database, role) as connection:
            try:
                return connection.execute(f"SELECT count(*) > 0 FROM {table}").fetchone() == (True,)
            except psycopg.errors.InsufficientPrivilege:
                return False

    assert reads("anon", "whatsapp_auth")
    assert reads("authenticated", "whatsapp_keys")
    for answer in (
        schema(fresh_database, state="checked"),
        schema(fresh_database),
        schema(fresh_database, check=True, **told),
    ):
        assert good(answer)["open"] == ["whatsapp_auth", "whatsapp_keys"]
        assert any("anon" in finding for finding in answer["findings"])
        assert reads("anon", "whatsapp_auth")
    answer = good(schema(fresh_database, **told))
    assert answer["changed"] is True
    for role in ("anon", "authenticated"):
        for table in wanted.TABLES:
            assert not reads(role, table)
    assert reads("service_role", "whatsapp_auth")
    assert good(schema(fresh_database, **told))["changed"] is False
    assert good(host.info())["companies"][COMPANY]["agree"] is True


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (key_of("anon"), "rest_anon_key"),
        (key_of("somebody"), "harden_unproven"),
        ("sb_secret_of_another_project", "rest_key_refused"),
        (key_of("service_role", b"another project's"), "rest_key_refused"),
        (None, "harden_unproven"),
    ],
)
def test_closed_only_where_the_apps_own_key_does_without(
    schema: Run, postgresql: Server, fresh_database: TestDatabase, served: Callable[[str], str], key: str, code: str
) -> None:
    """Closed blindly, the app would see no row and make a new login."""
    fresh_database.run(OPEN)
    env_file = served(key or "")
    if key is None:
        Path(env_file).write_text("PORT=3000\n")
    told = {"harden": True, "env_file": env_file}
    assert problems(good(schema(fresh_database, state="checked", **told))) == [code]
    answer = schema(fresh_database, **told)
    assert codes(answer) == [code]
    assert answer["open"] == ["whatsapp_auth", "whatsapp_keys"]
    assert good(schema(fresh_database, state="checked"))["open"] == ["whatsapp_auth", "whatsapp_keys"]
    assert key is None or key not in json.dumps(answer)


def test_what_would_lock_out_the_migration_itself_is_undone(
    schema: Run, postgresql: Server, fresh_database: TestDatabase, served: Callable[[str], str]
) -> None:
    """Its own role, which owns nothing, came in by the policy for everybody."""
    fresh_database.run(OPEN)
    fresh_database.run("ALTER TABLE whatsapp_auth FORCE ROW LEVEL SECURITY")
    told = {"harden": True, "env_file": served(key_of("service_role"))}
    assert codes(schema(fresh_database, **told)) == ["row_security"]
    assert good(schema(fresh_database, state="checked"))["open"] == ["whatsapp_auth", "whatsapp_keys"]


def test_writing_alone_is_open_too(schema: Run, fresh_database: TestDatabase, served: Callable[[str], str]) -> None:
    """Who can write a login can take it over."""
    fresh_database.run(
        "ALTER TABLE whatsapp_auth DISABLE ROW LEVEL SECURITY; GRANT UPDATE, INSERT ON whatsapp_auth TO anon"
    )
    assert good(schema(fresh_database, state="checked"))["open"] == ["whatsapp_auth"]
    good(schema(fresh_database, harden=True, env_file=served(key_of("service_role"))))
    assert good(schema(fresh_database, state="checked"))["open"] == []


# What stands in the way, found before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE whatsapp_keys ADD tenant int NOT NULL", "column_foreign"),
        ("ALTER TABLE whatsapp_auth ADD tenant int NOT NULL", "column_foreign"),
        ("ALTER TABLE whatsapp_keys DROP COLUMN expires_at", "column_missing"),
        ("ALTER TABLE whatsapp_auth DROP COLUMN updated_at CASCADE", "column_missing"),
        ("ALTER TABLE whatsapp_keys ALTER value TYPE json USING value::json", "column_type"),
        ("ALTER TABLE whatsapp_keys ALTER value TYPE text USING value::text", "column_type"),
        ("ALTER TABLE whatsapp_keys ALTER expires_at TYPE timestamp", "column_type"),
        ("ALTER TABLE whatsapp_keys DROP CONSTRAINT whatsapp_keys_pkey", "primary_key"),
        (
            "ALTER TABLE whatsapp_keys DROP CONSTRAINT whatsapp_keys_pkey, ADD PRIMARY KEY (company_id, key_id)",
            "primary_key",
        ),
        ("ALTER TABLE whatsapp_keys FORCE ROW LEVEL SECURITY", "row_security"),
    ],
)
def test_what_stands_in_the_way(schema: Run, fresh_database: TestDatabase, change: str, code: str) -> None:
    fresh_database.run(change)
    answer = good(schema(fresh_database, state="checked"))
    assert (answer["ok"], problems(answer)) == (False, [code])
    assert codes(schema(fresh_database)) == [code]
    assert all(problem["remedy"] for problem in answer["problems"])


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE whatsapp_keys ADD tenant int NOT NULL DEFAULT 0",
        "ALTER TABLE whatsapp_keys ADD note text",
        "ALTER TABLE whatsapp_keys ALTER company_id TYPE varchar(64)",
        "ALTER TABLE whatsapp_keys ADD serial_number bigint GENERATED ALWAYS AS IDENTITY",
    ],
)
def test_what_does_not(schema: Run, host: BotHost, fresh_database: TestDatabase, change: str) -> None:
    fresh_database.run(change)
    answer = good(schema(fresh_database, state="checked"))
    assert (answer["ok"], problems(answer)) == (True, [])
    good(host.state())


def test_everything_at_once(schema: Run, fresh_database: TestDatabase) -> None:
    fresh_database.run(
        "ALTER TABLE whatsapp_keys ADD tenant int NOT NULL, DROP COLUMN expires_at; DROP TABLE whatsapp_auth_authority"
    )
    answer = good(schema(fresh_database, state="checked"))
    assert sorted(problems(answer)) == ["column_foreign", "column_missing"]
    assert answer["missing"] == ["whatsapp_auth_authority"]


# An index that does not take a large value


@pytest.mark.parametrize("check", [True, False])
def test_a_covering_index_and_a_large_value(
    schema: Run, host: BotHost, fresh_database: TestDatabase, check: bool
) -> None:
    import random

    random.seed(1)
    fresh_database.run("CREATE INDEX all_of_it ON whatsapp_keys (company_id, key_type) INCLUDE (value)")
    answer = good(schema(fresh_database, state="checked"))
    assert any("all_of_it" in finding for finding in answer["findings"])
    host.write("sender-key-memory-120363041234567890@g.us", {str(random.random()): True for _ in range(1000)})
    with host.unchanged(fresh_database):
        answer = host.state(check=check)
    assert codes(answer) == ["database_error"]
    assert "54000" in answer["msg"]
    assert "drop that index" in answer["msg"]
    fresh_database.run("DROP INDEX all_of_it")
    good(host.state(check=check))


def test_an_index_on_creds(host: BotHost, fresh_database: TestDatabase) -> None:
    fresh_database.run("CREATE INDEX ON whatsapp_auth ((creds::text))")
    creds = host.values()["creds.json"]
    host.write("creds", {**creds, "processedHistoryMessages": [{"n": f"{n * n:x}"} for n in range(3000)]})
    with host.unchanged(fresh_database):
        assert codes(host.state(check=True)) == ["database_error"]
        assert codes(host.state()) == ["database_error"]


# Other things that a database does


def test_a_trigger_that_changes_values_is_found_before_the_commit(host: BotHost, fresh_database: TestDatabase) -> None:
    fresh_database.run(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.key_type = 'pre-key' THEN NEW.value = '{\"meddled\": 1}'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER meddle BEFORE INSERT ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    with host.unchanged(fresh_database):
        answer = host.state()
    assert codes(answer) == ["verification_failed"]
    assert "10 pre-key" in answer["msg"]


def test_a_trigger_that_swallows_rows_is_found_before_the_commit(host: BotHost, fresh_database: TestDatabase) -> None:
    fresh_database.run("CREATE RULE nothing AS ON DELETE TO whatsapp_keys DO INSTEAD NOTHING")
    good(host.state())
    (host.folder / "pre-key-1.json").unlink()
    with host.unchanged(fresh_database):
        assert codes(host.state()) == ["verification_failed"]


def test_a_trigger_that_puts_a_ttl_on_everything_is_found(host: BotHost, fresh_database: TestDatabase) -> None:
    fresh_database.run(
        "CREATE FUNCTION ttl() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.expires_at = now() + interval '1 day'; RETURN NEW; END $$;"
        "CREATE TRIGGER ttl BEFORE INSERT OR UPDATE ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION ttl()"
    )
    with host.unchanged(fresh_database):
        assert codes(host.state()) == ["verification_failed"]


def test_tables_missing(schema: Run, host: BotHost, empty_database: TestDatabase) -> None:
    host.conninfo = empty_database.conninfo
    answer = host.state()
    assert codes(answer) == ["database_error"]
    assert "42P01" in answer["msg"]
    assert "migration" in answer["msg"]
    plan = good(host.state(check=True))
    assert total(plan, "added") > 50
    assert good(host.info())["companies"][COMPANY]["database"]["present"] is False


# Roles with less than everything


@pytest.fixture
def mover(postgresql: Server) -> tuple[str, str]:
    """A role with no rights yet, and its password."""
    postgresql.admin("DROP ROLE IF EXISTS mover")
    postgresql.admin("CREATE ROLE mover LOGIN PASSWORD 'm0verpass'")
    return "mover", "m0verpass"


def grant(postgresql: Server, database: TestDatabase, text: str) -> None:
    values = {"schema": "public", "role": "mover", "auth": "whatsapp_auth", "keys": "whatsapp_keys"}
    postgresql.admin(text.format(**values, authority="whatsapp_auth_authority", database=database.name), database.name)


def test_the_least_privileges_are_enough(
    schema: Run, postgresql: Server, host: BotHost, fresh_database: TestDatabase, mover: tuple[str, str]
) -> None:
    postgresql.admin(f"REVOKE ALL ON DATABASE {fresh_database.name} FROM PUBLIC")
    grant(postgresql, fresh_database, wanted.LEAST_PRIVILEGE)
    host.conninfo = postgresql.url(fresh_database.name, user=mover[0], password=mover[1])
    answer = good(schema(host.conninfo, state="checked"))
    assert (answer["ok"], answer["problems"], answer["open"]) == (True, [], [])
    assert good(schema(host.conninfo))["changed"] is False
    good(host.state(check=True))
    host.migrate()
    fresh_database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'pre-key', '90', '{}')", COMPANY
    )
    host.go_back()
    assert "pre-key-90.json" in host.contents()
    facts = good(host.info())
    assert facts["companies"][COMPANY]["agree"] is True
    assert facts["stats"]["total_companies"] == 1


def test_it_is_the_sql_that_operators_are_given() -> None:
    text = (Path(__file__).parents[2] / "docs/least-privilege.sql").read_text()
    statements = {" ".join(line.split()) for line in wanted.LEAST_PRIVILEGE.strip().split(";") if line.strip()}
    names = {"schema": "public", "auth": "public.whatsapp_auth", "keys": "public.whatsapp_keys", "role": ":role",
             "authority": "public.whatsapp_auth_authority", "database": ":database"}  # fmt: skip
    flat = " ".join(text.replace(':"', ":").replace('"', "").split())
    for statement in statements:
        assert statement.format(**names) in flat, statement


@pytest.mark.parametrize(
    ("revoked", "code"),
    [
        ("REVOKE DELETE ON whatsapp_keys FROM mover", "privileges"),
        ("REVOKE SELECT ON whatsapp_auth FROM mover", "privileges"),
        ("REVOKE ALL ON whatsapp_auth_authority FROM mover", "privileges"),
        ("DROP POLICY mover ON whatsapp_keys", "row_security"),
        ("REVOKE USAGE ON SCHEMA public FROM mover, PUBLIC", "privileges"),
        ("REVOKE TEMPORARY ON DATABASE {database} FROM mover, PUBLIC", "privileges"),
    ],
)
def test_a_missing_privilege_is_found_before(
    schema: Run,
    postgresql: Server,
    host: BotHost,
    fresh_database: TestDatabase,
    mover: tuple[str, str],
    revoked: str,
    code: str,
) -> None:
    good(host.state())
    grant(postgresql, fresh_database, wanted.LEAST_PRIVILEGE)
    grant(postgresql, fresh_database, revoked)
    conninfo = postgresql.url(fresh_database.name, user=mover[0], password=mover[1])
    answer = good(schema(conninfo, state="checked"))
    assert answer["ok"] is False
    assert set(problems(answer)) == {code}
    host.conninfo = conninfo
    (host.folder / "pre-key-1.json").unlink()
    with host.unchanged(fresh_database):
        assert host.state()["failed"] is True


def test_rows_that_a_policy_hides(
    schema: Run, postgresql: Server, host: BotHost, fresh_database: TestDatabase, mover: tuple[str, str]
) -> None:
    """A policy is there, and shows other rows than these: nothing is committed on half a view."""
    grant(postgresql, fresh_database, wanted.LEAST_PRIVILEGE)
    good(host.state())
    grant(
        postgresql,
        fresh_database,
        "ALTER POLICY mover ON whatsapp_keys USING (key_type <> 'session') WITH CHECK (true)",
    )
    host.conninfo = postgresql.url(fresh_database.name, user=mover[0], password=mover[1])
    host.write("session-79000000001.0", {"new": 1})
    with host.unchanged(fresh_database):
        assert host.state()["failed"] is True
    grant(
        postgresql,
        fresh_database,
        "CREATE POLICY part ON whatsapp_auth AS RESTRICTIVE FOR ALL TO mover USING (company_id = '5')",
    )
    answer = good(schema(host.conninfo, state="checked"))
    assert "row_security" in problems(answer)


@pytest.mark.parametrize("command", ["SELECT", "INSERT", "UPDATE", "DELETE"])
def test_policies_by_command_do_as_well(
    schema: Run, postgresql: Server, fresh_database: TestDatabase, mover: tuple[str, str], command: str
) -> None:
    grant(postgresql, fresh_database, wanted.LEAST_PRIVILEGE)
    grant(postgresql, fresh_database, "DROP POLICY mover ON whatsapp_keys")
    for each in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        rule = "WITH CHECK (true)" if each == "INSERT" else "USING (true)"
        grant(postgresql, fresh_database, f"CREATE POLICY only_{each} ON {{keys}} FOR {each} TO mover {rule}")
    conninfo = postgresql.url(fresh_database.name, user=mover[0], password=mover[1])
    assert problems(good(schema(conninfo, state="checked"))) == []
    grant(postgresql, fresh_database, f"DROP POLICY only_{command} ON whatsapp_keys")
    assert problems(good(schema(conninfo, state="checked"))) == ["row_security"]


# Reaching it


@pytest.mark.parametrize("module", ["baileys_auth_schema", "baileys_auth_state", "baileys_auth_info"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace(":{port}/", ":1/"), "database_unreachable"),
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "database_unreachable"),
        (lambda url: url.replace("{password}", "Wr0ng-passw0rd"), "database_password"),
        (lambda url: url.rpartition("/")[0] + "/no_such_database", "database_unreachable"),
        (lambda url: url.replace("{password}", "S3cr/et@pa:ss"), None),
        (lambda url: "postgresql://user:S3cr%zzet@127.0.0.1/x", "database_url"),
        (lambda url: "S3cret nonsense", "database_url"),
        (lambda url: "host=127.0.0.1 port=S3cret user=x", None),
        (lambda url: "postgresql://user:S3cret#/@127.0.0.1:5432/x", None),
        (lambda url: url + "?sslmode=S3cret", None),
        (lambda url: url + "?S3cret=1", "database_url"),
    ],
)  # fmt: skip
def test_no_message_holds_a_secret(
    host: BotHost, run_module: Run, postgresql: Server, module: str, change: Callable[[str], str], code: str | None
) -> None:
    template = host.conninfo.replace(postgresql.password, "{password}").replace(f":{postgresql.port}/", ":{port}/")
    url = change(template).replace("{password}", postgresql.password).replace("{port}", str(postgresql.port))
    if module == "baileys_auth_schema":
        answer = run_module(module, conninfo=url)
        checked = run_module(module, conninfo=url, state="checked")
        assert checked["ok"] is False
        assert problems(checked)
    else:
        options = {"destination": "database"} if module == "baileys_auth_state" else {}
        answer = host.call(module, {**host.arguments(**options), "conninfo": url})
    if module == "baileys_auth_info" and not answer.get("failed"):
        assert answer["database_compared"] is False
        found = problems(answer)
    else:
        found = codes(answer)
    assert found[:1] == [code] if code else found
    text = json.dumps(answer)
    for secret in (postgresql.password, "Wr0ng", "S3cr"):
        assert secret not in text, answer.get("msg")


def test_without_psycopg(host: BotHost, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert codes(host.state()) == ["psycopg_missing"]
    assert codes(run_module("baileys_auth_schema", conninfo=host.conninfo)) == ["psycopg_missing"]
    answer = good(host.info())
    assert answer["database_compared"] is False
    assert problems(answer) == ["psycopg_missing"]
    assert answer["companies"][COMPANY]["files"]["present"] is True


def test_the_server_goes_away_in_the_middle(
    host: BotHost, postgresql: Server, fresh_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut with the keys copied and creds to come: each company is told, the rows are the old ones."""
    from ansible.module_utils.baileys_auth.database import Database

    host.make(60, "1001", number="79990000002")
    host.company_ids = [COMPANY, "1001"]
    original = Database.write_creds

    def cut(self: Database, company: str, creds: bytes) -> None:
        postgresql.admin(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{fresh_database.name}'"
        )
        original(self, company, creds)

    with host.unchanged(fresh_database), monkeypatch.context() as patch:
        patch.setattr(Database, "write_creds", cut)
        assert codes(host.state()) == ["database_error", "database_error"]
    good(host.state())
