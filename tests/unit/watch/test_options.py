"""The manuals of modules whose options are partly the controller's: each option of either part, and no other."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import auth_state_cleanup
import auth_state_ledger
import auth_state_watch
import pytest
import yaml
from ansible.module_utils.baileys_auth import run
from ansible.module_utils.watch import passes

PROJECT = Path(__file__).resolve().parents[3]


def loaded(folder: str, name: str) -> Any:
    """A plugin of the project, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", PROJECT / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (auth_state_watch, set()),
        (auth_state_ledger, set(passes.OPTIONS)),
        (auth_state_cleanup, set(loaded("action_plugins", "auth_state_cleanup").OF_THE_CONTROLLER)),
    ],
)
def test_documented_options_are_those_of_both_parts(
    module: Any, more: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(run, "module", lambda options, _work: taken.update(options))
    module.main()
    documented = yaml.safe_load(module.DOCUMENTATION)
    shared = loaded("doc_fragments", "baileys_auth").ModuleDocFragment
    options = set(documented["options"])
    for fragment in documented.get("extends_documentation_fragment", []):
        options |= set(yaml.safe_load(getattr(shared, fragment.partition(".")[2].upper())).get("options", {}))
    assert options == set(taken) | more


def test_limits_are_documented_with_their_defaults() -> None:
    documented = yaml.safe_load(auth_state_ledger.DOCUMENTATION)["options"]["limits"]["suboptions"]
    meant = passes.OPTIONS["limits"]["options"]
    assert {name: float(facts["default"]) for name, facts in documented.items()} == {
        name: float(facts["default"]) for name, facts in meant.items()
    }
