"""Through a pooler in transaction mode, over TLS, and under the timeouts that a role may have: as on Supabase."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bot_host import COMPANY, BotHost, codes, good, total
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from postgresql_server import Server, TestDatabase

PROJECT = Path(__file__).resolve().parents[2]


def pgbouncer_program() -> tuple[str, str]:
    """(the program, where its libraries are): the installed one, or the distribution's package unpacked in .cache."""
    installed = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if installed:
        return installed, ""
    unpacked = PROJECT / ".cache" / "pgbouncer"
    if not unpacked.exists():
        if not shutil.which("apt-get"):
            pytest.fail("pgbouncer is not installed, and there is no apt-get to fetch it")
        listed = subprocess.run(
            ["apt-cache", "depends", "pgbouncer"], capture_output=True, text=True, check=False
        ).stdout
        libraries = [line.split()[-1] for line in listed.splitlines() if "Depends: libevent" in line or "ares" in line]
        building = unpacked.with_name(f"pgbouncer.{os.getpid()}")
        building.mkdir(parents=True)
        fetched = subprocess.run(
            ["apt-get", "download", "pgbouncer", *libraries], cwd=building, capture_output=True, text=True, check=False
        )
        if fetched.returncode:
            shutil.rmtree(building)
            why = fetched.stderr.strip()[-200:]
            pytest.fail(f"pgbouncer is not installed, and apt-get cannot fetch it (sudo apt-get update?): {why}")
        for package in building.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, building], check=True)
        building.rename(unpacked)
    (library,) = {path.parent for path in unpacked.glob("usr/lib/*/libevent*.so*")}
    return str(unpacked / "usr/sbin/pgbouncer"), str(library)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder: Path, name: str, issuer: tuple[x509.Name, Any] | None, host: str) -> tuple[x509.Name, Any]:
    """`<name>.crt` and `<name>.key`; signed by itself where there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signing_key = issuer or (subject, key)
    now = datetime.datetime.now(datetime.timezone.utc)
    address = [x509.IPAddress(ipaddress.ip_address(host))] if host[0].isdigit() else [x509.DNSName(host)]
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(address), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(*form))
    return subject, key


class Pooler:
    """pgbouncer in transaction mode with one server connection: whatever one client leaves, the next one meets."""

    def __init__(self, server: Server, folder: Path, *, tls: bool) -> None:
        self.server, self.folder, self.port = server, folder, free_port()
        program, libraries = pgbouncer_program()
        (folder / "users").write_text(f'"{server.role}" "{server.password}"\n')
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": folder / "users",
            "pool_mode": "transaction",
            "default_pool_size": 1,
            "query_wait_timeout": 60,
        }
        if tls:
            authority = certificate(folder, "ca", None, "ca.test")
            certificate(folder, "server", authority, "localhost")
            certificate(folder, "stranger", None, "localhost")
            options |= {
                "client_tls_sslmode": "require",
                "client_tls_cert_file": folder / "server.crt",
                "client_tls_key_file": folder / "server.key",
            }
        text = "".join(f"{name} = {value}\n" for name, value in options.items())
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n{text}"
        )
        command = [program, str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:  # as which it refuses to run
            for path in (folder, *folder.iterdir()):
                os.chown(path, 65534, 65534)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *command]
        self.process = subprocess.Popen(
            command, env={**os.environ, "LD_LIBRARY_PATH": libraries}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def url(self, database: TestDatabase, host: str = "127.0.0.1", **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{self.server.role}:{self.server.password}@{host}:{self.port}/{database.name}?{query}"


@pytest.fixture(scope="session")
def poolers(postgresql: Server) -> Iterator[dict[bool, Pooler]]:
    """By whether they speak TLS."""
    folders = [Path(tempfile.mkdtemp(prefix="auth-state-pooler-")) for _ in range(2)]
    made: dict[bool, Pooler] = {}
    try:
        for folder, tls in zip(folders, (False, True), strict=True):
            made[tls] = Pooler(postgresql, folder, tls=tls)
        yield made
    finally:
        for pooler in made.values():
            pooler.process.terminate()
            pooler.process.wait()
        for folder in folders:
            shutil.rmtree(folder)


# The pooler


def test_everything_through_a_pooler(
    bot_host: BotHost, database: TestDatabase, poolers: dict[bool, Pooler], run_module: Any
) -> None:
    bot_host.conninfo = poolers[False].url(database)
    assert good(run_module("baileys_auth_schema", conninfo=bot_host.conninfo))["ok"] is True
    plan = good(bot_host.state(check=True))
    answer = good(bot_host.state())
    assert plan["companies"][COMPANY]["actions"] == answer["companies"][COMPANY]["actions"]
    assert good(bot_host.state())["changed"] is False
    (bot_host.folder / "pre-key-1.json").unlink()
    answer = bot_host.migrate()
    assert total(answer, "removed") == 1
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'pre-key', '70', '{}')", COMPANY
    )
    answer = bot_host.go_back()
    assert total(answer, "added") == 1
    assert good(bot_host.info())["companies"][COMPANY]["agree"] is True


def test_nothing_stays_in_the_servers_session(
    bot_host: BotHost, database: TestDatabase, poolers: dict[bool, Pooler]
) -> None:
    """The next client of the pool gets the same server session: no setting, table or lock of ours is in it."""
    look = """
        SELECT pg_backend_pid(), current_setting('statement_timeout'), current_setting('lock_timeout'),
               current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'),
               current_setting('transaction_read_only'),
               (SELECT count(*) FROM pg_class WHERE relname = 'baileys_auth_staged'),
               (SELECT count(*) FROM pg_prepared_statements),
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
    """
    url = poolers[False].url(database)

    def seen() -> tuple:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            return connection.execute(look).fetchone()

    before = seen()
    bot_host.conninfo = url
    good(bot_host.state())
    good(bot_host.state(check=True))
    good(bot_host.info())
    bot_host.write("lid-mapping-79110000001", 5)
    assert codes(bot_host.state()) == ["value_refused"]
    assert seen() == before
    assert before[6:] == (0, 0, 0)


def test_two_runs_at_once_through_a_pooler(
    bot_host: BotHost, database: TestDatabase, poolers: dict[bool, Pooler]
) -> None:
    """One waits for the pool's connection or is told; no lock is left behind, and the login is whole."""
    bot_host.conninfo = poolers[False].url(database)
    arguments = bot_host.arguments(destination="database")
    processes = [bot_host.process("baileys_auth_state", arguments) for _ in range(3)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert any(not answer.get("failed") for answer in answers)
    for answer in answers:
        if answer.get("failed"):
            assert codes(answer) == ["locked"]
    assert good(bot_host.state())["changed"] is False


# TLS


def test_tls_verify_full(bot_host: BotHost, database: TestDatabase, poolers: dict[bool, Pooler]) -> None:
    pooler = poolers[True]
    options = {"sslmode": "verify-full", "sslrootcert": pooler.folder / "ca.crt"}
    bot_host.conninfo = pooler.url(database, "localhost", **options)
    with psycopg.connect(bot_host.conninfo, prepare_threshold=None) as connection:
        assert connection.pgconn.ssl_in_use
    bot_host.migrate()
    bot_host.go_back()


@pytest.mark.parametrize(
    ("host", "authority", "why"),
    [
        ("localhost", "stranger.crt", "certificate verify failed"),
        ("localhost", "missing.crt", "missing.crt"),
        ("127.0.0.1", "ca.crt", "does not match host name"),
    ],
)
def test_tls_that_does_not_verify(
    bot_host: BotHost, database: TestDatabase, poolers: dict[bool, Pooler], host: str, authority: str, why: str
) -> None:
    pooler = poolers[True]
    options = {"sslmode": "verify-full", "sslrootcert": pooler.folder / authority}
    bot_host.conninfo = pooler.url(database, host, **options)
    with bot_host.unchanged(database):
        answer = bot_host.state()
    assert codes(answer) == ["database_tls"]
    assert why in answer["msg"]
    assert pooler.server.password not in json.dumps(answer)


# Timeouts


@pytest.fixture
def impatient(postgresql: Server, fresh_database: TestDatabase) -> TestDatabase:
    """A role that may not take long, and a table that does."""
    for setting in (
        "statement_timeout = '150ms'",
        "idle_in_transaction_session_timeout = '150ms'",
        "transaction_timeout = '1s'",
    ):
        postgresql.admin(f'ALTER ROLE "{postgresql.role}" IN DATABASE {fresh_database.name} SET {setting}')
    postgresql.admin(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;"
        "CREATE TRIGGER slow AFTER INSERT ON whatsapp_keys FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        fresh_database.name,
    )
    return fresh_database


def test_the_roles_timeouts_do_not_end_a_copy(
    bot_host: BotHost, impatient: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils.baileys_auth.reader import Reader

    with pytest.raises(psycopg.errors.QueryCanceled):
        impatient.run("INSERT INTO whatsapp_keys VALUES ('1', 'a', 'b', '1')")
    original = Reader.read_mappings

    def slowly(self: Reader, *arguments: Any) -> None:
        time.sleep(1.2)
        original(self, *arguments)

    monkeypatch.setattr(Reader, "read_mappings", slowly)
    bot_host.conninfo = impatient.conninfo
    answer = good(bot_host.state())
    assert answer["companies"][COMPANY]["verified"] is True
    assert impatient.run("SHOW statement_timeout") == [("150ms",)]


def test_a_database_that_does_not_answer_is_given_up(
    bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something listens, and says nothing."""
    from ansible.module_utils.baileys_auth import database as database_module

    monkeypatch.setattr(database_module, "CONNECT_TIMEOUT", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        bot_host.conninfo = f"postgresql://x:y@127.0.0.1:{silent.getsockname()[1]}/z"
        start = time.monotonic()
        assert codes(bot_host.state()) == ["database_unreachable"]
        assert time.monotonic() - start < 8
