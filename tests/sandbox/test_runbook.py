"""The runbook on a real bot, told in order: each test goes on from where the one before left the sandbox."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import psycopg
import pytest
from driver import COMPANY, FLAG, PROCESSES, Run, Sandbox
from secret_words import found_in, secrets_of

# The first talked with the bot before the tests; the others never did.
CONTACT = "79001234567"
STRANGERS = iter(f"7900555010{number}" for number in range(10))


def ends_well(run: Run) -> None:
    assert run.rc == 0, run.output[-5000:]


def extra(**variables: object) -> tuple[str, ...]:
    return ("-e", json.dumps(variables))


NEVER_PRINTED = "a line that the bot never prints"
# A deploy that fails after the switch; ten seconds, as the bot has to be up within them on a busy machine too.
FAILS_AFTER_THE_SWITCH = extra(health_log_expected={"database": [{"text": NEVER_PRINTED}]}, health_window_seconds=10)


@pytest.fixture(scope="module")
def developer(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the app's origin, from which commits are pushed."""
    clone, branch = tmp_path_factory.mktemp("developer") / "ai-admin", sandbox.git("branch", "--show-current")
    origin = str(sandbox.root / "origin.git")
    sandbox.git("clone", "--quiet", "--branch", branch, origin, str(clone), folder=sandbox.root)
    return clone


def conversations_go_on(sandbox: Sandbox, store: str, identity: str) -> None:
    """The bot is on this store, with the login that it always had; old and new conversations decrypt both ways."""
    assert sandbox.health()["store"] == store
    assert sandbox.health()["identity"] == identity
    assert sandbox.flag_lines() == [f"{FLAG}={'true' if store == 'database' else 'false'}"]
    for phone in (CONTACT, next(STRANGERS)):
        assert sandbox.converse(phone, f"from the {store}") == f"Answer to: from the {store}"


# --- Before anything ran -----------------------------------------------------------------------------------------


def test_check_mode_tells_and_changes_nothing(sandbox: Sandbox, copy_of_login: Path) -> None:
    with sandbox.unchanged():
        run = sandbox.play("deploy.yml", "--check", "--diff")
    ends_well(run)
    assert "check mode, nothing was changed" in run.output
    assert f"+{FLAG}=true" in run.output
    assert re.search(r"files +337 → 337", run.output)
    assert not (sandbox.app / ".auth-state").exists()


# --- A deploy that fails -------------------------------------------------------------------------------------------


def test_failure_before_the_stop_leaves_the_bot_running(sandbox: Sandbox, developer: Path) -> None:
    """The dependencies of the new commit cannot be installed."""
    lock = json.loads((developer / "package-lock.json").read_text())
    lock["packages"]["node_modules/pg"]["version"] = "0.0.0-none"
    (developer / "package-lock.json").write_text(json.dumps(lock))
    sandbox.git("commit", "--quiet", "-am", "Break the lock file", folder=developer)
    sandbox.git("push", "--quiet", folder=developer)

    processes, commit = sandbox.processes(), sandbox.git("rev-parse", "HEAD")
    run = sandbox.play("deploy.yml")
    assert run.rc != 0
    assert "Install its dependencies there" in run.message()
    assert "The bot was not touched" in run.message()
    assert sandbox.processes() == processes
    assert sandbox.git("rev-parse", "HEAD") == commit
    assert sandbox.flag_lines() == []

    sandbox.git("revert", "--no-edit", "HEAD", folder=developer)
    sandbox.git("push", "--quiet", folder=developer)


def test_failure_after_the_switch_brings_the_bot_back_with_every_key(sandbox: Sandbox) -> None:
    identity, commit = sandbox.health()["identity"], sandbox.git("rev-parse", "HEAD")
    run = sandbox.play("deploy.yml", *FAILS_AFTER_THE_SWITCH)
    assert run.rc != 0
    assert NEVER_PRINTED in run.message()
    assert "What it wrote meanwhile was taken along" in run.message()
    assert sandbox.git("rev-parse", "HEAD") == commit
    conversations_go_on(sandbox, "files", identity)


# --- Deploy ----------------------------------------------------------------------------------------------------------


def test_deploy(sandbox: Sandbox) -> None:
    identity, processes = sandbox.health()["identity"], sandbox.processes()
    run = sandbox.play("deploy.yml", "-vvv")
    ends_well(run)
    assert "module_args:" in run.output
    for words in ("✅ Backup created", "✅ Credentials migrated", "✅ All keys migrated", "✅ Verification passed"):
        assert words in run.output
    assert "✅ answer: " in run.output
    assert "the same identity and one key of each of 10 types" in run.output, "the app's own code read the copy"
    assert re.search(r"the message changed [1-9]\d* rows and no files", run.output)
    after = sandbox.processes()
    assert all(after[name][0] != processes[name][0] and after[name][2] == "online" for name in PROCESSES)
    assert after["whatsapp-network"] == processes["whatsapp-network"]
    branch = sandbox.git("branch", "--show-current")
    assert sandbox.git("rev-parse", "HEAD") == sandbox.git("rev-parse", f"origin/{branch}")
    assert sandbox.git("status", "--porcelain") == ""
    with psycopg.connect(sandbox.database_url) as connection:
        assert connection.execute("SELECT company_id FROM whatsapp_auth").fetchall() == [(COMPANY,)]
        (rows,) = connection.execute("SELECT count(*) FROM whatsapp_keys").fetchone()
    assert 50 <= rows <= 100
    conversations_go_on(sandbox, "database", identity)


def test_second_deploy_changes_and_restarts_nothing(sandbox: Sandbox) -> None:
    with sandbox.unchanged():
        run = sandbox.play("deploy.yml")
    ends_well(run)
    assert run.recap()["changed"] == 0
    assert "nothing had to change" in run.output


