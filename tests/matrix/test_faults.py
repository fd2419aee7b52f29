"""Faults while the login moves. Each: its outcome, the bot up on a whole login, and a message that says what to do.

The journalled run meets them at the step named; what the playbooks around it find earlier is in tests/sandbox.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from host import CONTACT, MODULE, Answer, Host
from proxy import Proxy

AS_BEFORE = "the app was started again on the {}, as before; the flag was not switched"
BACK = "what the app wrote meanwhile was copied back, the flag is as before, and it runs on the {}"

ALONE = "what the app may have written meanwhile is in the {} alone, the flag is as before, and it runs on the {}"


@pytest.fixture(scope="module")
def network(host: Host) -> Iterator[Proxy]:
    """Between the host, its bot included, and its database."""
    direct = host.sandbox.database_url
    parts = urlsplit(direct)
    proxy = Proxy(parts.port or 5432)
    through = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")))

    def reach(before: str, after: str) -> None:
        for path in (host.sandbox.app / ".env", host.sandbox.root / "secrets" / "database_url"):
            path.write_text(path.read_text().replace(before, after))
        for arguments in host.arguments.values():
            arguments["conninfo"] = after
        host.sandbox.pm2("restart", "ai-admin-worker-v2", "baileys-service")
        host.is_whole()

    reach(direct, through)
    yield proxy
    proxy.well()
    if host.store() == "database":
        host.must_cut_over("files")
    reach(through, direct)
    proxy.close()


@pytest.fixture(autouse=True)
def whole_afterwards(host: Host, network: Proxy) -> Iterator[None]:
    """Whatever happened: the bot is up, and goes forward and back again."""
    yield
    network.well()
    host.is_whole()
    other = "files" if host.store() == "database" else "database"
    host.must_cut_over(other)
    host.is_whole(other)


def on(host: Host, store: str) -> None:
    """The bot is on this store."""
    if host.store() != store:
        host.must_cut_over(store)
    assert host.wait_well()["store"] == store


def failed(answer: Answer, *, then: str, code: str) -> str:
    """The run failed for this reason and did that about it; its message."""
    assert answer.get("failed"), answer
    assert code in [problem["code"] for problem in answer["problems"]], answer["problems"]
    assert answer["reverted"] == then, answer["msg"]
    assert all(problem["remedy"] for problem in answer["problems"])
    return answer["msg"]


# --- The database ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["stop", "rest", "copy"])
def test_database_down_before_the_switch(host: Host, network: Proxy, step: str) -> None:
    on(host, "files")
    answer = host.meets(network.down, "database", step, "begins")
    assert "Then the app was started again" in failed(
        answer, then=AS_BEFORE.format("files"), code="database_unreachable"
    )
    assert host.store() == "files"


@pytest.mark.parametrize("step", ["release", "flag", "start"])
def test_database_down_before_the_start(host: Host, network: Proxy, step: str) -> None:
    """The bot cannot open the login and goes back to its files, to which nothing was added meanwhile."""
    on(host, "files")
    answer = host.meets(network.down, "database", step, "begins", health_timeout=5)
    assert "pm2 logs" in failed(answer, then=ALONE.format("database", "files"), code="health")
    assert host.store() == "files"
    host.is_whole("files")


def test_database_down_once_the_bot_has_written_to_it(host: Host, network: Proxy) -> None:
    """The files are older by then: the bot stays where its keys are, and goes on when the database is back."""
    on(host, "files")
    answer = host.meets(network.down, "database", "settle", "begins")
    assert not answer.get("failed"), answer["msg"]
    assert "The record is on this host alone" in json.dumps(answer["warnings"])
    assert host.store() == "database"


@pytest.mark.parametrize("step", ["stop", "rest", "copy"])
def test_database_down_on_the_way_back(host: Host, network: Proxy, step: str) -> None:
    """Its keys are in the database alone, so the bot waits for it there: nothing is lost."""
    on(host, "database")
    answer = host.meets(network.down, "files", step, "begins", health_timeout=5)
    assert answer["failed"]
    assert "the way back failed as well" in answer["msg"]
    assert host.store() == "database"
    network.well()
    host.sandbox.pm2("restart", "baileys-service", "ai-admin-worker-v2")  # pm2 gives up on what crash-loops


def test_database_down_before_the_way_back(host: Host, network: Proxy) -> None:
    on(host, "database")
    network.down()
    with host.same_processes():
        answer = host.cut_over("files")
    assert answer is not None
    assert [problem["code"] for problem in answer["problems"]] == ["database_unreachable"]


@pytest.mark.parametrize("then", ["the database is down", "it is held"])
def test_run_that_goes_no_further_after_one_was_killed(host: Host, network: Proxy, then: str) -> None:
    """The one before had stopped the bot, which is up again although nothing is cut over."""
    on(host, "files")
    host.cut_over("database", point={"to": "database", "step": "copy", "moment": "begins", "alone": True})
    with pytest.raises(AssertionError, match="the bot does not come up"):
        host.wait_well(1)
    if then == "it is held":
        answer = host.module(MODULE, {**host.arguments["database"], "hold": True})
        assert answer is not None
        assert answer.get("held"), answer
    else:
        network.down()
        answer = host.module(MODULE, host.arguments["database"])
        assert answer is not None
        assert [problem["code"] for problem in answer["problems"]] == ["database_unreachable"]
    host.is_whole("files")


@pytest.mark.parametrize(("to", "before"), [("database", "files"), ("files", "database")])
def test_database_silent_during_the_copy(host: Host, network: Proxy, to: str, before: str) -> None:
    """A broken network says nothing: the copy is given up, and does not wait for ever with the bot down."""
    on(host, before)
    begun = time.monotonic()
    answer = host.meets(network.silent, to, "copy", "begins", copy_timeout=4, health_timeout=5)
    assert time.monotonic() - begun < 60
    assert {"database_slow", "database_unreachable"} & {problem["code"] for problem in answer["problems"]}
    assert host.store() == before
    network.well()
    if before == "database":
        host.sandbox.pm2("restart", "baileys-service", "ai-admin-worker-v2")


def test_slow_database_is_found_before_the_stop(host: Host, network: Proxy) -> None:
    on(host, "files")
    host.pre_copy()
    network.delay = 2
    with host.same_processes():
        answer = host.module("auth_state_cutover", host.arguments["database"])
    assert answer is not None
    assert [problem["code"] for problem in answer["problems"]] == ["database_slow"]
    assert "The app was not stopped" in answer["msg"]


# --- The host -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(host: Host, tmp_path: Path) -> Iterator[Path]:
    """Our own folder on a disk of 4 MiB, with the bot on its files: over there they could not be laid out."""
    on(host, "files")
    place = host.sandbox.app / ".auth-state"
    kept = tmp_path / "kept"
    subprocess.run(["cp", "-a", place, kept], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", place], check=True)
    names = ["journal.jsonl", "manifests", "state.json", "cutover.lock"]
    try:
        subprocess.run(["cp", "-a", *(kept / name for name in names if (kept / name).exists()), place], check=True)
        yield place
        (place / "ballast").unlink(missing_ok=True)
        host.is_whole()
        subprocess.run(["cp", "-a", *(place / name for name in names), kept], check=True)
    finally:
        subprocess.run(["umount", place], check=True)
        subprocess.run(["cp", "-a", *(kept / name for name in names), place], check=True)


def fill(disk: Path) -> None:
    """To the last byte."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


