"""The EXAMPLES of the baileys_auth_* modules, run by ansible-playbook as they stand, in the order of a rollout."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from bot_host import COMPANY, BotHost
from postgresql_server import TestDatabase

PROJECT = Path(__file__).resolve().parents[2]
MODULES = [path.stem for path in (PROJECT / "library").glob("baileys_auth_*.py")]


def example(name: str) -> dict[str, Any]:
    """The task of this name, wherever it is an example."""
    for module in MODULES:
        for task in yaml.safe_load(importlib.import_module(module).EXAMPLES):
            if task["name"] == name:
                return task
    raise AssertionError(f"no example is called {name!r}")


def flag(store: str) -> dict[str, Any]:
    value = str(store == "database").lower()
    line = f"USE_DATABASE_AUTH_STATE={value}\n"
    return {
        "name": f"The flag: {store}",
        "ansible.builtin.copy": {"dest": "/opt/ai-admin/.env", "content": line, "mode": "0600"},
    }


FIRST_COPY = "Copy the files to the database while the app runs on them"
ROLLOUT = [
    "Check the tables",
    "Create what is missing",
    "Look at the login",
    "Look at every login that has a folder, without the database",
    "Back up the login",
    "See which backups there are",
    FIRST_COPY,
    "Copy what changed since, with the app stopped",
    flag("database"),
    "Put right what the old script stored",
    "Write the state of the database back to the files",
    flag("files"),
    "Restore the newest, with the app stopped",
]


def test_every_example_is_run() -> None:
    every = {task["name"] for module in MODULES for task in yaml.safe_load(importlib.import_module(module).EXAMPLES)}
    assert every == {step for step in ROLLOUT if isinstance(step, str)}


@pytest.mark.parametrize("mode", ["check", "real"])
def test_examples(bot_host: BotHost, empty_database: TestDatabase, tmp_path: Path, mode: str) -> None:
    steps = [example(step) if isinstance(step, str) else step for step in ROLLOUT]
    if mode == "check":  # those that need nothing before them
        steps = [step for step in steps if step["name"] in ("Create what is missing", "Back up the login", FIRST_COPY)]
    text = yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": steps}], sort_keys=False)
    playbook = tmp_path / "examples.yml"
    playbook.write_text(text.replace("/opt/ai-admin", str(bot_host.root / "ai-admin")))
    variables = tmp_path / "variables.json"
    variables.write_text(
        json.dumps({"database_url": empty_database.conninfo, "ansible_python_interpreter": sys.executable})
    )
    before = bot_host.contents()
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"@{variables}",
    ]
    done = subprocess.run(
        [*command, *(["--check", "--diff"] if mode == "check" else []), str(playbook)],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "[WARNING]" not in done.stdout, done.stdout[-4000:]
    assert bot_host.contents() == before
    if mode == "check":
        assert empty_database.tables() == {}
        assert f"+company {COMPANY} session: 6 in the database" in done.stdout
    else:
        assert len(empty_database.rows()) > 50
