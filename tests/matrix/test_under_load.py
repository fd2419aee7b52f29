"""Deploy, roll back and deploy again while contacts write to the bot; then each message is accounted for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host import Host

RATE = 24  # messages a second; asked for are 20
LONGEST = 1800  # seconds; ended when the playbooks are through


@pytest.fixture
def traffic(host: Host) -> Iterator[subprocess.Popen[str]]:
    """The contacts, writing."""
    network = json.loads((host.sandbox.root / "ports.json").read_text())["network"]
    process = subprocess.Popen(
        [
            host.sandbox.root / "bin" / "node",
            "scripts/traffic.js",
            f"--network=http://127.0.0.1:{network}",
            f"--rate={RATE}",
            f"--seconds={LONGEST}",
        ],
        cwd=host.sandbox.root / "network",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def ended(traffic: subprocess.Popen[str]) -> dict[str, Any]:
    """What became of each message."""
    assert traffic.poll() is None, "the traffic ended before the playbooks"
    traffic.terminate()
    output, errors = traffic.communicate(timeout=180)
    assert output, errors
    return json.loads(output)


def logs(host: Host) -> dict[Path, str]:
    folder = Path(host.sandbox.root / "pm2" / "logs")
    return {log: log.read_text(errors="replace") for log in folder.glob("*.log")}


def test_no_message_is_lost(host: Host, traffic: subprocess.Popen[str]) -> None:
    assert host.store() == "files"
    before = logs(host)
    for playbook, store in (("deploy.yml", "database"), ("rollback.yml", "files"), ("deploy.yml", "database")):
        host.play(playbook)
        health = host.wait_well()
        assert (health["store"], health["identity"]) == (store, host.identity)
    run = ended(traffic)
    print(json.dumps(run, indent=1))

    assert run["rate"] >= 20, run
    assert run["group"] >= 0.19 * run["sent"], run  # every fifth; the last may be one to come
    assert run["first"] >= 0.05 * run["sent"], run
    # Exactly once: acknowledged, or refused as known by the successor of a process that died between the two.
    assert run["decrypted"] + run["decrypted_before"] == run["sent"], run
    assert (run["failed"], run["waiting"], run["errors"]) == (0, 0, {}), run
    # And in the other direction.
    assert run["answers_unreadable"] == 0, run
    said = [line for log, text in logs(host).items() for line in text[len(before.get(log, "")) :].splitlines()]
    assert said
    assert not [line for line in said if "Bad MAC" in line or "No existing credentials" in line or "Logged out" in line]
    host.is_whole("database")
