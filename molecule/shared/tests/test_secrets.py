"""After every scenario: neither key nor password nor connection is in what was kept of the runs, on either side."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from secret_words import found_in, key_material, phone_numbers
from server import STATE, Server

KEPT_HERE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="module")
def login(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the login: its old files, and each row beside them."""
    copy = tmp_path_factory.mktemp("login")
    for name, text in server.login().items():
        (copy / name).write_text(text)
    for number, (value,) in enumerate(
        server.sql("SELECT value FROM whatsapp_keys UNION ALL SELECT creds FROM whatsapp_auth")
    ):
        (copy / f"row {number}.json").write_text(value)
    return copy


@pytest.fixture(scope="module")
def secrets(server: Server, login: Path) -> set[str]:
    connections = server.connections()
    return key_material(login) | set(connections) | {urlsplit(url).password or url for url in connections}


def said(secrets: set[str], texts: dict[str, str]) -> dict[str, list[str]]:
    found = {name: found_in(text, secrets) for name, text in texts.items()}
    return {name: words for name, words in found.items() if words}


def test_not_in_the_logs_of_pm2_and_of_postgresql(server: Server, secrets: set[str]) -> None:
    assert len(secrets) > 100
    logs = server.texts("/home/bot/.pm2") | {
        "PostgreSQL": server.database.check_output("cat /var/lib/sandbox_postgresql/server.log")
    }
    assert len(logs) > 4
    assert logs["PostgreSQL"]
    assert said(secrets, logs) == {}


def test_not_in_what_the_runs_recorded_on_the_server(server: Server, secrets: set[str]) -> None:
    records = server.texts(STATE, "-name '*.json*'")
    assert any(map(re.compile(r"\.jsonl\Z").search, records))
    assert said(secrets, records) == {}


def test_no_number_in_the_records_that_stay(server: Server, login: Path) -> None:
    """(The manifest names its keys, which hold them, as the folder beside it does.)"""
    records = server.texts(STATE, "-name '*.jsonl'")
    assert records
    assert said(phone_numbers(login), records) == {}


def test_not_in_reports_events_and_outputs(server: Server, login: Path, secrets: set[str]) -> None:
    files = [path for folder in ("reports", "artifacts") for path in (KEPT_HERE / folder).rglob("*") if path.is_file()]
    texts = {str(path): path.read_text(errors="replace") for path in files}
    assert texts
    assert said(secrets | phone_numbers(login), texts) == {}
    # A file of its own, or one in a folder of its own.
    assert [
        path for path in files if not any(map(private, [path, *list(path.relative_to(KEPT_HERE).parents)[:-1]]))
    ] == []


def test_the_inventory_has_the_connection_in_a_vault() -> None:
    assert (KEPT_HERE / "inventory/vault.yml").read_text().startswith("$ANSIBLE_VAULT;")


def private(path: Path) -> bool:
    return (KEPT_HERE / path).stat().st_mode & 0o077 == 0
