"""repair.yml on a bot that somebody moved by hand, to a database which the app's original script has filled.

What the module does row by row is in tests/integration; here the bot itself has to read its messages again.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from conftest import Days, ends_well, until
from driver import COMPANY, FLAG, Sandbox

SCRIPT = "scripts/migrate-baileys-files-to-database.js"
ORIGINAL = {"app", "lid", "pre", "sender", "device", "identity"}
OWNERS = ("ai-admin-worker-v2", "baileys-service")


def fill_as_the_original(sandbox: Sandbox) -> None:
    """Names split at the first `-`, an expiry on every row."""
    with psycopg.connect(sandbox.database_url) as connection:
        connection.execute("TRUNCATE whatsapp_auth, whatsapp_keys, whatsapp_auth_authority")
        for path in sandbox.company.iterdir():
            if path.name == "creds.json":
                statement = "INSERT INTO whatsapp_auth (company_id, creds) VALUES (%s, %s)"
                connection.execute(statement, [COMPANY, path.read_text()])
            elif found := re.match(r"^(.+?)-(.+)\.json$", path.name):
                statement = (
                    "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, expires_at)"
                    " VALUES (%s, %s, %s, %s, now() + interval '7 days')"
                )
                connection.execute(statement, [COMPANY, found[1], found[2], path.read_text()])


def types(sandbox: Sandbox) -> dict[str, int]:
    with psycopg.connect(sandbox.database_url) as connection:
        return dict(connection.execute("SELECT key_type, count(*) FROM whatsapp_keys GROUP BY 1").fetchall())


@pytest.fixture(scope="module")
def moved(days: Days) -> Sandbox:
    """Stopped, filled, switched and started by hand, on a host that this project has never seen."""
    sandbox = days.sandbox
    if sandbox.health()["store"] == "database":
        ends_well(sandbox.play("rollback.yml"))
    identity = sandbox.health()["identity"]
    sandbox.pm2("stop", *OWNERS)
    shutil.rmtree(sandbox.app / ".auth-state")
    fill_as_the_original(sandbox)
    env = sandbox.app / ".env"
    env.write_text(re.sub(rf"(?m)^{FLAG}=.*$", f"{FLAG}=true", env.read_text()))
    assert sandbox.flag_lines() == [f"{FLAG}=true"]
    sandbox.pm2("start", *OWNERS)
    until(lambda: up(sandbox))
    assert (sandbox.health()["store"], sandbox.health()["identity"]) == ("database", identity)
    return sandbox


def up(sandbox: Sandbox) -> bool:
    try:
        return sandbox.health()["connection"] == "open"
    except (OSError, LookupError):
        return False


def network(sandbox: Sandbox) -> str:
    return f"http://127.0.0.1:{json.loads((sandbox.root / 'ports.json').read_text())['network']}"


def traffic(sandbox: Sandbox) -> tuple[int, dict[str, Any]]:
    """Contacts write, to groups and as new ones too: (exit code, what became of each message)."""
    command = ["scripts/traffic.js", f"--network={network(sandbox)}", "--rate=10", "--seconds=6"]
    node, folder = str(sandbox.root / "bin/node"), sandbox.root / "network"
    done = subprocess.run([node, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    return done.returncode, json.loads(done.stdout or "{}")


def unread(sandbox: Sandbox) -> int:
    logs = (sandbox.root / "pm2/logs").glob("*-error.log")
    return sum(log.read_text().count("Invalid PreKey ID") for log in logs)


def test_before_it_messages_are_lost(moved: Sandbox) -> None:
    """One, of somebody new: what more traffic does to sessions in this state, no repair could mend."""
    assert types(moved).keys() >= ORIGINAL - {"identity"}
    before = unread(moved)
    message = json.dumps({"phone": "79960001122", "message": "Good day"}).encode()
    with urlopen(f"{network(moved)}/messages", data=message, timeout=10) as answer:
        assert json.load(answer)["id"]
    until(lambda: unread(moved) > before)


def test_the_diagnosis_names_it(moved: Sandbox) -> None:
    run = moved.play("diagnose.yml")
    assert run.rc == 2
    assert "which the original migration script made" in run.output
    assert "ansible-playbook repair.yml -l sandbox --check" in run.output


def test_check_mode_tells_the_plan_and_touches_nothing(moved: Sandbox) -> None:
    with moved.unchanged():
        run = moved.play("repair.yml", "--check", "--diff")
    ends_well(run)
    assert re.search(rf"company {COMPANY}: [1-9]\d* rows would get their right key", run.output)
    assert re.search(rf"-company {COMPANY} pre: [1-9]\d* misplaced", run.output)


def test_it_puts_every_row_right_and_says_how_many(moved: Sandbox) -> None:
    script = moved.app / SCRIPT
    script.parent.mkdir(exist_ok=True)
    script.touch()
    before = types(moved)
    processes, identity = moved.processes(), moved.health()["identity"]
    try:
        run = moved.play("repair.yml")
    finally:
        script.unlink()
    ends_well(run)
    found = re.search(r"(\d+) rows got their right key, (\d+) removed since", " ".join(run.output.split()))
    assert found, run.output[-4000:]
    assert int(found[1]) + int(found[2]) == sum(count for name, count in before.items() if name in ORIGINAL)
    assert not types(moved).keys() & ORIGINAL
    assert f"❌ {SCRIPT} is still in the app" in run.output
    (archive,) = (moved.backups / f"company_{COMPANY}").glob("database_*.jsonl")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert str(archive) in run.output
    assert moved.processes() == processes, "the bot runs on"
    assert moved.health()["identity"] == identity


def test_a_second_run_finds_nothing(moved: Sandbox) -> None:
    with moved.unchanged():
        run = moved.play("repair.yml")
    ends_well(run)
    assert run.recap()["changed"] == 0
    assert f"{SCRIPT} is not in the app" in run.output


def test_the_bot_reads_every_message_again(moved: Sandbox) -> None:
    code, came = traffic(moved)
    assert (code, came["failed"], came["waiting"], came["errors"]) == (0, 0, 0, {}), came
    assert came["group"] > 0
    assert came["first"] > 0


def test_its_login_goes_the_way_of_any_other(moved: Sandbox) -> None:
    """Taken over by a deploy, and back to files with every key."""
    identity = moved.health()["identity"]
    processes = moved.processes()
    run = moved.play("deploy.yml")
    ends_well(run)
    assert "recorded as of this host" in run.output
    assert (moved.health()["store"], moved.processes()) == ("database", processes), "nothing had to be stopped"
    with psycopg.connect(moved.database_url) as connection:
        assert connection.execute("SELECT store, host FROM whatsapp_auth_authority").fetchall() == [
            ("database", "sandbox")
        ]
    again = moved.play("deploy.yml")
    assert (again.rc, again.recap()["changed"]) == (0, 0), again.output[-4000:]
    # The files that somebody left behind by hand are no copy of ours: they are not written over unasked.
    refused = moved.play("rollback.yml")
    assert refused.rc == 2
    assert "-e auth_state_conflict=database" in refused.message()
    assert moved.health()["store"] == "database"
    ends_well(moved.play("rollback.yml", "-e", "auth_state_conflict=database"))
    assert (moved.health()["store"], moved.health()["identity"]) == ("files", identity)
    assert len(list((moved.backups / f"company_{COMPANY}").glob("files_*.tar"))) == 1
