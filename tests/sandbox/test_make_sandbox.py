"""The sandbox before anything was deployed on it, and what its playbooks refuse."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from driver import Sandbox


@pytest.fixture
def sandbox_elsewhere() -> Iterator[Sandbox]:
    """A folder for a sandbox besides the one that the tests share."""
    sandbox = Sandbox(Path(tempfile.mkdtemp(prefix="auth-state-sandbox-")))
    yield sandbox
    assert sandbox.play("playbooks/sandbox_clean.yml").rc == 0
    assert not sandbox.root.exists()


@pytest.mark.parametrize("playbook", ["playbooks/sandbox.yml", "playbooks/sandbox_clean.yml"])
def test_a_folder_that_is_no_sandbox_is_left_alone(tmp_path: Path, playbook: str) -> None:
    (tmp_path / "precious").write_text("mine")
    assert Sandbox(tmp_path).play(playbook).rc == 2
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_sessions_folder_of_the_sandbox_itself_is_refused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be removed before it was copied."""
    monkeypatch.setenv("SESSIONS", str(sandbox.app / "baileys_sessions"))
    assert "lies in the sandbox" in sandbox.play("playbooks/sandbox.yml", "--tags", "app").message()
    assert sandbox.company.is_dir()


def test_a_path_too_long_for_pm2s_sockets_is_refused(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / ("long" * 25))
    run = sandbox.play("playbooks/sandbox.yml", "--skip-tags", "postgresql")
    assert "choose a shorter one" in run.message()
    assert sandbox.play("playbooks/sandbox_clean.yml").rc == 0
    assert not sandbox.root.exists()


def test_the_bots_own_tests_pass(sandbox: Sandbox) -> None:
    """In the copy that the simulated network runs from: the newest commit with its dependencies."""
    environment = os.environ | {
        "PATH": f"{sandbox.root / 'bin'}:{os.environ['PATH']}",
        "TEST_DATABASE_URL": sandbox.database_url,
    }
    command = ["npm", "test", "--silent"]
    done = subprocess.run(
        command, cwd=sandbox.root / "network", env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "skipped 0" in done.stdout


def test_the_database_is_on_loopback_and_wants_a_password(sandbox: Sandbox) -> None:
    port = psycopg.conninfo.conninfo_to_dict(sandbox.database_url)["port"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={port} user=ai_admin dbname=ai_admin password=wrong")
    with psycopg.connect(sandbox.database_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        role = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert role.fetchone() == (False, False, False)


def test_secrets_are_for_their_owner_alone(sandbox: Sandbox) -> None:
    for path in (*(sandbox.root / "secrets").iterdir(), sandbox.app / ".env"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert sandbox.root.stat().st_mode & 0o777 == 0o711


@pytest.fixture
def sessions(sandbox: Sandbox, tmp_path: Path) -> Path:
    """A user's folder with two companies, readable by others, one file of it a link out of it."""
    folder = tmp_path / "sessions"
    for company, phone in (("101", "79990000101"), ("102", "79990000102")):
        make_login = ["scripts/make-login.js", "--sessions", folder, "--network-state", tmp_path / "network"]
        options = ["--company", company, "--phone", phone, "--contact", f"7900123{company}0"]
        command = [sandbox.root / "bin" / "node", *make_login, *options]
        subprocess.run(command, cwd=sandbox.root / "network", check=True, capture_output=True)
    (tmp_path / "elsewhere").write_text("{}")
    (folder / "company_102" / "session-79001230000.0.json").symlink_to(tmp_path / "elsewhere")
    return folder


def seen(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            (stat := path.lstat()).st_mode,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    }


def test_a_rehearsal_on_a_users_folder_works_on_a_copy(
    sessions: Path, sandbox_elsewhere: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SESSIONS=…: all its companies, held and then deployed, and the source as it was to the last bit and second."""
    before = seen(sessions)
    monkeypatch.setenv("SESSIONS", str(sessions))
    sandbox = sandbox_elsewhere
    built = sandbox.play("playbooks/sandbox.yml")
    assert built.rc == 0, built.output[-6000:]
    monkeypatch.delenv("SESSIONS")  # the sandbox remembers

    copies = list((sandbox.app / "baileys_sessions").rglob("*"))
    assert {path.name for path in copies if path.is_dir()} == {"company_101", "company_102"}
    assert not [path for path in copies if path.is_symlink() or (path.is_dir() and path.stat().st_mode & 0o077)]
    identities = {company["company_id"]: company["identity"] for company in sandbox.ask("/health")["companies"]}
    assert set(identities) == {"101", "102"}

    held = sandbox.play("deploy.yml", "-e", "cutover_hold=true")
    assert held.rc == 0, held.output[-6000:]
    assert "held before the stop" in held.output
    assert {company["store"] for company in sandbox.ask("/health")["companies"]} == {"files"}
    # What was made ready is there for the run that goes on.
    assert list((sandbox.app / ".auth-state/staging").glob("release-*/package.json"))

    deployed = sandbox.play("deploy.yml")
    assert deployed.rc == 0, deployed.output[-6000:]
    companies = sandbox.ask("/health")["companies"]
    assert {company["company_id"]: company["identity"] for company in companies} == identities
    assert {company["store"] for company in companies} == {"database"}
    assert seen(sessions) == before