@pytest.mark.parametrize("step", ["stop", "copy", "flag", "start", "settle"])
def test_disk_full_under_the_journal(host: Host, small_disk: Path, step: str) -> None:
    """The bot does not stay down for a line that cannot be written."""

    answer = host.meets(lambda: fill(small_disk), "database", step, "begins")
    assert "disk_full" in [problem["code"] for problem in answer["problems"]], answer
    assert "Make room there" in answer["msg"]
    host.is_whole()


def test_disk_full_under_the_staging(host: Host, small_disk: Path) -> None:
    """The way back cannot lay out the files: the bot goes on where its keys are."""
    on(host, "database")
    answer = host.meets(lambda: fill(small_disk), "files", "copy", "begins")
    assert "Make room there" in failed(answer, then=AS_BEFORE.format("database"), code="disk_full")
    host.is_whole("database")


def test_disk_full_under_the_backup(host: Host) -> None:
    """It is found before anything is changed, with the bot running."""
    on(host, "files")
    place = host.sandbox.backups
    given = {
        name: host.arguments["database"][name] for name in ("sessions_dir", "state_dir", "backup_dir", "company_ids")
    }
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", place], check=True)
    try:
        with host.same_processes():
            answer = host.module("baileys_auth_backup", given)
        assert not list(place.rglob("backup_*"))
    finally:
        subprocess.run(["umount", place], check=True)
    assert answer is not None
    assert [problem["code"] for problem in answer["problems"]] == ["no_space"]
    assert "Free some space" in answer["msg"]


def test_env_that_cannot_be_written(host: Host) -> None:
    on(host, "files")
    env = host.sandbox.app / ".env"
    try:
        answer = host.meets(lambda: subprocess.run(["chattr", "+i", env], check=True), "database", "flag", "begins")
    finally:
        subprocess.run(["chattr", "-i", env], check=True)
    assert str(env) in failed(answer, then=AS_BEFORE.format("files"), code="env_not_written")


