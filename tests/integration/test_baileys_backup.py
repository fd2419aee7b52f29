"""baileys_auth_backup: archives that plain tar restores, read back before they count, and restored by swap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.baileys_auth import restore
from bot_host import COMPANY, BotHost, codes, good
from postgresql_server import TestDatabase


@pytest.fixture
def host(tmp_path: Path, run_module: Any) -> BotHost:
    """No database: backups know of none."""
    host = BotHost(tmp_path / "host", "", run_module)
    host.make()
    return host


def archives(host: BotHost) -> list[Path]:
    """The oldest first; of those of one second the one without a number."""
    return sorted((host.backups / f"company_{COMPANY}").glob("*.tar"), key=lambda path: path.stem)


def facts(answer: dict[str, Any]) -> dict[str, Any]:
    return good(answer)["companies"][COMPANY]


def test_plain_tar_restores_it(host: BotHost, tmp_path: Path) -> None:
    long = "tctoken-" + "x" * 180 + "@lid"  # longer than a header's field
    host.write(long, {})
    host.write("session-é💇.0", {})
    for name, when in (
        ("pre-key-1.json", 0),
        ("pre-key-2.json", -86400),
        ("pre-key-3.json", 1e11),
        ("pre-key-4.json", 1e9),
    ):
        os.utime(host.folder / name, (when, when))
    made = facts(host.backup())
    assert made["files"] == len(host.contents())
    assert made["bytes"] == sum(map(len, host.contents().values()))
    assert Path(made["archive"]).stat().st_mode & 0o777 == 0o600
    assert Path(made["archive"]).parent.stat().st_mode & 0o777 == 0o700
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(["tar", "-xf", made["archive"], "-C", out], capture_output=True, text=True, check=True)
    assert done.stderr == "" or "timestamp" in done.stderr or "time stamp" in done.stderr, done.stderr
    restored = {path.name: path.read_bytes() for path in (out / f"company_{COMPANY}").iterdir()}
    assert restored == host.contents()
    for name in ("pre-key-1.json", "pre-key-4.json"):
        assert int((out / f"company_{COMPANY}" / name).stat().st_mtime) == int((host.folder / name).stat().st_mtime)
    assert {oct(path.stat().st_mode & 0o777) for path in (out / f"company_{COMPANY}").iterdir()} == {"0o600"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["company_id"] == COMPANY
    assert set(manifest["files"]) == set(host.contents())
    sums = "".join(f"{digest}  {name}\n" for name, digest in manifest["files"].items())
    subprocess.run(
        ["sha256sum", "--check", "--quiet"], input=sums, text=True, cwd=out / f"company_{COMPANY}", check=True
    )
    listed = subprocess.run(["tar", "-tf", made["archive"]], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert len(listed) == len(set(listed))


def test_headers_are_those_of_tarfile(host: BotHost) -> None:
    """Field by field what Python's own writer makes of the same members, but that the folder stands in the prefix."""
    made = facts(host.backup())
    with tarfile.open(made["archive"]) as tar:
        for member in tar.getmembers():
            folder, _slash, member.name = member.name.rpartition("/")
            assert folder == ("" if member.name == "manifest.json" else f"company_{COMPANY}")
            tar.fileobj.seek(member.offset)
            header, wanted = tar.fileobj.read(512), member.tobuf(tarfile.USTAR_FORMAT)
            assert header[:148] == wanted[:148]
            assert header[156:265] == wanted[156:265]
            assert (member.mode, member.uid, member.gid) == (0o600, os.getuid(), os.getgid())
    data = Path(made["archive"]).read_bytes()
    assert data.endswith(bytes(1024))
    assert len(data) % 512 == 0


