"""A migrated login, read back over REST with the app's own key: what the endpoint's answers mean."""

from __future__ import annotations

from collections.abc import Iterator

import postgrest_server
import pytest
from ansible.module_utils.baileys_auth import read_back
from ansible.module_utils.baileys_auth.database import Database, connect
from ansible.module_utils.node_host import postgrest
from bot_host import COMPANY, BotHost
from postgresql_server import Server, TestDatabase
from postgrest_server import Endpoint, key_of


@pytest.fixture
def endpoint(postgresql: Server, database: TestDatabase) -> Iterator[Endpoint]:
    with postgrest_server.running(postgresql.url(database.name, admin=True)) as found:
        yield found


def seen(endpoint: Endpoint, database: TestDatabase, key: str) -> list[str]:
    """The codes of what the app's key does not see."""
    rest = postgrest.from_environment({"SUPABASE_URL": endpoint.url, "SUPABASE_KEY": key})
    assert rest is not None
    with connect(database.conninfo) as connection:
        try:
            problems = read_back.read_back(rest, Database(connection), COMPANY)
        except postgrest.PostgrestError as error:
            problems = error.problems
    for problem in problems:
        assert key not in str(problem)
        assert endpoint.url not in str(problem)
        assert problem.remedy
    return [problem.code for problem in problems]


def test_the_service_key_sees_the_whole_login(bot_host: BotHost, database: TestDatabase, endpoint: Endpoint) -> None:
    bot_host.migrate()
    assert seen(endpoint, database, key_of("service_role")) == []
    # The creds, and one key of each type.
    assert len(endpoint.asked) == 1 + len(bot_host.info()["companies"][COMPANY]["database"]["by_type"])


def test_a_closed_table_and_one_that_only_looks_empty(
    bot_host: BotHost, fresh_database: TestDatabase, postgresql: Server
) -> None:
    bot_host.conninfo = fresh_database.conninfo
    bot_host.migrate()
    with postgrest_server.running(postgresql.url(fresh_database.name, admin=True)) as endpoint:
        assert seen(endpoint, fresh_database, key_of("anon")) == ["rest_permission"]
        # As Supabase grants by default, with row level security and no policy for the role: 200, and no row.
        fresh_database.run("GRANT SELECT ON whatsapp_auth, whatsapp_keys TO anon")
        assert set(seen(endpoint, fresh_database, key_of("anon"))) == {"rest_no_row"}
        # The original's policy: everybody.
        for table in ("whatsapp_auth", "whatsapp_keys"):
            fresh_database.run(f"CREATE POLICY everybody ON {table} FOR ALL USING (true)")
        assert seen(endpoint, fresh_database, key_of("anon")) == []
        rest = postgrest.Postgrest(endpoint.url, key_of("anon"))
        problem = read_back.depends_on_open_policy(rest, ["whatsapp_auth", "whatsapp_keys"])
        assert problem is not None
        assert "anon key" in problem.problem
        assert read_back.depends_on_open_policy(rest, []) is None
        service = postgrest.Postgrest(endpoint.url, key_of("service_role"))
        assert read_back.depends_on_open_policy(service, ["whatsapp_auth"]) is None


def test_another_database_behind_the_endpoint(
    bot_host: BotHost, database: TestDatabase, fresh_database: TestDatabase, postgresql: Server
) -> None:
    bot_host.migrate()
    with postgrest_server.running(postgresql.url(fresh_database.name, admin=True)) as endpoint:
        assert set(seen(endpoint, database, key_of("service_role"))) == {"rest_no_row"}
        creds = database.run("SELECT creds::text FROM whatsapp_auth")[0][0]
        fresh_database.run("INSERT INTO whatsapp_auth VALUES (%s, %s::jsonb - 'noiseKey')", COMPANY, creds)
        assert "rest_differs" in seen(endpoint, database, key_of("service_role"))


def test_what_the_endpoint_says(bot_host: BotHost, database: TestDatabase, endpoint: Endpoint) -> None:
    bot_host.migrate()
    service = key_of("service_role")
    assert seen(endpoint, database, key_of("service_role", b"of another project")) == ["rest_key_refused"]
    for answer, code in [
        ((401, b'{"code":"PGRST303","details":null,"hint":null,"message":"JWT expired"}'), "rest_key_refused"),
        ((404, b'{"code":"PGRST205","message":"Could not find the table"}'), "rest_table_missing"),
        (
            (404, b'{"code":"42P01","message":"relation \\"public.whatsapp_auth\\" does not exist"}'),
            "rest_table_missing",
        ),
        ((403, b'{"code":"42501","message":"permission denied for table whatsapp_auth"}'), "rest_permission"),
        ((406, b'{"code":"PGRST106","message":"Invalid schema: x"}'), "rest_schema"),
        ((503, b'{"code":"PGRST000","message":"Database connection error"}'), "rest_refused"),
        ((302, b""), "rest_foreign"),
        ((404, b"<html>"), "rest_foreign"),
        ((200, b"<html>"), "rest_foreign"),
        ((200, b'{"swagger":"2.0"}'), "rest_foreign"),
    ]:
        endpoint.answer = answer
        assert seen(endpoint, database, service) == [code], answer


def test_nothing_listens(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.migrate()
    closed = Endpoint("http://127.0.0.1:9")
    assert seen(closed, database, key_of("service_role")) == ["rest_unreachable"]


def test_a_table_that_the_endpoint_does_not_know(
    bot_host: BotHost, database: TestDatabase, empty_database: TestDatabase, postgresql: Server
) -> None:
    bot_host.migrate()
    with postgrest_server.running(postgresql.url(empty_database.name, admin=True)) as endpoint:
        assert seen(endpoint, database, key_of("service_role")) == ["rest_table_missing"]
