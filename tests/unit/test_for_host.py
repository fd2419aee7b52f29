"""What an operator is told to type goes for the host that it was found on, not for the whole fleet."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "filter_plugins" / "for_host.py"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Go back now: ansible-playbook rollback.yml", "Go back now: ansible-playbook rollback.yml -l bot-1"),
        ("ansible-playbook deploy.yml --tags smoke.", "ansible-playbook deploy.yml -l bot-1 --tags smoke."),
        ("ansible-playbook rollback.yml --limit bot-2", "ansible-playbook rollback.yml --limit bot-2"),
        ("ansible-playbook rollback.yml -e a=b -l bot-2.", "ansible-playbook rollback.yml -e a=b -l bot-2."),
        (
            "ansible-playbook rollback.yml, then ansible-playbook deploy.yml -l bot-2",
            "ansible-playbook rollback.yml -l bot-1, then ansible-playbook deploy.yml -l bot-2",
        ),
        ("Run deploy.yml again", "Run deploy.yml again"),
    ],
)
def test_each_command_has_its_host(said: str, expected: str) -> None:
    spec = importlib.util.spec_from_file_location("for_host", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for_host = module.FilterModule().filters()["for_host"]
    assert for_host(said, "bot-1") == expected
    assert for_host([{"problem": said, "remedy": said}], "bot-1") == [{"problem": said, "remedy": expected}]
