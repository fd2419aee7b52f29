"""The order of a cut-over, which is the same both ways: a change here is one of what a login is safe by."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.cutover import run
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.run import CutOver
from ansible.module_utils.node_host.pm2_states import Wanted


def test_what_an_owner_prints_while_it_ends_is_not_blamed_on_the_store_that_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "err.log"
    log.write_text("before\n")

    class Owners:
        scripts = ()
        online = False

        def __init__(self, _wanted: object) -> None:
            pass

        def stop(self) -> None:
            log.write_text("before\nUnhandledPromiseRejection\n")

    monkeypatch.setattr(run.pm2_states, "Owners", Owners)
    settings = SimpleNamespace(flag_store="files", state_dir=tmp_path, sessions_dir=tmp_path, names=None)
    plan: Any = SimpleNamespace(to="database", companies=[], settings=settings, log_files=[{"path": log}], flag="F")
    plan.processes, plan.source, plan.health_url = Wanted(["bot"]), "", None
    cut = CutOver(plan, Journal(tmp_path), "a1")
    dict(cut.steps())["stop"]()
    assert [mark["offset"] for mark in cut.outcome.marks] == [log.stat().st_size]


@pytest.mark.parametrize(("before", "to"), [("files", "database"), ("database", "files")])
def test_the_copy_is_made_at_rest_and_the_flag_follows_it(tmp_path: Path, before: str, to: str) -> None:
    settings = SimpleNamespace(flag_store=before)
    plan: Any = SimpleNamespace(to=to, companies=["962302"], settings=settings, source="")
    steps = CutOver(plan, Journal(tmp_path), "a1").steps()
    assert [name for name, _do in steps] == ["stop", "rest", "copy", "release", "flag", "start", "healthy", "settle"]
    assert [getattr(do, "__name__", "") for _name, do in steps] == [f"_{name}" for name, _do in steps]