def test_the_second_makes_none(host: BotHost) -> None:
    assert good(host.backup(check=True))["changed"] is True
    assert not host.backups.exists()
    first = host.backup()
    assert first["changed"] is True
    second = good(host.backup())
    assert second["changed"] is False
    assert facts(second) == facts(first)
    assert good(host.backup(check=True))["changed"] is False
    host.write("pre-key-1", {"changed": 1})
    assert good(host.backup(check=True))["changed"] is True
    assert good(host.backup())["changed"] is True
    assert len(archives(host)) == 2


def test_with_a_manifest_of_a_transfer(bot_host: BotHost, database: TestDatabase) -> None:
    time.sleep(0.11)
    good(bot_host.state())
    assert good(bot_host.backup())["changed"] is True
    assert good(bot_host.backup())["changed"] is False
    bot_host.write("pre-key-1", {"changed": 1})
    assert good(bot_host.backup())["changed"] is True
    with tarfile.open(archives(bot_host)[-1]) as tar:
        names = {Path(name).name for name in tar.getnames()}
    assert names == set(bot_host.contents()) | {"manifest.json"}


def test_a_damaged_newest_is_replaced(host: BotHost) -> None:
    good(host.backup())
    (archive,) = archives(host)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:3000])
    assert codes(host.backup("verified")) == ["backup_damaged"]
    assert good(host.backup(check=True))["changed"] is True
    assert good(host.backup())["changed"] is True
    good(host.backup("verified"))
    for broken in (b"", b"{}", b"[1]", b"null", b'{"archive": "x"}'):
        archives(host)[-1].with_suffix(".json").write_bytes(broken)
        assert good(host.backup())["changed"] is True
        good(host.backup("verified"))


def test_retention_by_count_and_never_the_last(host: BotHost) -> None:
    for number in range(4):
        host.write("pre-key-1", {"number": number})
        good(host.backup(keep=2))
    assert len(archives(host)) == 2
    host.write("pre-key-1", {"number": 9})
    good(host.backup(keep=0))
    assert len(archives(host)) == 1
    good(host.backup("verified"))
    assert len(list((host.backups / f"company_{COMPANY}").iterdir())) == 2
    # What others left there is nobody's to delete.
    other = host.backups / f"company_{COMPANY}" / "backup_2026-01-01"
    other.mkdir()
    (host.backups / f"company_{COMPANY}" / "notes.tar").write_text("mine")
    host.write("pre-key-1", {"number": 10})
    good(host.backup(keep=1))
    assert other.is_dir()
    assert len(archives(host)) == 2


def test_newest_is_the_last_one_after_the_clock_was_set_back(host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    first = facts(host.backup(keep=1))["archive"]
    host.write("pre-key-1", {"private": "other"})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86400)
    second = facts(host.backup(keep=1))["archive"]
    assert second != first
    assert archives(host) == [Path(second)]


def test_listed(host: BotHost) -> None:
    assert facts(host.backup("listed"))["backups"] == []
    good(host.backup())
    host.write("pre-key-1", {})
    good(host.backup())
    (host.backups / f"company_{COMPANY}" / "backup_20250101").mkdir()
    (host.backups / f"company_{COMPANY}" / "backup_20260101T000000Z.tar").write_text(
        "without a summary it does not count"
    )
    found = facts(host.backup("listed"))
    assert [backup["files"] for backup in found["backups"]] == [120, 120]
    assert [Path(path).name for path in found["originals"]] == ["backup_20250101"]


@pytest.mark.parametrize("damage", ["creds_missing", "torn", "unknown_files", "foreign", "value_refused"])
def test_a_folder_that_is_no_whole_login(host: BotHost, damage: str) -> None:
    creds = host.folder / "creds.json"
    if damage == "creds_missing":
        creds.unlink()
    elif damage == "torn":
        creds.write_text("{")
    elif damage == "unknown_files":
        (host.folder / "x.txt").touch()
    elif damage == "foreign":
        (host.folder / "pre-key-1.json").unlink()
        (host.folder / "pre-key-1.json").symlink_to("/etc/passwd")
    else:
        host.write("lid-mapping-79110000001", 5)
    for check in (True, False):
        assert codes(host.backup(check=check)) == [damage]
    assert archives(host) == []
    assert not host.backups.exists() or not any((host.backups / f"company_{COMPANY}").iterdir())


