"""What the project's own files promise: pinned, hashed, no registry's address, and production never by default."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ["requirements.txt", *(f"roles/{role}/files/requirements.txt" for role in ("psycopg", "sandbox_node"))]
NPM_LOCKS = [f"sandbox/{folder}/package-lock.json" for folder in ("bot", "previous", "tools")]


def inventory(*arguments: str, sandbox: Path) -> dict[str, dict[str, object]]:
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "--list", *arguments]
    environment = os.environ | {"SANDBOX": str(sandbox)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["_meta"]["hostvars"]


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_python_package_is_pinned_with_hashes(file: str) -> None:
    entries = re.split(r"\n(?=\S)", (PROJECT / file).read_text().strip())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.S), entry


@pytest.mark.parametrize("file", REQUIREMENTS[1:])
def test_what_is_fetched_for_another_python_has_no_conditions(file: str) -> None:
    """pip would take them for those of the Python that it runs on."""
    assert ";" not in (PROJECT / file).read_text()


@pytest.mark.parametrize("file", REQUIREMENTS + NPM_LOCKS)
def test_no_lock_file_names_a_registry(file: str) -> None:
    text = (PROJECT / file).read_text()
    assert '"resolved"' not in text
    assert "index-url" not in text
    assert "://" not in re.sub(r'"url": "[^"]*"', "", text)  # npm's links to sponsors


def test_the_default_inventory_is_the_sandbox_on_this_machine(tmp_path: Path) -> None:
    """It is known before there is a sandbox, and holds nothing that is reached over a network."""
    hosts = inventory(sandbox=tmp_path / "none")
    assert set(hosts) == {"localhost", "sandbox"}
    assert {host["ansible_connection"] for host in hosts.values()} == {"local"}
    assert "ansible_host" not in hosts["sandbox"]


@pytest.mark.parametrize("playbook", ["playbooks/sandbox.yml", "playbooks/sandbox_clean.yml"])
def test_the_sandbox_is_made_on_no_host_of_another_inventory(paper: Any, playbook: str) -> None:
    """As with ANSIBLE_INVENTORY exported for production: nothing is asked of the host."""
    code, said = paper.play(playbook, {"far": paper.far()})
    assert code == 2
    assert "sandbox" in said
    assert "No route to host" not in said


def test_make_forgets_the_inventory_of_an_operators_shell() -> None:
    command = ["make", "--no-print-directory", "--eval", "shown: ; @env", "shown"]
    environment = os.environ | {"ANSIBLE_INVENTORY": "inventory/production"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True)
    assert "PATH=" in done.stdout
    assert "inventory/production" not in done.stdout


def test_nothing_that_runs_on_the_controller_becomes_another_user() -> None:
    """The keyword would not do: a variable ansible_become for the whole inventory beats it."""
    delegated = [
        (path.name, task["name"], task.get("vars", {}).get("ansible_become"))
        for path in (PROJECT / "roles").glob("*/tasks/*.yml")
        for task in yaml.safe_load(path.read_text())
        # The sandbox is on this machine anyway.
        if task.get("delegate_to") == "localhost" and "sandbox_" not in str(path)
    ]
    assert len(delegated) > 3
    assert [name for *name, becomes in delegated if becomes is not False] == []


def test_host_keys_are_checked() -> None:
    command = [str(Path(sys.executable).with_name("ansible-config")), "dump", "--format", "json"]
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    (value,) = (each["value"] for each in json.loads(done.stdout) if each.get("name") == "HOST_KEY_CHECKING")
    assert value is True
    for path in (PROJECT / "inventory").rglob("*.yml"):
        assert not re.search(r"(?i)StrictHostKeyChecking|host_key_checking", path.read_text()), path


def test_production_has_to_be_named(tmp_path: Path) -> None:
    hosts = inventory("--inventory", "inventory/production", sandbox=tmp_path / "none")
    address = hosts["ai-admin"]["ansible_host"]
    named = subprocess.run(
        ["git", "grep", "-l", "-F", str(address)], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    outside = [
        file for file in named.stdout.split() if not file.startswith(("inventory/production/", "docs/", "README"))
    ]
    assert outside == []
