"""The proof that nothing but its owners opens a login, with real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth.names import Names
from ansible.module_utils.baileys_auth.transfer import Settings
from ansible.module_utils.cutover import rest as rest_module
from ansible.module_utils.cutover.rest import Rest
from ansible.module_utils.node_host.problems import HostError
from bot_host import COMPANY, BotHost

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that prints a line once it is where the test wants it."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str, **options: object) -> subprocess.Popen[bytes]:
        # A session of its own, so that what a shell has started is gone with it.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, **options)  # type: ignore[call-overload]
        started.append(process)
        assert process.stdout.readline()
        return process

    yield run
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def rest(host: BotHost, script: Path | None = None) -> Rest:
    settings = Settings(host.sessions, host.state_dir, host.backups, "host", "files", Names(), time.time())
    return Rest(settings, [COMPANY], [str(script)] if script else [])


def code(error: pytest.ExceptionInfo[HostError]) -> str:
    (problem,) = error.value.problems
    return problem.code


def test_login_at_rest_is_proven(bot_host: BotHost) -> None:
    seen = rest(bot_host)
    seen.prove()
    seen.still()


def test_process_with_a_file_open_is_named(bot_host: BotHost, start: Start) -> None:
    program = f"f = open({str(bot_host.folder / 'creds.json')!r}); print(1, flush=True); input()"
    holder = start(sys.executable, "-c", program, stdin=subprocess.PIPE)
    with pytest.raises(HostError) as error:
        rest(bot_host).prove()
    assert code(error) == "login_in_use"
    assert f"{holder.pid} (" in str(error.value)
    assert f"ps -fp {holder.pid}" in str(error.value)


def test_shell_that_stands_in_the_folder_is_no_owner(bot_host: BotHost, start: Start) -> None:
    start("sh", "-c", "echo 1; sleep 60", cwd=bot_host.folder)
    rest(bot_host).prove()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "app" / "service.js"
    path.parent.mkdir()
    path.write_text("console.log('up'); setInterval(() => {}, 1000);\n")
    return path


def test_second_copy_of_the_app_is_named(bot_host: BotHost, start: Start, script: Path) -> None:
    """Started by hand, by a path of its own spelling; it has no file open at this moment."""
    second = start("node", "../app/service.js", cwd=script.parent)
    with pytest.raises(HostError) as error:
        rest(bot_host, script).prove()
    assert code(error) == "login_in_use"
    assert str(second.pid) in str(error.value)


def test_second_copy_is_known_by_its_program(bot_host: BotHost, start: Start, script: Path) -> None:
    """Newer releases of Node.js name the thread MainThread, so the kernel's short name of the process says nothing."""
    (script.parent / "MainThread").symlink_to(shutil.which("node"))
    second = start(str(script.parent / "MainThread"), str(script))
    with pytest.raises(HostError) as error:
        rest(bot_host, script).prove()
    assert str(second.pid) in str(error.value)


def test_owners_and_what_they_started_are_no_strays(bot_host: BotHost, start: Start, script: Path) -> None:
    parent = start("sh", "-c", f"node {script}; true")
    seen = rest(bot_host, script)
    with pytest.raises(HostError):
        seen.nobody_else([])
    seen.nobody_else([parent.pid])


def test_editor_of_the_script_is_no_second_copy(bot_host: BotHost, start: Start, script: Path) -> None:
    start("tail", "-n", "1", "-f", str(script))
    rest(bot_host, script).prove()


@pytest.mark.parametrize("what", ["changes", "removes", "adds"])
def test_files_that_do_not_hold_still_are_found(bot_host: BotHost, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cleanup job, or a process that nobody knows."""
    file = bot_host.folder / "creds.json"
    new = bot_host.folder / "pre-key-99999.json"

    wait = time.sleep

    def disturb(seconds: float) -> None:
        """Between the two looks, and past the tick of the kernel's clock."""
        wait(seconds / 2)
        if what == "changes":
            file.write_bytes(file.read_bytes())
        elif what == "removes":
            os.unlink(next(bot_host.folder.glob("pre-key-*.json")))
        else:
            new.write_text("{}")

    monkeypatch.setattr(time, "sleep", disturb)
    with pytest.raises(HostError) as error:
        rest(bot_host).prove()
    assert code(error) == "login_not_at_rest"


def test_file_that_changes_during_the_copy_is_found(bot_host: BotHost) -> None:
    seen = rest(bot_host)
    seen.prove()
    bot_host.write("pre-key-1", {"changed": True})
    with pytest.raises(HostError) as error:
        seen.still()
    assert code(error) == "login_not_at_rest"


def test_cleanup_job_of_cron_is_warned_of_and_named(bot_host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its line; and where the files do not hold still it is the first that is looked at. Its words stay unsaid."""
    crontab = bot_host.root / "cron"
    crontab.write_text(f"# old keys\n*/30 * * * * TOKEN=secret find {bot_host.sessions} -mtime +1 -delete\n")
    monkeypatch.setattr(rest_module, "_CRON", [str(crontab)])
    (warning,) = rest_module.cleanup_jobs(bot_host.sessions)
    assert warning.startswith(f"{crontab}, line 2: ")
    seen = rest(bot_host)
    seen.look()
    (bot_host.folder / "creds.json").touch()
    with pytest.raises(HostError) as error:
        seen.still()
    assert f"{crontab}, line 2" in str(error.value)
    assert "secret" not in f"{warning} {error.value}"
