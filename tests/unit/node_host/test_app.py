"""What app_info sees of an app: on real repositories, real folders and the machine's own git and npm."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.node_host import app
from repositories import git

PHONE = "79686484488"
FLAG = "USE_DATABASE_AUTH_STATE"
Look = Callable[..., dict[str, Any]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An app at its first commit, whose remote is one ahead."""
    remote, folder = tmp_path / "remote", tmp_path / "app"
    remote.mkdir()
    git(remote, "init", "--quiet", "--initial-branch=main")
    (remote / "package.json").write_text("{}")
    (remote / "a b.js").write_text("1")
    git(remote, "add", ".")
    git(remote, "commit", "--quiet", "--message=first")
    git(tmp_path, "clone", "--quiet", str(remote), str(folder))
    git(remote, "commit", "--quiet", "--allow-empty", "--message=second")
    (folder / ".env").write_text(f"OTHER=secret\n{FLAG}=true\n")
    (folder / "baileys_sessions" / "company_1").mkdir(parents=True)
    (folder / "baileys_sessions" / "company_1" / f"session-{PHONE}.0.json").write_text("{}")
    return folder


@pytest.fixture
def look(place: Path) -> Look:
    def look(*, remote: str | None = None, branch: str = "main", sessions_dir: Path | None = None) -> dict[str, Any]:
        return app.look(
            place,
            sessions_dir or place / "baileys_sessions",
            place / ".env",
            FLAG,
            remote,
            branch,
            state=place / "not/yet",
        )

    return look


def test_everything_of_an_app_in_order(place: Path, look: Look) -> None:
    seen = look(remote="origin")
    first, second = git(place, "rev-parse", "HEAD"), git(place.with_name("remote"), "rev-parse", "HEAD")
    exclude = str(place / ".git/info/exclude")
    assert seen["code"] == {
        "commit": first, "branch": "main", "changed": [], "secrets": [], "exclude": exclude, "error": None
    }  # fmt: skip
    assert seen["remote"] == {"commit": second, "has_branch": True, "diverged": None, "error": None}
    assert seen["node"]["version"].split(".")[0].isdigit()
    assert (seen["present"], seen["has_dependencies"], seen["flag"], seen["problems"]) == (True, False, "true", [])
    space = subprocess.run(
        ["df", "--block-size=1M", "--output=target,itotal", place], check=True, capture_output=True, text=True
    )
    mount, inodes = space.stdout.splitlines()[1].rsplit(maxsplit=1)
    assert [(disk["mount"], disk["inodes"]) for disk in seen["disks"]] == [(mount, int(inodes))] * 2
    assert seen["mounts"] == dict.fromkeys(("app", "sessions", "state"), mount)
    assert all(disk["free_mb"] > 0 for disk in seen["disks"])


def test_looking_writes_nothing(place: Path, look: Look) -> None:
    index = place / ".git/index"
    (place / "package.json").touch()  # what makes `git status` refresh its index
    before = index.read_bytes(), index.stat().st_mtime_ns
    look()
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_changed_files_are_named_whatever_their_names(place: Path, look: Look) -> None:
    (place / "a b.js").write_text("2")
    git(place, "mv", "package.json", f"lid-{PHONE}.json")
    changed = look()["code"]["changed"]
    assert sorted(changed) == ["a b.js", "lid-7968***4488.json"]


@pytest.mark.parametrize("tracked", [[".env"], ["baileys_sessions"], [".env", "baileys_sessions"]])
def test_secrets_that_git_tracks(place: Path, look: Look, tracked: list[str]) -> None:
    assert look()["code"]["secrets"] == []
    git(place, "add", "--force", "--", *tracked)
    said = {".env": ".env", "baileys_sessions": "1 files of the login"}
    assert look()["code"]["secrets"] == [said[each] for each in tracked]
    (place / "baileys_sessions" / ".gitkeep").touch()
    git(place, "add", "--force", "--", "baileys_sessions/.gitkeep")
    assert look()["code"]["secrets"] == [said[each] for each in tracked]
    # A folder elsewhere is no business of this repository.
    assert look(sessions_dir=place.with_name("elsewhere"))["code"]["secrets"] == [".env"] * (".env" in tracked)


def test_commits_that_the_remote_does_not_have(place: Path, look: Look) -> None:
    git(place, "commit", "--quiet", "--allow-empty", "--message=own")
    assert look(remote="origin")["remote"]["diverged"] is None, "what was not fetched cannot be compared"
    git(place, "fetch", "--quiet")
    assert look(remote="origin")["remote"]["diverged"] is True
    git(place, "reset", "--quiet", "--hard", "HEAD~1")
    assert look(remote="origin")["remote"]["diverged"] is False
    git(place, "merge", "--quiet", "origin/main")
    git(place, "commit", "--quiet", "--allow-empty", "--message=ahead")
    assert look(remote="origin")["remote"]["diverged"] is True


