"""The order of a cut-over, which is the same both ways: a change here is one of what a login is safe by."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.run import CutOver


@pytest.mark.parametrize(("before", "to"), [("files", "database"), ("database", "files")])
def test_the_copy_is_made_at_rest_and_the_flag_follows_it(tmp_path: Path, before: str, to: str) -> None:
    plan: Any = SimpleNamespace(to=to, companies=["962302"], settings=SimpleNamespace(flag_store=before))
    steps = CutOver(plan, Journal(tmp_path), "a1").steps()
    assert [name for name, _do in steps] == ["stop", "rest", "copy", "release", "flag", "start", "healthy", "settle"]
    assert [getattr(do, "__name__", "") for _name, do in steps] == [f"_{name}" for name, _do in steps]