# --- Rollback --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["files", "backup"])
def test_rollback_that_loses_keys_is_refused(sandbox: Sandbox, source: str) -> None:
    """The bot has talked since the cut-over."""
    with sandbox.unchanged():
        run = sandbox.play("rollback.yml", "-e", f"rollback_source={source}")
    assert run.rc != 0
    assert "accept_key_loss=true" in run.message()


def test_check_mode_of_rollback_changes_nothing(sandbox: Sandbox) -> None:
    with sandbox.unchanged():
        run = sandbox.play("rollback.yml", "--check", "--diff")
    ends_well(run)
    assert f"+{FLAG}=false" in run.output


def test_rollback_that_is_held_stops_nothing(sandbox: Sandbox) -> None:
    with sandbox.unchanged():
        run = sandbox.play("rollback.yml", "-e", "cutover_hold=true")
    ends_well(run)
    assert "held before the stop" in run.output
    assert "ansible-playbook rollback.yml -l sandbox -e cutover_hold=false" in run.output


def test_rollback_from_the_database(sandbox: Sandbox) -> None:
    identity = sandbox.health()["identity"]
    run = sandbox.play("rollback.yml", "-vvv")
    ends_well(run)
    assert "Using file auth state" in run.output
    conversations_go_on(sandbox, "files", identity)


def test_second_rollback_changes_nothing(sandbox: Sandbox) -> None:
    with sandbox.unchanged():
        run = sandbox.play("rollback.yml")
    ends_well(run)
    assert run.recap()["changed"] == 0


def test_deploy_again_past_a_failure_at_rest_with_local_changes_saved(sandbox: Sandbox, developer: Path) -> None:
    identity = sandbox.health()["identity"]
    (developer / "NEWS").write_text("new\n")
    with (developer / ".gitignore").open("a") as ignored:
        ignored.write("# Of the host's own:\n")
    sandbox.git("add", "NEWS", ".gitignore", folder=developer)
    sandbox.git("commit", "--quiet", "-m", "Say what is new", folder=developer)
    sandbox.git("push", "--quiet", folder=developer)

    in_the_way, modules = sandbox.app / "NEWS", (sandbox.app / "node_modules").stat().st_ino
    in_the_way.write_text("old\n")
    # That git's index is out of date about a file neither hides that nor is a reason to refuse anything.
    (sandbox.app / ".gitignore").touch()
    processes = sandbox.processes()
    run = sandbox.play("deploy.yml")
    assert (run.rc != 0, sandbox.processes()) == (True, processes)
    assert "'NEWS' would be overwritten" in run.message()
    # One that git ignores is found with the bot at rest only, before the switch.
    exclude = sandbox.app / ".git/info/exclude"
    excluded = exclude.read_text()
    exclude.write_text(f"{excluded}NEWS\n")
    (sandbox.app / ".gitignore").touch()
    run = sandbox.play("deploy.yml")
    exclude.write_text(excluded)
    assert run.rc != 0
    assert "the app was started again on the files, as before" in run.message()
    assert sandbox.flag_lines() == [f"{FLAG}=false"]
    conversations_go_on(sandbox, "files", identity)
    in_the_way.unlink()

    worker = sandbox.app / "src" / "worker.js"
    before = worker.read_text()
    worker.write_text(f"// a local fix\n{before}")

    ends_well(sandbox.play("deploy.yml", *extra(release_local_changes="patch")))

    assert worker.read_text() == before
    assert (sandbox.app / "NEWS").read_text() == "new\n"
    assert (sandbox.app / "node_modules").stat().st_ino == modules, "the lock file had not changed"
    (patch,) = (sandbox.app / ".auth-state" / "patches").iterdir()
    assert "+// a local fix" in patch.read_text()
    conversations_go_on(sandbox, "database", identity)


def test_rollback_from_a_backup_after_the_folder_was_removed(sandbox: Sandbox) -> None:
    """With the code of before as well, and the local changes that the deploy had saved."""
    identity, commit = sandbox.health()["identity"], sandbox.git("rev-parse", "HEAD~")
    shutil.rmtree(sandbox.company)
    # Without the test message: it would move the ratchets that are compared here.
    accept = extra(rollback_source="backup", accept_key_loss=True, health_smoke_phone="", rollback_release=True)
    run = sandbox.play("rollback.yml", *accept)
    ends_well(run)
    newest = max((sandbox.backups / f"company_{COMPANY}").glob("backup_*.tar"))
    with tarfile.open(newest) as archive:
        members = {Path(member.name).name: archive.extractfile(member).read() for member in archive if member.isfile()}
    del members["manifest.json"]
    assert {path.name: path.read_bytes() for path in sandbox.company.iterdir()} == members
    assert len(members) > 300
    assert sandbox.health()["store"] == "files"
    assert sandbox.health()["identity"] == identity
    assert sandbox.git("rev-parse", "HEAD") == commit
    assert not (sandbox.app / "NEWS").exists()
    assert (sandbox.app / "src" / "worker.js").read_text().startswith("// a local fix\n")
    sandbox.git("restore", "src/worker.js")


# --- Nothing of all this said a secret --------------------------------------------------------------------------------


def test_no_secret_was_said(sandbox: Sandbox, copy_of_login: Path) -> None:
    text = "\n".join(sandbox.outputs)
    secrets = secrets_of(sandbox, copy_of_login)
    assert len(secrets) > 300
    assert "Stop, copy what changed and verify it" in text
    assert min(secrets) in found_in(min(secrets), secrets)
    assert found_in(text, secrets) == []