def test_a_linked_worktree_has_its_list_elsewhere(place: Path, tmp_path: Path) -> None:
    git(place, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    found = app.code(tmp_path / "linked", tmp_path / "linked/.env", tmp_path / "linked/baileys_sessions")
    assert found.exclude == str(place / ".git/info/exclude")


OWN = {"version": "1.0.0", "integrity": "sha512-a"}
LOCKED = {"": {"name": "bot"}, "node_modules/own": OWN, "node_modules/lint": {**OWN, "dev": True}}


@pytest.mark.parametrize(
    ("present", "good"),
    [
        ({"node_modules/own": OWN}, True),
        ({"node_modules/own": {"version": "1.0.0"}}, True),  # npm does not always note the digest
        ({"node_modules/own": {**OWN, "version": "0.9.0"}}, False),
        ({"node_modules/own": {**OWN, "integrity": "sha512-b"}}, False),
        ({}, False),
        (None, True),  # pnpm's, or an old npm's: nobody has written down what it holds
    ],
)
def test_dependencies_older_than_the_lock_file(place: Path, look: Look, present: Any, good: bool) -> None:
    """As after a `git pull` by hand without its `npm install`: the bot would start on what is not there."""
    (place / "package-lock.json").write_text(json.dumps({"packages": LOCKED}))
    assert not look()["has_dependencies"]
    (place / "node_modules").mkdir()
    if present is not None:
        (place / "node_modules/.package-lock.json").write_text(json.dumps({"packages": present}))
    assert look()["has_dependencies"] is good


def test_remotes_that_do_not_give_it(look: Look) -> None:
    none = {"commit": None, "has_branch": False, "diverged": None, "error": ""}
    assert look(remote="origin", branch="no/such")["remote"] == none
    gone = look(remote="nowhere")["remote"]
    assert (gone["commit"], gone["has_branch"]) == (None, True)
    assert gone["error"]


def test_what_is_no_app(tmp_path: Path) -> None:
    seen = app.look(tmp_path / "none", tmp_path / "none/sessions", tmp_path / "none/.env", FLAG, None, "main")
    assert (seen["present"], seen["disks"], seen["node"], seen["remote"]) == (False, [], None, None)
    assert "none" in seen["code"]["error"]
    assert [problem["code"] for problem in seen["problems"]] == ["env_unreadable"]


def test_tools_that_are_missing(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = look(remote="origin")
    assert seen["code"]["error"] == "git: No such file or directory"
    assert seen["node"] == {"version": None, "error": "npm: No such file or directory"}


def test_what_does_not_answer_is_given_up() -> None:
    """With what it has started, as git its ssh: that one holds the pipes."""
    begun = time.monotonic()
    returned, _output, error = app.Command("sh", "-c", "sleep 30; true", timeout=0.1).done()
    assert (returned, error) == (None, "no answer within 0.1 s")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SUPABASE_URL=abc.supabase.co\nSUPABASE_KEY=sb_secret_abcdefghijklmnop\n", "rest_url"),
        ("SUPABASE_URL=https://abc.supabase.co\nSUPABASE_KEY=short\n", "rest_key"),
        ("SUPABASE_URL=https://abc.supabase.co\n", "rest_half_set"),
        ("SUPABASE_URL=https://[YOUR-PROJECT-REF].supabase.co\nSUPABASE_KEY=sb_secret_abcdefghijklmnop\n", "rest_url"),
    ],
)
def test_settings_that_the_bot_cannot_connect_with(place: Path, look: Look, text: str, code: str) -> None:
    (place / ".env").write_text(f"{FLAG}=false\n{text}")
    seen = look()
    assert ([problem["code"] for problem in seen["problems"]], seen["flag"]) == ([code], "false")


def test_a_file_of_somebody_else_is_seen_before_the_app_is_stopped(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look()["problems"] == []
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert [problem["code"] for problem in look()["problems"]] == ["env_not_writable"]


def test_no_value_but_a_switch_is_shown(place: Path, look: Look) -> None:
    (place / ".env").write_text(f"{FLAG}=postgresql://u:p@h/d\n")
    assert look()["flag"] == "<hidden>"


def test_disk_of_a_mount_with_a_blank_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "my app"
    folder.mkdir()
    escaped = str(folder).replace(" ", "\\040")
    mounts = f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:1 /x {escaped} rw - ext4 /dev/a rw\n"
    assert [disk["mount"] for disk in app.disks([folder, tmp_path], mounts)] == [str(folder), "/"]
