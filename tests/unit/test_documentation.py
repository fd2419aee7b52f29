"""Every module's documentation: ansible-doc reads it, and it names each option and each return value, with a sample."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.baileys_auth import run

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (PROJECT / "library").glob("*.py"))


@pytest.fixture(scope="session")
def documented() -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--type", "module", "--json", *MODULES]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip(), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", MODULES)
def test_it_reads_as_a_manual(documented: dict[str, Any], name: str) -> None:
    doc = documented[name]["doc"]
    assert doc["short_description"]
    assert doc["description"]
    assert doc["author"]
    assert set(doc["attributes"]) >= {"check_mode", "diff_mode"}
    for option, facts in doc["options"].items():
        assert facts["description"], option
        assert facts["type"], option
        assert facts.get("required") is True or "default" in facts or facts["type"] != "bool", option


@pytest.mark.parametrize("name", MODULES)
def test_return_values_have_samples(documented: dict[str, Any], name: str) -> None:
    def check(values: dict[str, Any], where: str) -> None:
        for value, facts in values.items():
            assert facts["description"], f"{where}.{value}"
            assert facts["type"], f"{where}.{value}"
            if "contains" in facts:
                check(facts["contains"], f"{where}.{value}")
            else:
                assert "sample" in facts, f"{where}.{value}"

    returned = documented[name]["return"]
    assert returned
    check(returned, name)
    assert all(facts.get("returned") for facts in returned.values())


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_tasks_of_this_module(documented: dict[str, Any], name: str) -> None:
    tasks = yaml.safe_load(documented[name]["examples"])
    assert tasks
    used = [task for task in tasks if name in task]
    assert used
    for task in used:
        assert task["name"]
        assert set(task[name]) <= set(documented[name]["doc"]["options"]), task


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("baileys_auth")])
def test_documented_options_are_those_of_the_code(
    documented: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(run, "module", lambda options, _work, **_rules: taken.update(options))
    importlib.import_module(name).main()
    options = documented[name]["doc"]["options"]
    assert set(options) == set(taken)
    for option, spec in taken.items():
        doc = options[option]
        told = (doc["type"], doc.get("required", False), doc.get("default"), doc.get("choices"), doc.get("elements"))
        meant = (
            spec["type"],
            spec.get("required", False),
            spec.get("default"),
            spec.get("choices"),
            spec.get("elements"),
        )
        assert told == meant, option
