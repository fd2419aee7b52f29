"""A release killed at each thing it does, forward and back: mended, it is the one commit or the other, whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.cutover import release as module
from ansible.module_utils.cutover.release import Release
from ansible.module_utils.node_host.problems import HostError
from repositories import git


class Killed(BaseException):
    """Not to be caught by anything, as a kill is not."""


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """An app at its first commit with the dependencies of that, and those of the second beside it."""
    app, state = tmp_path / "app", tmp_path / "state"
    app.mkdir()
    git(app, "init", "--quiet")
    commits = []
    for version in ("1", "2"):
        (app / "package-lock.json").write_text(version)
        (app / ".gitignore").write_text("node_modules\n")
        git(app, "add", ".")
        git(app, "commit", "--quiet", "--message", version)
        commits.append(git(app, "rev-parse", "HEAD"))
    git(app, "reset", "--quiet", "--hard", commits[0])
    staging, aside = state / "staging" / "release-2", state / "aside" / "release"
    for folder, version in ((app, "1"), (staging, "2")):
        (folder / "node_modules").mkdir(parents=True)
        (folder / "node_modules" / "version").write_text(version)
    # What a deploy long ago has kept.
    (aside / "node_modules.0").mkdir(parents=True)
    return Release(app, *commits, True, staging, aside, state / "a.patch")


def version(release: Release) -> str:
    """Of the code, which its dependencies share."""
    code = (release.app_dir / "package-lock.json").read_text()
    assert (release.app_dir / "node_modules" / "version").read_text() == code
    assert git(release.app_dir, "status", "--porcelain") == ""
    return code


def killed_at(number: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether `do` came so far: it is killed before what it does, and again after it, `number` counting both."""
    count = itertools.count()

    def around(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(count) == number:
                raise Killed
            result = real(*arguments, **options)
            if next(count) == number:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", around(os.rename))
        patch.setattr(Release, "_git", around(Release._git))
        patch.setattr(module, "replace_file", around(module.replace_file))
        try:
            do()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("number", range(24))
def test_killed_on_the_way_forward(release: Release, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    if not killed_at(number, release.activate, monkeypatch):
        assert number > 10, "it does less than that"
        assert version(release) == "2"
        return
    release.mend()
    assert version(release) in "12"
    # The next deploy goes forward, and may have to come back.
    release.activate()
    assert version(release) == "2"
    release.revert()
    assert version(release) == "1"


@pytest.mark.parametrize("number", range(24))
def test_killed_on_the_way_back(release: Release, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    release.activate()
    if not killed_at(number, release.revert, monkeypatch):
        assert number > 5, "it does less than that"
        assert version(release) == "1"
        return
    release.mend()
    assert version(release) in "12"
    release.activate()
    assert version(release) == "2"


def test_a_build_begun_anew_meanwhile(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with the dependencies swapped and the commit not: the next deploy builds before anything is mended."""
    git_of = Release._git

    def killed(self: Release, *arguments: str) -> str:
        if arguments[0] == "merge":
            raise Killed
        return git_of(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Release, "_git", killed)
        with pytest.raises(Killed):
            release.activate()
    (release.staging / "node_modules").mkdir()
    (release.staging / "node_modules" / "version").write_text("2")
    release.mend()
    assert version(release) == "1"
    release.activate()
    assert version(release) == "2"
    release.revert()
    assert version(release) == "1"


def test_what_an_earlier_try_has_parked_does_not_come_back(release: Release) -> None:
    """Tried, taken back, tried again, and killed once it was in place."""
    release.activate()
    release.revert()
    (release.aside / f"node_modules.{release.commit_after}.new" / "version").write_text("of the first try")
    (release.staging / "node_modules").mkdir()
    (release.staging / "node_modules" / "version").write_text("2")
    release.activate()
    release.mend()
    assert version(release) == "2"
    release.revert()
    assert version(release) == "1"


def test_hooks_of_the_repository_do_not_run(release: Release) -> None:
    """One that restarts the app would have it write to the store that it is just being moved from."""
    (release.app_dir / "package-lock.json").write_text("1, mended by hand\n")
    ran = release.app_dir.with_name("a hook ran")
    for hook in ("post-merge", "post-checkout", "post-index-change", "reference-transaction"):
        path = release.app_dir / ".git/hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
        path.chmod(0o755)
    release.activate()
    release.revert()
    release.mend()
    assert not ran.exists()


@pytest.mark.parametrize("leads", ["somewhere", "nowhere"])
def test_dependencies_that_are_a_link(release: Release, leads: str) -> None:
    """Put aside it may lead nowhere, and comes back all the same."""
    modules, shared = release.app_dir / "node_modules", release.app_dir.with_name("shared")
    modules.rename(shared)
    modules.symlink_to("../shared" if leads == "somewhere" else "../none")
    (release.app_dir / ".git/info/exclude").write_text("node_modules\n")  # with a slash .gitignore has only folders
    release.activate()
    assert version(release) == "2"
    release.revert()
    assert modules.is_symlink()
    assert leads != "somewhere" or version(release) == "1"


def test_what_was_kept_long_ago_is_out_of_the_way(release: Release) -> None:
    release.activate()
    assert sorted(path.name for path in release.aside.iterdir()) == [
        f"node_modules.{release.commit_before}",
        "outdated",
        "release.json",
    ]


def test_what_a_killed_deploy_has_laid_out_is_out_of_the_way(release: Release) -> None:
    """Of a commit that a newer one has overtaken; a login's own staging stays."""
    for name in ("release-1", "company_962302"):
        (release.staging.parent / name).mkdir()
    release.activate()
    assert {path.name for path in release.staging.parent.iterdir()} == {release.staging.name, "company_962302"}


def test_a_release_that_fails_twice_is_taken_back_twice(release: Release) -> None:
    for _ in range(2):
        release.activate()
        release.revert()
        assert version(release) == "1"
        (release.staging / "node_modules").mkdir()  # built anew
        (release.staging / "node_modules" / "version").write_text("2")


def test_what_git_ignores_is_never_replaced(release: Release, tmp_path: Path) -> None:
    """Nor removed, when the commit that brings one of its own is taken back."""
    git(tmp_path, "clone", "--quiet", str(release.app_dir), "developer")
    developer = tmp_path / "developer"
    git(developer, "fetch", "--quiet", "origin", release.commit_after)
    git(developer, "reset", "--quiet", "--hard", release.commit_after)
    (developer / ".env").write_text("old")
    git(developer, "add", "--force", ".env")
    git(developer, "commit", "--quiet", "--message", "3")
    git(release.app_dir, "fetch", "--quiet", str(developer), "HEAD")
    bringing = replace(release, commit_after=git(developer, "rev-parse", "HEAD"))
    (release.app_dir / ".git/info/exclude").write_text(".env\n")
    (release.app_dir / ".env").write_text("the host's own")
    with pytest.raises(HostError, match="git merge failed"):
        bringing.activate()
    bringing.revert()
    assert (release.app_dir / ".env").read_text() == "the host's own"
    assert version(release) == "1"


@pytest.mark.parametrize("number", range(30))
def test_killed_with_a_change_of_the_operators(release: Release, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It is in its file or in the patch, at each moment, and in its file again after the way back."""
    git(release.app_dir, "config", "diff.noprefix", "true")
    lock_file = release.app_dir / "package-lock.json"
    lock_file.write_bytes(b"1, mended by hand \xe9\n")
    release = replace(release, patch=release.patch.parent / "patches" / "a.patch")

    assert killed_at(number, lambda: (release.activate(), release.revert()), monkeypatch)

    assert lock_file.read_bytes() == b"1, mended by hand \xe9\n" or b"mended by hand \xe9" in release.patch.read_bytes()
    if release.patch.exists():
        assert (release.patch.stat().st_mode & 0o777, release.patch.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    release.mend()
    release.revert()
    assert lock_file.read_bytes() == b"1, mended by hand \xe9\n"


def test_change_comes_back_once(release: Release) -> None:
    (release.app_dir / "package-lock.json").write_text("1, mended by hand\n")
    release.activate()
    release.revert()
    git(release.app_dir, "restore", ".")  # the operator wants it no more
    release.activate()
    release.revert()
    assert version(release) == "1"