def test_another_process_writes_during_the_copy(host: Host) -> None:
    on(host, "files")
    stray = host.sandbox.company / "pre-key-9999999.json"
    answer = host.meets(lambda: stray.write_text('{"a": 1}'), "database", "copy", "begins")
    stray.unlink()
    message = failed(answer, then=AS_BEFORE.format("files"), code="login_not_at_rest")
    assert "crontab -l" in message


@pytest.mark.parametrize("fails", [False, True])
def test_files_torn_by_the_stop(host: Host, fails: bool) -> None:
    """Half a creds.json, and half a session: the pre-copy's values take their place, and that is said."""
    on(host, "files")
    host.sandbox.converse(CONTACT, "before the copy")
    creds = host.sandbox.company / "creds.json"
    lid = json.loads((host.sandbox.company / f"lid-mapping-{CONTACT}.json").read_text())
    session = next(host.sandbox.company.glob(f"session-{lid}*.json"))

    def tear() -> None:
        for path in (creds, session):
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])

    more: Answer = {}
    if fails:  # later, before the switch: the bot starts on these files again
        more = {"release": {**broken_release(host)}}
    answer = host.meets(tear, "database", "rest", "begins", **more)
    said = json.dumps(answer["warnings"])
    assert said.count("was torn by the stop; the value of the verified pre-copy is used") == 2, answer
    assert CONTACT not in said
    assert bool(answer.get("failed")) == fails
    assert host.store() == ("files" if fails else "database")
    assert json.loads(creds.read_bytes())
    assert json.loads(session.read_bytes())
    host.is_whole()


def broken_release(host: Host) -> Answer:
    """A commit that git does not have."""
    place = host.sandbox.app / ".auth-state"
    return {
        "app_dir": str(host.sandbox.app),
        "commit_before": host.sandbox.git("rev-parse", "HEAD"),
        "commit_after": "f" * 40,
        "dependencies": False,
        "staging": str(place / "staging" / "none"),
        "aside": str(place / "aside" / "release"),
        "patch": str(place / "patches" / "none.patch"),
    }


def test_git_fails_with_the_bot_at_rest(host: Host) -> None:
    on(host, "files")
    answer = host.cut_over("database", release=broken_release(host))
    assert answer is not None
    assert f"git -C {host.sandbox.app} status" in failed(answer, then=AS_BEFORE.format("files"), code="release")


# --- The new code --------------------------------------------------------------------------------------------------


@pytest.fixture
def release(host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Answer]:
    """A commit of the developers', fetched: (file, text, what takes its place) by `request.param`."""
    app, clone = host.sandbox.app, tmp_path / "clone"
    host.sandbox.git("clone", "--quiet", str(app), str(clone), folder=host.sandbox.root)
    name, before, after = request.param
    file = clone / name
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    host.sandbox.git("commit", "--quiet", "--all", "--message", "A change", folder=clone)
    host.sandbox.git("fetch", "--quiet", str(clone), "HEAD")
    yield {**broken_release(host), "commit_after": host.sandbox.git("rev-parse", "FETCH_HEAD")}
    assert host.sandbox.git("status", "--porcelain", "--untracked-files=no") == ""


SERVICE, DATABASE = "src/baileys-service.js", "src/auth/database.js"
CRASHES = (SERVICE, "guardConsole();", "throw new Error('the new code is broken');")
CRASHES_LATER = (SERVICE, "let ready = false;", "let ready = false;\nsetTimeout(() => process.exit(1), 1500);")
# It takes the stored login for none, and writes a new one over it.
NEW_LOGIN = (
    DATABASE,
    """const creds = rows.length ? decode(rows[0].creds) : initAuthCreds();

  return {
    created: rows.length === 0,""",
    """const creds = initAuthCreds();

  return {
    created: true,""",
)


@pytest.mark.parametrize(
    ("release", "code", "says", "then"),
    [
        (CRASHES, "health", "pm2 logs", BACK.format("files")),
        (CRASHES_LATER, "pm2_not_up", "pm2 logs baileys-service", BACK.format("files")),
        # What it wrote belongs to the other login.
        (NEW_LOGIN, "identity_changed", "Do not pair the phone again", ALONE.format("database", "files")),
    ],
    indirect=["release"],
)
def test_new_code_that_is_broken(host: Host, release: Answer, code: str, says: str, then: str) -> None:
    on(host, "files")
    before = host.sandbox.git("rev-parse", "HEAD")
    answer = host.cut_over("database", release=release, rehearsal_command=[], health_timeout=5)
    assert answer is not None
    assert says in failed(answer, then=then, code=code)
    assert host.sandbox.git("rev-parse", "HEAD") == before
    host.is_whole("files")
