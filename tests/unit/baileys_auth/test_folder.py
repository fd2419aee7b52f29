"""A company's folder, and files written so that they are there whole or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth import durable
from ansible.module_utils.baileys_auth.errors import AuthStateError
from ansible.module_utils.baileys_auth.folder import CLOCK_TICK_NS, open_folder, trusted
from ansible.module_utils.baileys_auth.manifest import Signature
from ansible.module_utils.baileys_auth.names import CREDS, Key, Names

NAMES = Names()


@pytest.fixture
def login(tmp_path: Path) -> Path:
    folder = tmp_path / "company_1"
    folder.mkdir()
    (folder / "creds.json").write_text("{}")
    (folder / "pre-key-1.json").write_text('{"a":1}')
    return folder


def test_a_listing_opens_nothing(login: Path) -> None:
    (login / "pre-key-1.json").chmod(0)
    (login / ".hidden").mkdir()
    with open_folder(login, NAMES) as folder:
        listing = folder.list()
    assert listing.files == {"creds.json": CREDS, "pre-key-1.json": Key("pre-key", "1")}
    assert listing.leftovers == [".hidden"]
    assert listing.problems == []
    status = (login / "creds.json").stat()
    assert listing.signatures[CREDS] == (status.st_size, status.st_ino, status.st_ctime_ns, status.st_mtime_ns)


def test_a_listing_that_follows_another_sees_the_same(login: Path, tmp_path: Path) -> None:
    for name in ("pre-key-2.json", "pre-key-3.json", "pre-key-4.json"):
        (login / name).write_text("{}")
    with open_folder(login, NAMES) as folder:
        earlier = folder.list()
        assert folder.list(earlier) == earlier
        (login / "pre-key-1.json").write_text('{"b":22}')
        (login / "pre-key-2.json").unlink()
        (login / "pre-key-3.json").unlink()
        (login / "pre-key-3.json").symlink_to(tmp_path)
        for name in ("pre-key-5.json", "pre-key-6.json.tmp", "what-is-this.json", "pre-key-7\n.json"):
            (login / name).write_text("{}")
        now = folder.list(earlier)
        assert now == folder.list()
        assert now != earlier
    assert set(now.files) == {"creds.json", "pre-key-1.json", "pre-key-4.json", "pre-key-5.json"}
    assert {problem.code for problem in now.problems} == {"foreign", "unknown_files"}


def test_a_link_that_comes_after_the_listing_is_not_followed(login: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"not": "ours"}')
    with open_folder(login, NAMES) as folder:
        folder.list()
        (login / "pre-key-1.json").unlink()
        (login / "pre-key-1.json").symlink_to(secret)
        with pytest.raises(OSError, match="symbolic links"):
            folder.read_bytes("pre-key-1.json", 100)


def test_a_pipe_that_comes_after_the_listing_does_not_hang(login: Path) -> None:
    with open_folder(login, NAMES) as folder:
        folder.list()
        (login / "pre-key-1.json").unlink()
        os.mkfifo(login / "pre-key-1.json")
        with pytest.raises(AuthStateError) as caught:
            folder.read("pre-key-1.json", Key("pre-key", "1"), 100, patient=False)
    assert [problem.code for problem in caught.value.problems] == ["torn"]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100_000])
def test_a_file_that_has_grown_or_shrunk_since_its_stat_is_read_whole(login: Path, size: int) -> None:
    for text in (b"", b"x", b"x" * 7, b"x" * 200_000):
        (login / "pre-key-1.json").write_bytes(text)
        with open_folder(login, NAMES) as folder:
            assert folder.read_bytes("pre-key-1.json", size) == text


def test_a_folder_that_moves_away_is_still_the_one_that_was_opened(login: Path) -> None:
    with open_folder(login, NAMES) as folder:
        login.rename(login.with_name("elsewhere"))
        login.mkdir()
        assert folder.read_bytes("pre-key-1.json", 7) == b'{"a":1}'
        assert len(folder.list().files) == 2


@pytest.mark.parametrize(("age", "wanted"), [(0, False), (CLOCK_TICK_NS, False), (CLOCK_TICK_NS + 1, True)])
def test_a_stat_is_trusted_only_past_a_clock_tick(age: int, wanted: bool) -> None:
    now = 10**18
    for signature in (Signature(1, 1, now - age, 0), Signature(1, 1, 0, now - age)):
        assert (trusted(signature, now) is not None) is wanted


def test_a_replaced_file_is_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    durable.replace_file(path, [b"one"])
    assert path.stat().st_mode & 0o777 == 0o600
    durable.replace_file(path, [b"two", b"three"])
    assert path.read_bytes() == b"twothree"

    def fails(*_arguments: object) -> None:
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="broken"):
            durable.replace_file(path, [b"four"])
    assert path.read_bytes() == b"twothree"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_new_files_are_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="File exists"):
        durable.write_new(tmp_path / "link", [b"x"])
    durable.replace_file(tmp_path / "link", [b"x"])
    assert not (tmp_path / "target").exists()


def test_folders_are_private(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a/b/c")
    assert {oct((tmp_path / path).stat().st_mode & 0o777) for path in ("a", "a/b", "a/b/c")} == {"0o700"}
    durable.make_folder(tmp_path / "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_root_leaves_files_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    durable.make_folder(tmp_path / "a/b")
    durable.replace_file(tmp_path / "a/b/file", [b"x"])
    for path in ("a", "a/b", "a/b/file"):
        assert (tmp_path / path).stat().st_uid == 65534


def test_what_a_dead_process_was_writing_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    names = {f".state.json.{ended.pid}.tmp": False, f".state.json.{os.getpid()}.tmp": True, "state.json": True,
             ".other.tmp": True, f"a.{ended.pid}.tmp": True}  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    durable.remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name for name, stays in names.items() if stays}
    durable.remove_abandoned(tmp_path / "nowhere")
