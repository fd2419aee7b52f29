"""The scripts that the sandbox's playbooks run: what they leave alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STOP_OWN = PROJECT / "playbooks/files/stop_own.py"
PACK_SESSIONS = PROJECT / "roles/sandbox_app/files/pack_sessions.sh"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A sessions folder as a user may have it: readable by others, with links out of it."""
    company = tmp_path / "sessions" / "company_1"
    company.mkdir(parents=True)
    (company / "creds.json").write_text("{}")
    (company / "creds.json").chmod(0o644)
    os.utime(company / "creds.json", ns=(1, 1_700_000_000_123_456_789))
    secret = tmp_path / "secret"
    secret.write_text("not of the login")
    (company / "session-1.0.json").symlink_to(secret)
    (tmp_path / "sessions" / "company_2").symlink_to(company)
    return tmp_path / "sessions"


def listing(folder: Path) -> list[tuple[str, int, int, int]]:
    return sorted(
        (str(path), (stat := path.lstat()).st_mode, stat.st_mtime_ns, stat.st_ctime_ns)
        for path in [folder, *folder.rglob("*")]
    )


def test_a_sessions_folder_is_packed_without_its_links_and_without_a_trace(source: Path, tmp_path: Path) -> None:
    before = listing(source)
    package = tmp_path / "sessions.tar"
    done = subprocess.run(["sh", PACK_SESSIONS, source, package], check=True, capture_output=True, text=True)

    assert listing(source) == before
    assert done.stdout == "left out, neither file nor folder: 2\n"
    assert package.stat().st_mode & 0o777 == 0o600
    with tarfile.open(package) as tar:
        packed = {entry.name: entry for entry in tar}
    assert set(packed) == {"./company_1", "./company_1/creds.json"}
    assert packed["./company_1"].mode == 0o700
    creds = packed["./company_1/creds.json"]
    assert creds.mode == 0o600
    assert creds.pax_headers["mtime"] == "1700000000.123456789"


def sleeper(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    (tmp_path / "sandbox" / "pm2" / "pids").mkdir(parents=True)
    (tmp_path / "sandbox" / "postgresql" / "data").mkdir(parents=True)
    return tmp_path / "sandbox"


@pytest.fixture
def own(sandbox: Path) -> Iterator[subprocess.Popen[bytes]]:
    yield from sleeper(PM2_HOME=str(sandbox / "pm2"))


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "pm2").mkdir()
    yield from sleeper(PM2_HOME=str(tmp_path / "pm2"))


def stop_own(sandbox: Path) -> str:
    command = [sys.executable, str(STOP_OWN), str(sandbox), "pm2", "postgresql"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ended(process: subprocess.Popen[bytes]) -> bool:
    time.sleep(0.1)
    return process.poll() is not None


def test_what_the_sandbox_recorded_is_stopped(sandbox: Path, own: subprocess.Popen[bytes]) -> None:
    (sandbox / "pm2" / "pids" / "app-0.pid").write_text(str(own.pid))
    assert stop_own(sandbox) == f"stopped {own.pid}\n"
    assert ended(own)


def test_an_id_that_is_another_process_by_now_is_left_alone(sandbox: Path, foreign: subprocess.Popen[bytes]) -> None:
    (sandbox / "pm2" / "pm2.pid").write_text(str(foreign.pid))
    (sandbox / "postgresql" / "data" / "postmaster.pid").write_text(f"{foreign.pid}\n/elsewhere\n")
    assert stop_own(sandbox) == ""
    assert not ended(foreign)


def test_a_process_that_was_not_recorded_is_left_alone(sandbox: Path, own: subprocess.Popen[bytes]) -> None:
    (sandbox / "pm2" / "pm2.pid").write_text("no number")
    assert stop_own(sandbox) == ""
    assert not ended(own)


def test_set_up_says_in_one_line_what_to_type(tmp_path: Path) -> None:
    """On a machine with git and no new enough Python. Nothing is made."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "setup", tmp_path / "scripts")
    shutil.copy(PROJECT / ".python-version", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "git", "rm", "sha256sum", "uname"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for environment, words in (({}, "apt-get install"), ({"PYTHON": "python9"}, "PYTHON=python9")):
        done = subprocess.run(
            [programs / "bash", tmp_path / "scripts" / "setup"],
            env={"PATH": str(programs), **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert words in done.stderr
    assert not (tmp_path / ".venv").exists()
