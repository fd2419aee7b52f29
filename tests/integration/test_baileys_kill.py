"""kill -9 of the module at random moments, at 10,000 files: the old state or the new, whole; the next run completes.

KILLS=300 for the long run; KILL_SEED=… repeats one.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import auth_states
import psycopg
import pytest
from bot_host import COMPANY, BotHost, good
from postgresql_server import TestDatabase

KILLS = int(os.environ.get("KILLS", "30"))
SEED = int(os.environ.get("KILL_SEED", str(time.time_ns() % 1_000_000)))
FILES = 10_000
SECONDS = (
    50 if KILLS <= 30 else 10 * KILLS
)  # on a machine that is busy with other things: fewer kills, not a longer test


class Login:
    """A login whose state changes in one step from one whole to the next: some keys added, changed and removed."""

    def __init__(self, host: BotHost, source: random.Random) -> None:
        self.host, self.source, self.step = host, source, 0
        self.sessions = [f"session-7955{number:07d}.0" for number in range(300)]
        for session in self.sessions:
            host.write(session, {"step": 0})

    def advance(self) -> None:
        self.step += 1
        creds = json.loads((self.host.folder / "creds.json").read_text())
        self.host.write("creds", {**creds, "step": self.step})
        for session in self.source.sample(self.sessions, 150):
            self.host.write(session, {"step": self.step})
        for number in range(50):
            self.host.write(f"pre-key-{1000 + self.step * 50 + number}", {"step": self.step})
            (self.host.folder / f"pre-key-{1000 + (self.step - 1) * 50 + number}.json").unlink(missing_ok=True)


def fingerprint(database: TestDatabase) -> str:
    """Both tables of the login in one word, by the server."""
    return database.run(
        "SELECT md5(string_agg(t, ',' ORDER BY t)) FROM ("
        " SELECT key_type || ' ' || key_id || md5(value::text) FROM whatsapp_keys WHERE company_id = %s"
        " UNION ALL SELECT 'creds' || md5(creds::text) FROM whatsapp_auth WHERE company_id = %s) AS rows (t)",
        COMPANY, COMPANY,
    )[0][0]  # fmt: skip


def wait_for_the_server(database: TestDatabase) -> None:
    """A commit that was sent is done, a transaction whose client is gone is undone."""
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'baileys_auth_state' AND datname = current_database()"
    )
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        while connection.execute(others).fetchone() != (0,):
            time.sleep(0.02)


def run_and_kill(host: BotHost, after: float, begun: Callable[[], bool] = lambda: True, **arguments: str) -> bool:
    """Whether it was still running `after` seconds from its start, or from when it has `begun` to write."""
    process = host.process("baileys_auth_state", host.arguments(**arguments))
    while process.poll() is None and not begun():
        time.sleep(0.001)
    time.sleep(after)
    process.kill()
    process.communicate()
    return process.returncode == -9


def seconds_of_a_run(host: BotHost, **arguments: str) -> float:
    start = time.monotonic()
    output, _errors = host.process("baileys_auth_state", host.arguments(**arguments)).communicate()
    good(json.loads(output))
    return time.monotonic() - start


@pytest.fixture
def host(tmp_path: Path, database: TestDatabase, run_module: object) -> BotHost:
    host = BotHost(tmp_path / "host", database.conninfo, run_module)
    host.make(FILES - 300)
    return host


def test_files_to_database(host: BotHost, database: TestDatabase) -> None:
    source = random.Random(SEED)
    login = Login(host, source)
    options = {"destination": "database", "lid_mapping_ttl_days": 0}
    first = seconds_of_a_run(host, **options)
    login.advance()
    second = seconds_of_a_run(host, **options)
    assert database.count() == len(host.contents()) - 1
    outcomes = {"killed, the old state": 0, "killed, the new state": 0, "not killed": 0}
    deadline = time.monotonic() + SECONDS * 0.7
    left = KILLS * 4 // 5
    while left > 0 and time.monotonic() < deadline:
        whole = source.random() < 0.3
        if whole:  # into an empty database: the copy of all 10,000
            database.run("TRUNCATE whatsapp_auth, whatsapp_keys, whatsapp_auth_authority")
            (host.state_dir / f"manifests/company_{COMPANY}.json").unlink()
        login.advance()
        before = after_kill = fingerprint(database)
        for _ in range(3):  # killed several times over, the login has not moved
            killed = run_and_kill(host, source.uniform(0.3, 1.05) * (first if whole else second), **options)
            wait_for_the_server(database)
            after_kill = fingerprint(database)
            left -= 1
            state = "killed, the old state" if after_kill == before else "killed, the new state"
            outcomes[state if killed else "not killed"] += 1
            if after_kill != before:
                break
        answer = good(host.state(**options))
        assert answer["companies"][COMPANY]["verified"]
        after = fingerprint(database)
        assert after != before
        assert after_kill in (before, after), f"KILL_SEED={SEED}"
    print(f"{outcomes} (KILL_SEED={SEED})")
    assert outcomes["killed, the old state"] >= 1
    # The last state, value for value.
    rows = {key: json.loads(text) for key, text in database.rows().items()}
    assert len(rows) == len(host.contents())
    assert {key[1]: value for key, value in rows.items() if key[0] == "session"} == {
        name.removeprefix("session-").removesuffix(".json"): value
        for name, value in host.values().items()
        if name.startswith("session-")
    }


def test_database_to_files(host: BotHost, database: TestDatabase) -> None:
    """Each file is old or new and whole, no other is touched, and the next run completes."""
    source = random.Random(SEED)
    login = Login(host, source)
    host.migrate(lid_mapping_ttl_days=0)
    options = {"destination": "files", "authority": "move"}
    staging = host.state_dir / "staging"
    killed = 0
    deadline = time.monotonic() + SECONDS * 0.3
    for turn in range(max(KILLS // 5, 1)):
        if time.monotonic() > deadline:
            break
        new = json.dumps({"turn": turn})
        database.run(
            "UPDATE whatsapp_keys SET value = %s::jsonb WHERE key_type = 'session' AND key_id LIKE '7955%%'", new
        )
        database.run(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)"
            " SELECT %s, 'pre-key', n::text, %s::jsonb FROM generate_series(%s::int, %s::int) n",
            COMPANY, new, 5000 + turn * 200, 5199 + turn * 200,
        )  # fmt: skip
        old = host.contents()
        killed += run_and_kill(host, source.uniform(0, 0.3), lambda: any(staging.rglob("*.json")), **options)
        wait_for_the_server(database)
        for name, data in host.contents().items():
            assert data == old.get(name) or json.loads(data) == {"turn": turn}, f"KILL_SEED={SEED}"
        assert old.keys() <= host.contents().keys()
        good(host.state(**options))
        values = host.values()
        assert {key: json.loads(text) for key, text in database.rows().items()} == {
            auth_key(name): value for name, value in values.items()
        }
    assert killed, f"no kill met the writing (KILL_SEED={SEED})"
    assert not any((host.state_dir / "staging").rglob("*.json"))
    assert login.step == 0


def auth_key(name: str) -> tuple[str, str]:
    from ansible.module_utils.baileys_auth.names import Names

    return tuple(Names().parse(name))


def test_a_killed_backup_does_not_count(host: BotHost) -> None:
    source = random.Random(SEED)
    arguments = {
        "sessions_dir": str(host.sessions),
        "state_dir": str(host.state_dir),
        "backup_dir": str(host.backups),
        "company_ids": [COMPANY],
    }
    start = time.monotonic()
    good(json.loads(host.process("baileys_auth_backup", arguments).communicate()[0]))
    seconds = time.monotonic() - start
    killed = 0
    for turn in range(3):
        host.write("pre-key-1", {"turn": turn})
        process = host.process("baileys_auth_backup", arguments)
        time.sleep(source.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        good(host.backup("verified"))
        made = good(host.backup())["companies"][COMPANY]
        assert made["files"] == len(host.contents())
        assert good(host.backup("verified"))["companies"][COMPANY]["files"] == made["files"]
    left = [path.name for path in (host.backups / f"company_{COMPANY}").iterdir() if path.name.startswith(".")]
    assert left == []
    assert killed, f"KILL_SEED={SEED}"


def test_the_login_that_is_killed_is_as_large_as_it_says(host: BotHost) -> None:
    assert len(host.contents()) == FILES - 300
    assert auth_states.OWN_NUMBER in host.values()["creds.json"]["me"]["id"]