def test_what_is_read_back_counts(host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that returns other bytes than it took."""
    from ansible.module_utils.baileys_auth import archive

    original = archive._sha256
    monkeypatch.setattr(archive, "_sha256", lambda path, **options: original(path, **options)[::-1])
    assert codes(host.backup()) == ["backup_damaged"]
    assert archives(host) == []
    assert [path.name for path in (host.backups / f"company_{COMPANY}").iterdir()] == []


def test_a_full_disk(host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".tmp"):
            raise OSError(28, os.strerror(28))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    answer = host.backup()
    assert codes(answer) == ["backup_failed"]
    assert "No space" in answer["msg"]
    assert [path.name for path in (host.backups / f"company_{COMPANY}").iterdir()] == []


def test_too_little_space_is_seen_before(host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize, f_files, f_favail = 10, 4096, 100, 100

    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    assert codes(host.backup()) == ["no_space"]


def test_what_killed_runs_left_goes_away(host: BotHost) -> None:
    folder = host.backups / f"company_{COMPANY}"
    folder.mkdir(parents=True)
    gone = subprocess.Popen(["true"])
    gone.wait()
    (folder / f".backup_20260101T000000Z.tar.{gone.pid}.tmp").write_text("left by a killed run")
    (folder / f".backup_20260101T000000Z.tar.{os.getppid()}.tmp").write_text("being written")
    good(host.backup())
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [
        f".backup_20260101T000000Z.tar.{os.getppid()}.tmp"
    ]


# Restoring


def test_restored_by_swap_and_what_was_there_is_kept(host: BotHost) -> None:
    before = host.contents()
    good(host.backup())
    host.write("pre-key-1", {"later": 1})
    host.write("pre-key-99", {})
    (host.folder / "notes.txt").write_text("mine")
    later = host.contents()
    with host.unchanged():
        assert good(host.backup("restored", check=True))["changed"] is True
    answer = good(host.backup("restored"))
    assert host.contents() == before
    assert host.folder.stat().st_mode & 0o777 == 0o700
    aside = Path(facts(answer)["aside"])
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == later
    assert aside.is_relative_to(host.state_dir)
    assert not any((host.state_dir / "staging").glob("*"))


def test_restored_into_an_empty_place(host: BotHost) -> None:
    before = host.contents()
    good(host.backup())
    times = {path.name: int(path.stat().st_mtime) for path in host.folder.iterdir()}
    shutil.rmtree(host.folder)
    answer = good(host.backup("restored"))
    assert facts(answer)["aside"] is None
    assert host.contents() == before
    assert {path.name: int(path.stat().st_mtime) for path in host.folder.iterdir()} == times


def test_one_by_name(host: BotHost) -> None:
    host.write("pre-key-1", {"number": 1})
    good(host.backup())
    host.write("pre-key-1", {"number": 2})
    good(host.backup())
    first, second = archives(host)
    good(host.backup("restored", backup=first.name))
    assert host.values()["pre-key-1.json"] == {"number": 1}
    good(host.backup("restored", backup="newest"))
    assert host.values()["pre-key-1.json"] == {"number": 2}
    answer = host.backup("restored", backup="backup_20200101T000000Z.tar")
    assert codes(answer) == ["backup_missing"]
    assert second.name in answer["msg"]


@pytest.mark.parametrize("name", ["..", ".", "../x", "/etc", "", "a/b", "backup_x.tar"])
def test_names_that_lead_elsewhere(host: BotHost, name: str) -> None:
    good(host.backup())
    with host.unchanged():
        assert codes(host.backup("restored", backup=name)) == ["backup_missing"]
        assert codes(host.backup("verified", backup=name)) == ["backup_missing"]


def test_the_originals_folders_by_explicit_name(host: BotHost) -> None:
    """The app's own script left a plain copy: restorable after a full parse, never taken for the newest."""
    original = host.backups / f"company_{COMPANY}" / "backup_1730000000"
    original.parent.mkdir(parents=True)
    shutil.copytree(host.folder, original)
    before = host.contents()
    assert codes(host.backup("restored")) == ["backup_missing"]
    host.write("pre-key-1", {"later": 1})
    good(host.backup("restored", backup="backup_1730000000"))
    assert host.contents() == before
    (original / "creds.json").write_text("{")
    with host.unchanged():
        assert codes(host.backup("restored", backup="backup_1730000000")) == ["backup_damaged"]
    (original / "creds.json").unlink()
    with host.unchanged():
        assert codes(host.backup("restored", backup="backup_1730000000")) == ["backup_damaged"]


def repacked(host: BotHost, change: Any) -> None:
    """The archive with other members, well-formed as a tar."""
    (archive,) = archives(host)
    with tarfile.open(archive) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    members = change(members)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in members:
            import io

            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def manifest_as(text: bytes) -> Any:
    return lambda members: [(m, text if m.name == "manifest.json" else data) for m, data in members]


def named(old: str, new: str) -> Any:
    def change(members: list) -> list:
        for member, _data in members:
            member.name = member.name.replace(old, new)
        return members

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members[1:],
        lambda members: members[:-1],
        lambda members: [members[0], *members],
        lambda members: [(m, data + b" " if m.name.endswith("creds.json") else data) for m, data in members],
        manifest_as(b""),
        manifest_as(b"[]"),
        manifest_as(b"{}"),
        manifest_as(b"5"),
        manifest_as(b'{"company_id": "962302", "files": {}}'),
        named("company_962302", "company_1"),
        named("company_962302", ".."),
        named("company_962302", "/tmp"),
        named("pre-key-1.json", "../../pre-key-1.json"),
        named("pre-key-1.json", "evil.sh"),
    ],
)
def test_an_archive_that_somebody_changed(host: BotHost, change: Any) -> None:
    good(host.backup())
    repacked(host, change)
    with host.unchanged():
        assert codes(host.backup("verified")) == ["backup_damaged"]
        assert codes(host.backup("restored")) == ["backup_damaged"]
    assert not any((host.state_dir / "staging").rglob("*.json"))


