"""After every scenario: nothing is left over, and what is secret is nobody else's."""

from __future__ import annotations

import re

from server import APP, STATE, Server


def test_everything_is_the_app_users_and_nobody_elses(server: Server) -> None:
    assert {owner for owner, _, _ in server.below(APP)} == {"bot"}
    # What packages bring is no secret, nor is the new commit's code; both lie in folders that are closed.
    packages = re.compile(r"/[.]auth-state/python/|/[.]auth-state/staging/release-|/node_modules")
    secret = [f"{APP}/.env", STATE, f"{APP}/baileys_sessions_backup"]
    seen = [entry for folder in secret for entry in server.below(folder) if not packages.search(entry[2])]
    assert len(seen) > 8  # a run that stopped early makes nine
    assert [entry for entry in seen if int(entry[1], 8) & 0o077] == []


def test_no_process_was_left_and_none_runs_twice(server: Server) -> None:
    commands = server.commands()
    assert set(commands.values()) == {1}, commands
    assert len(commands) == 4, commands


def test_no_temporary_file_was_left(server: Server) -> None:
    # Of a user who becomes another one, Ansible's own are in the latter two.
    folders = "~bot/.ansible/tmp /tmp /var/tmp"
    left = server.lines(f"find {folders} -mindepth 1 -maxdepth 1 -printf '%f\\n' 2>/dev/null || :")
    # npm keeps the last one.
    assert set(left) <= {"node-compile-cache"}
    # After a failure the new commit stays laid out for the next try.
    assert [
        name for name in server.lines(f"ls -A {STATE}/staging") if not re.fullmatch("release-[0-9a-f]{12}", name)
    ] == []


def test_the_next_run_is_not_locked_out(server: Server) -> None:
    assert server.lines(f"find {STATE} -maxdepth 1 -name 'lock*'") == []
