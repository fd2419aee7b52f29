"""After a deploy at -vvvv as somebody who becomes the app's user; then a rollback that is killed. Told in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from server import APP, FLAG, OWNERS, STATE, Server

PROJECT = Path(__file__).resolve().parents[3]
KEPT_HERE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# Where a shell on the controller would be.
CONTROLLER_FOLDERS = (PROJECT, PROJECT / "playbooks", Path.home())
HOSTILE_SETTINGS = (Path(__file__).parents[1] / "files/hostile.env").read_text()
# Each connection is this process's own: what kills the one cuts the other.
OWN_CONNECTIONS = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no", "ANSIBLE_NOCOLOR": "1"}


def start(server: Server, playbook: str, *options: str) -> subprocess.Popen[str]:
    command = ["ansible-playbook", f"--inventory={server.host.backend.ansible_inventory}", playbook, *options]
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env=os.environ | OWN_CONNECTIONS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def play(server: Server, playbook: str, *options: str) -> tuple[int, str]:
    run = start(server, playbook, *options)
    output, _ = run.communicate(timeout=300)
    keep(output)
    return run.returncode, " ".join(output.split())


def keep(output: str) -> None:
    """For the search for secrets, which comes last."""
    kept = KEPT_HERE / "artifacts" / f"output-{time.time_ns()}"
    kept.touch(0o600)
    kept.write_text(output)


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def store(server: Server) -> str:
    try:
        return server.health()["store"]
    except AssertionError:  # nobody answers
        return "none"


def test_the_bot_is_up_on_the_database(server: Server) -> None:
    assert (server.health()["store"], server.health()["connection"]) == ("database", "open")
    pids = [server.processes()[name]["pid"] for name in OWNERS]
    assert [server.output(f"ps -o user= -p {pid}").strip() for pid in pids] == ["bot", "bot"]


def test_the_events_tell_of_the_run(server: Server) -> None:
    events = [json.loads(path.read_text()) for path in (KEPT_HERE / "artifacts/deploy/job_events").glob("*.json")]
    assert {"playbook_on_start", "runner_on_ok", "playbook_on_stats"} <= {event["event"] for event in events}
    assert any(event.get("event_data", {}).get("res", {}).get("invocation") for event in events), "at -vvvv"


def test_hostile_settings_are_as_they_were(server: Server) -> None:
    text = server.host.check_output(f"cat {APP}/.env")
    assert HOSTILE_SETTINGS.strip() in text
    assert text.count(f"{FLAG}=true") == 1


def hostile_ids(server: Server) -> set[str]:
    query = "SELECT key_id FROM whatsapp_keys WHERE key_type = 'session' AND key_id !~ '^[0-9_.]+$'"
    return {key_id for (key_id,) in server.sql(query)}


def test_hostile_names_are_keys_and_nothing_else(server: Server) -> None:
    ids = hostile_ids(server)
    assert len(ids) == 5
    assert "'; DROP TABLE whatsapp_auth; --" in ids
    assert "..__..__..__tmp__carried-out" in ids


def test_hostile_company_ids_are_refused(server: Server) -> None:
    ids = ["../../etc", "1\n2", '1"', "1'; DROP TABLE whatsapp_auth; --", "$(touch carried-out)"]
    rc, output = play(server, "deploy.yml", "--extra-vars", json.dumps({"company_ids": ids}))
    assert rc == 2
    assert "company_ids: each is digits only" in output


@pytest.mark.parametrize("known", ["", "another"], ids=["unknown", "changed"])
def test_a_host_whose_key_is_not_known_is_refused(server: Server, tmp_path: Path, known: str) -> None:
    hosts = tmp_path / "known_hosts"
    if known:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / known], check=True)
        key = (tmp_path / f"{known}.pub").read_text()
        address = (KEPT_HERE / "known_hosts").read_text().split()[0]
        hosts.write_text(f"{address} {key}")
    rc, output = play(server, "deploy.yml", "--extra-vars", f"ansible_ssh_common_args='-o UserKnownHostsFile={hosts}'")
    assert rc == 4
    assert "Host key verification failed" in output


def test_a_rollback_that_is_killed_is_finished_by_the_server(server: Server) -> None:
    run = start(server, "rollback.yml")
    until(lambda: store(server) == "none")
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert run.stdout is not None
    keep(run.stdout.read())
    until(lambda: store(server) == "files")


def test_the_next_run_takes_over_and_changes_nothing_more(server: Server) -> None:
    rc, output = play(server, "rollback.yml")
    assert rc == 0, output[-3000:]
    assert store(server) == "files"
    assert server.lines(f"find {STATE} -maxdepth 1 -name 'lock*'") == []


def test_hostile_names_are_files_again(server: Server) -> None:
    names = set(server.login())
    assert {"session-'; DROP TABLE whatsapp_auth; --.json", "session-..__..__..__tmp__carried-out.json"} <= names
    assert server.files_by_type()["session"] == server.rows_by_type()["session"]


def test_a_name_with_a_line_break_is_refused(server: Server) -> None:
    name = f"{APP}/baileys_sessions/company_{server.company}/session-1\n2.json"
    server.host.run_expect([0], "touch %s", name)
    rc, output = play(server, "deploy.yml", "--tags=preflight")
    server.host.run_expect([0], "rm %s", name)
    assert (rc, "holds a control character" in output) == (2, True), output[-3000:]


def test_nothing_hostile_was_carried_out(server: Server) -> None:
    assert server.lines("find /tmp /opt /home/bot -name 'carried-out*' 2>/dev/null || :") == []
    assert not any(folder.joinpath("carried-out").exists() for folder in CONTROLLER_FOLDERS)