@pytest.mark.parametrize("what", ["rename", "exchange"])
def test_a_swap_that_fails_leaves_the_folder(host: BotHost, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    good(host.backup())
    host.write("pre-key-1", {"later": 1})
    before = host.contents()

    def fails(_source: Any, target: Any) -> None:
        raise OSError(18, os.strerror(18), str(target))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "rename") if what == "rename" else (restore, "exchange")), fails)
        assert codes(host.backup("restored")) == ["disk"]
    assert host.contents() == before


def test_the_folder_is_there_at_each_instant_of_a_swap(host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed there and booted, an app that finds no folder makes a new login."""
    good(host.backup())
    host.write("pre-key-1", {"later": 1})
    real, seen = os.rename, []

    def rename(source: Any, target: Any) -> None:
        seen.append((host.folder / "creds.json").exists())
        real(source, target)
        seen.append((host.folder / "creds.json").exists())

    monkeypatch.setattr(os, "rename", rename)
    good(host.backup("restored"))
    assert seen
    assert all(seen)


def test_many_companies_one_bad(host: BotHost) -> None:
    host.make(60, "1001", number="79990000002")
    (host.company("1001") / "creds.json").unlink()
    host.company_ids = ["1001", COMPANY]
    answer = host.backup()
    assert codes(answer) == ["creds_missing"]
    assert set(answer["companies"]) == {COMPANY}
    assert answer["changed"] is True


# Together with the copy to the database: the files are read once for both


def backup_of(answer: dict[str, Any]) -> dict[str, Any]:
    return good(answer)["companies"][COMPANY]["backup"]


def test_a_copy_makes_the_same_backup(bot_host: BotHost, database: TestDatabase) -> None:
    with bot_host.unchanged(database):
        assert good(bot_host.state(backup=True, check=True))["changed"] is True
    answer = bot_host.state(backup=True)
    assert backup_of(answer)["files"] == len(bot_host.contents())
    (archive,) = archives(bot_host)
    assert backup_of(answer)["archive"] == str(archive)
    with tarfile.open(archive) as tar:
        held = {Path(member.name).name: tar.extractfile(member).read() for member in tar}
    held.pop("manifest.json")
    assert held == bot_host.contents()
    good(bot_host.backup("verified"))
    assert good(bot_host.backup())["changed"] is False
    time.sleep(0.12)
    for _ in range(2):
        with bot_host.unchanged(database):
            again = good(bot_host.state(backup=True))
        assert again["changed"] is False
        assert backup_of(again) == backup_of(answer)
    assert good(bot_host.state(backup=True, check=True))["changed"] is False


def test_a_copy_backs_up_every_file_also_those_that_did_not_change(bot_host: BotHost, database: TestDatabase) -> None:
    time.sleep(0.12)
    good(bot_host.state())
    bot_host.write("pre-key-1", {"changed": 1})
    (bot_host.folder / "pre-key-2.json").unlink()
    (bot_host.folder / "pre-key-1.json.tmp").write_text("a leftover")
    answer = bot_host.state(backup=True)
    assert backup_of(answer)["files"] == len(bot_host.contents()) - 1
    bot_host.write("pre-key-3", {"changed": 1})
    good(bot_host.state(backup=True, backup_keep=1))
    assert len(archives(bot_host)) == 1
    good(bot_host.backup("restored"))
    assert bot_host.values()["pre-key-3.json"] == {"changed": 1}
    assert "pre-key-1.json.tmp" not in bot_host.contents()


def test_check_mode_tells_of_the_backup_what_the_run_does(bot_host: BotHost, database: TestDatabase) -> None:
    """Files that were only touched: nothing known says so, but what they hold does."""
    good(bot_host.state(backup=True))
    for path in bot_host.folder.iterdir():
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    check = good(bot_host.state(backup=True, check=True))
    assert check["changed"] is False
    assert good(bot_host.state(backup=True))["changed"] is False
    assert len(archives(bot_host)) == 1


def test_a_copy_replaces_a_damaged_backup(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state(backup=True))
    time.sleep(0.12)
    good(bot_host.state(backup=True))
    (archive,) = archives(bot_host)
    archive.write_bytes(archive.read_bytes()[:-5000])
    assert good(bot_host.state(backup=True, check=True))["changed"] is True
    assert good(bot_host.state(backup=True))["changed"] is True
    good(bot_host.backup("verified"))


def test_no_backup_no_copy(bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.module_utils.baileys_auth import archive

    original = archive._sha256
    before = database.tables()
    monkeypatch.setattr(archive, "_sha256", lambda path, **options: original(path, **options)[::-1])
    assert codes(bot_host.state(backup=True)) == ["backup_damaged"]
    monkeypatch.undo()
    bot_host.write("lid-mapping-79110000001", 5)
    assert codes(bot_host.state(backup=True)) == ["value_refused"]
    assert database.tables() == before
    assert list((bot_host.backups / f"company_{COMPANY}").iterdir()) == []


def test_a_conflict_after_the_backup_keeps_the_backup(bot_host: BotHost, database: TestDatabase) -> None:
    database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES (%s, '{}')", COMPANY)
    before = database.tables()
    assert codes(bot_host.state(backup=True)) == ["conflict"]
    assert database.tables() == before
    good(bot_host.backup("verified"))
