"""pm2_process against a real pm2 daemon with real Node.js applications."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.run import CutOver
from ansible.module_utils.node_host import procs
from ansible.module_utils.node_host.pm2 import Pm2, Pm2Error
from ansible.module_utils.node_host.pm2_states import Owners, Wanted

SECRET = "s3cret-of-the-caller"
FLAG = "USE_DATABASE_AUTH_STATE"

APPS = {
    # Comes up, says what it sees, and has a child of its own that stopping must not leave behind.
    "good.js": """
        const {spawn} = require('child_process'), fs = require('fs');
        const child = spawn('sleep', ['300'], {detached: true, stdio: 'ignore'});
        fs.writeFileSync(__dirname + '/' + process.env.name + '.seen',
          JSON.stringify({flag: process.env.USE_DATABASE_AUTH_STATE ?? null, own: process.env.OWN ?? null,
                          args: process.argv.slice(2), child: child.pid, cwd: process.cwd(), env: process.env}));
        console.log('up'); setInterval(() => {}, 1000);
    """,
    "crash.js": "setTimeout(() => { console.error('Error: no login of 79686484488'); process.exit(1); }, 150);",
    # Crashes at its first start only.
    "once.js": """
        const fs = require('fs'), mark = __dirname + '/once.mark';
        if (!fs.existsSync(mark)) { fs.writeFileSync(mark, ''); setTimeout(() => process.exit(1), 200); }
        setInterval(() => {}, 1000);
    """,
}


class Host:
    """A pm2 of the test's own: its PM2_HOME in a short path (sockets), its applications in a folder."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self.bin, self.home, self.apps = tools, folder / "pm2", folder / "apps"
        self.home.mkdir()
        self.apps.mkdir()
        for name, text in APPS.items():
            (self.apps / name).write_text(text)

    def pm2(self, *arguments: str, **env: str) -> str:
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home.parent), "PM2_HOME": str(self.home), **env}
        done = subprocess.run([self.bin / "pm2", *arguments], env=own, capture_output=True, text=True, cwd=self.apps)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, script: str, name: str, *arguments: str, **env: str) -> None:
        self.pm2("start", str(self.apps / script), "--name", name, *arguments, **env)

    def entry(self, name: str) -> dict[str, Any]:
        [entry] = [each for each in json.loads(self.pm2("jlist")) if each["name"] == name]
        return entry

    def seen(self, name: str) -> dict[str, Any]:
        path, deadline = self.apps / f"{name}.seen", time.monotonic() + 5
        while time.monotonic() < deadline and not (path.exists() and path.read_text()):
            time.sleep(0.02)
        return json.loads(path.read_text())


@pytest.fixture(scope="module")
def host(pm2_tools: Path) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="pm2-", dir="/tmp") as folder:
        made = Host(pm2_tools, Path(folder))
        made.pm2("ping")
        try:
            yield made
        finally:
            made.pm2("kill")


@pytest.fixture
def pm2_process(
    host: Host, run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the module as a caller who has a secret in the environment; afterwards pm2's list is empty."""
    monkeypatch.setenv("CALLERS_SECRET", SECRET)

    def run(*names: str, **arguments: Any) -> dict[str, Any]:
        defaults = {"pm2_home": str(host.home), "search_path": [str(host.bin)], "window_seconds": 0.3, "timeout": 10}
        result = run_module("pm2_process", names=list(names), **{**defaults, **arguments})
        assert SECRET not in json.dumps(result)
        return result

    yield run
    left = host.pm2("jlist")
    assert SECRET not in left
    if json.loads(left):
        host.pm2("delete", "all")
    for path in host.apps.glob("*.seen"):
        path.unlink()


def codes(result: dict[str, Any], key: str = "problems") -> list[str]:
    return [problem["code"] for problem in result[key]]


def test_info_shows_what_is_needed_and_no_environment(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot", APP_SECRET="hidden-value", **{FLAG: "true"})
    result = pm2_process("bot", "other", optional=["other"], flag=FLAG)
    [process] = result["processes"]
    assert not result["changed"]
    assert result["missing"] == ["other"]
    assert result["problems"] == []
    assert process["pid"] == host.entry("bot")["pid"]
    assert process["status"] == "online"
    assert (process["exec_mode"], process["watch"], process["cron_restart"]) == ("fork", False, None)
    assert process["script"] == str(host.apps / "good.js")
    assert Path(process["out_log_path"]).exists()
    assert process["stored_flag"]
    assert (process["stored_flag_value"], process["process_flag_value"]) == ("true", "true")
    assert "pm2_flag_stored" in codes(result, "observations")
    assert "hidden-value" not in json.dumps(result)


def test_a_value_that_is_no_switch_is_not_shown(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot", DATABASE_URL="postgresql://bot:pw@db/bot")
    [process] = pm2_process("bot", flag="DATABASE_URL")["processes"]
    assert (process["stored_flag"], process["stored_flag_value"], process["process_flag_value"]) == (
        True, "<hidden>", "<hidden>",
    )  # fmt: skip


def test_info_says_everything_that_is_wrong_at_once(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot", "--watch", "--cron-restart", "0 3 * * *", "-i", "2")
    result = pm2_process("bot", "unheard-of")
    assert codes(result) == ["pm2_watch", "pm2_cron_restart", "pm2_cluster_mode", "pm2_process_unknown"]
    assert len(result["processes"]) == 2


@pytest.mark.parametrize("state", ["info", "stopped", "started", "restarted"])
def test_the_wrong_user_is_told_and_no_daemon_is_started(
    pm2_process: Callable[..., dict[str, Any]], tmp_path: Path, state: str
) -> None:
    home = Path(tempfile.mkdtemp(prefix="pm2-none-", dir="/tmp"))
    try:
        result = pm2_process("bot", pm2_home=str(home), state=state)
        assert codes(result) == ["pm2_no_daemon"]
        assert str(home) in result["problems"][0]["where"]
        assert list(home.iterdir()) == []
        assert bool(result.get("failed")) == (state != "info")
    finally:
        shutil.rmtree(home)


def test_a_dead_daemons_socket_is_no_daemon(pm2_process: Callable[..., dict[str, Any]]) -> None:
    home = Path(tempfile.mkdtemp(prefix="pm2-dead-", dir="/tmp"))
    try:
        with socket.socket(socket.AF_UNIX) as daemon:  # closed without being removed, as by a kill
            daemon.bind(str(home / "rpc.sock"))
        (home / "pm2.pid").write_text("1")
        assert codes(pm2_process("bot", pm2_home=str(home))) == ["pm2_no_daemon"]
        assert sorted(path.name for path in home.iterdir()) == ["pm2.pid", "rpc.sock"], "and none was started"
    finally:
        shutil.rmtree(home)


def test_a_pm2_outside_of_path_is_named(
    pm2_process: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = pm2_process("bot", search_path=[], executable="pm2-that-is-not-there")
    assert codes(result) == ["pm2_not_found"]
    assert "app_path" in result["problems"][0]["remedy"]


def test_stop_and_start(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot")
    host.start("good.js", "worker")
    child, pid = host.seen("bot")["child"], host.entry("bot")["pid"]
    host.seen("worker")

    checked = pm2_process("bot", state="stopped", _check=True)
    assert checked["changed"]
    assert checked["actions"] == [{"name": "bot", "action": "stop"}]
    assert checked["diff"] == {"before": "bot: online\n", "after": "bot: online (stop)\n"}
    assert host.entry("bot")["pid"] == pid

    stopped = pm2_process("bot", state="stopped")
    assert stopped["changed"]
    assert stopped["processes"][0]["status"] == "stopped"
    assert procs.find(pid) is None
    assert procs.find(child) is None, "a child outlived its parent"
    assert host.entry("worker")["pm2_env"]["status"] == "online"
    assert not pm2_process("bot", state="stopped")["changed"]

    started = pm2_process("bot", "worker", state="started")
    assert started["changed"]
    assert [step["action"] for step in started["actions"]] == ["start", "none"]
    assert all(each["up"] for each in started["up"])
    again = pm2_process("bot", "worker", state="started")
    assert not again["changed"]
    assert again["seconds"] < 2


def test_a_child_that_survives_the_stop_is_an_error(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot", "--no-treekill")
    child = host.seen("bot")["child"]
    try:
        result = pm2_process("bot", state="stopped", stop_timeout=0.5)
        assert codes(result) == ["pm2_still_running"]
        assert f"{child} (sleep)" in result["msg"]
    finally:
        os.kill(child, 9)


def test_restart_is_watched_over_the_window(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot")
    before = host.entry("bot")
    checked = pm2_process("bot", state="restarted", _check=True)
    assert checked["changed"]
    assert "up" not in checked
    assert host.entry("bot")["pid"] == before["pid"]
    result = pm2_process("bot", state="restarted", window_seconds=1)
    [up] = result["up"]
    after = host.entry("bot")
    assert result["changed"]
    assert result["seconds"] >= 1
    assert up["pid"] == after["pid"] != before["pid"]
    assert (up["restarts_before"], up["restarts_after"], up["crashes"]) == (0, 1, 0)
    assert up["uptime_ms"] >= 900


def test_a_bystander_is_not_stopped_instead(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    """pm2 stop 7 stops what is called 7, not number 7; pm2 stop all and /…/ stop more than what is called so."""
    host.start("good.js", "all")
    assert pm2_process("all", state="stopped")["changed"]
    number = str(host.entry("all")["pm_id"])
    host.start("good.js", number)
    assert codes(pm2_process("all", state="restarted")) == ["pm2_number_name"]
    assert host.entry(number)["pm2_env"]["restart_time"] == 0
    assert pm2_process(number, state="stopped")["changed"]
    assert host.entry(number)["pm2_env"]["status"] == "stopped"


def test_a_crash_loop_is_found_though_pm2_is_content(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("crash.js", "bot")
    result = pm2_process("bot", state="restarted", window_seconds=2, timeout=20)
    assert result["failed"]
    assert codes(result) == ["pm2_not_up"]
    assert "crash-loops" in result["msg"]
    assert "status errored" not in result["msg"], "it waited until pm2 gave up"
    assert "Error: no login of 7968***4488" in result["msg"]
    assert "79686484488" not in json.dumps(result)


def test_one_crash_before_it_stays_up_is_no_failure(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("once.js", "bot")
    deadline = time.monotonic() + 5
    while host.entry("bot")["pm2_env"]["restart_time"] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    pm2_process("bot", state="stopped")
    (host.apps / "once.mark").unlink()
    [up] = pm2_process("bot", state="started")["up"]
    assert up["up"]
    assert up["restarts_after"] - up["restarts_before"] == 1


def test_plain_restart_keeps_a_stored_flag_and_drop_stored_removes_it(
    host: Host, pm2_process: Callable[..., dict[str, Any]]
) -> None:
    host.start(
        "good.js", "bot", "--kill-timeout", "3000", "--max-memory-restart", "300M", "--node-args=--stack-size=900",
        "--", "--verbose", "two words", OWN="kept", **{FLAG: "false"},
    )  # fmt: skip
    pm2_process("bot", state="restarted", flag=FLAG)
    before, seen = host.entry("bot"), host.seen("bot")
    assert seen["flag"] == "false"
    (host.apps / "bot.seen").unlink()

    result = pm2_process("bot", state="started", drop_stored=[FLAG], flag=FLAG)
    after = host.entry("bot")
    assert result["actions"] == [{"name": "bot", "action": "recreate"}]
    assert not result["processes"][0]["stored_flag"]
    again = host.seen("bot")
    assert (again["flag"], again["own"], again["args"], again["cwd"]) == (None, "kept", seen["args"], seen["cwd"])
    volatile = {
        "unique_id", "status", "pm_uptime", "created_at", "pm_id", "restart_time", "unstable_restarts", "pm_pid_path",
        "axm_actions", "axm_monitor", "axm_options", "axm_dynamic", "node_version", "version", "vizion_running",
        "exit_code", "_tree_pids", "prev_restart_delay", "PM2_USAGE", "env", FLAG,
    }  # fmt: skip
    kept = {key: value for key, value in before["pm2_env"].items() if key not in volatile}
    assert {key: after["pm2_env"].get(key) for key in kept} == kept
    added = set(again["env"]) - set(seen["env"])
    assert added <= {"LANG", "PM2_JSON_PROCESSING", "PWD", "cwd", "bot"}, "pm2 adds these itself"
    assert list(host.home.glob("recreate-*")) == []
    assert not pm2_process("bot", state="started", drop_stored=[FLAG])["changed"]


def test_an_interrupted_recreation_is_finished(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    host.start("good.js", "bot", OWN="kept", **{FLAG: "true"})
    pm2 = Pm2(str(host.home), search_path=[str(host.bin)])

    class KilledError(Exception):
        pass

    def die(name: str) -> None:
        raise KilledError

    pm2.start_pending = die
    processes = [process for process in pm2.processes(drop=[FLAG]) if process.name == "bot"]
    with pytest.raises(KilledError):
        pm2.recreate(processes, [FLAG])
    [path] = host.home.glob("recreate-*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(host.pm2("jlist")) == []
    (host.apps / "bot.seen").unlink(missing_ok=True)

    # Until then it is there to be started, and nothing is refused for it.
    assert pm2_process("bot", state="info")["problems"] == []
    wanted = Wanted(["bot"], pm2_home=str(host.home), search_path=[str(host.bin)])
    assert Owners(wanted).scripts == []
    assert {Path(each["path"]).name for each in pm2.pending_logs()} == {"bot-out.log", "bot-error.log"}
    result = pm2_process("bot", state="started")
    assert result["actions"] == [{"name": "bot", "action": "define"}]
    assert (host.seen("bot")["flag"], host.seen("bot")["own"]) == (None, "kept")
    assert not path.exists()


def test_an_ecosystem_file_defines_what_pm2_does_not_know(
    host: Host, pm2_process: Callable[..., dict[str, Any]]
) -> None:
    ecosystem = host.apps / "ecosystem.config.cjs"
    ecosystem.write_text("module.exports = {apps: ['bot', 'other'].map(name => ({name, script: './good.js'}))}")
    assert codes(pm2_process("bot", state="started")) == ["pm2_process_unknown"]
    result = pm2_process("bot", state="started", ecosystem=str(ecosystem))
    assert result["actions"] == [{"name": "bot", "action": "define"}]
    assert [process["name"] for process in json.loads(host.pm2("jlist"))] == ["bot"]
    assert not pm2_process("bot", state="started", ecosystem=str(ecosystem))["changed"]
    result = pm2_process("bot", state="absent")
    assert result["changed"]
    assert not pm2_process("bot", state="absent")["changed"]
    assert codes(pm2_process("bot", state="started", ecosystem="/no/such/file")) == ["pm2_ecosystem"]


def test_save_is_private_says_what_else_it_stores_and_forgets_the_flag(
    host: Host, pm2_process: Callable[..., dict[str, Any]]
) -> None:
    dump = host.home / "dump.pm2"
    host.start("good.js", "bot", **{FLAG: "true"})
    host.start("good.js", "bystander")
    host.pm2("save")
    assert stat.S_IMODE(dump.stat().st_mode) == 0o644
    host.pm2("stop", "bystander")
    looked = pm2_process("bot", flag=FLAG)
    assert {"pm2_flag_saved", "pm2_dump_readable"} <= set(codes(looked, "observations"))
    result = pm2_process("bot", state="started", drop_stored=[FLAG], flag=FLAG, save=True)
    assert result["saved"]
    assert result["unsaved"] == [{"name": "bystander", "saved": "online", "now": "stopped"}]
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    assert FLAG not in dump.read_text()
    again = pm2_process("bot", state="started", drop_stored=[FLAG], flag=FLAG, save=True)
    assert (again["changed"], again["saved"]) == (False, False)

    # The running process is right, and the saved list alone still has the flag.
    dump.write_text(dump.read_text().replace('"name":', f'"{FLAG}": "true", "name":', 1))
    assert FLAG in dump.read_text()
    assert pm2_process("bot", state="started", drop_stored=[FLAG], flag=FLAG, save=True)["saved"]
    assert FLAG not in dump.read_text()


def test_a_cut_over_saves_the_list_only_to_take_the_flag_out_of_it(
    host: Host, pm2_process: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """What else a save would store is not ours: an app that rests for maintenance would stay down after a reboot."""
    dump = host.home / "dump.pm2"
    host.start("good.js", "bot")
    host.start("good.js", "bystander")
    host.pm2("save")
    host.pm2("stop", "bystander")
    wanted = Wanted(["bot"], flag=FLAG, pm2_home=str(host.home), search_path=[str(host.bin)])
    settings = SimpleNamespace(flag_store="files")
    plan: Any = SimpleNamespace(
        to="database", companies=["1"], settings=settings, processes=wanted, flag=FLAG, source=""
    )
    cut, before = CutOver(plan, Journal(tmp_path), "a1"), dump.read_text()
    dump.chmod(0o644)
    cut._mend_saved_list()
    assert (dump.read_text(), stat.S_IMODE(dump.stat().st_mode), cut.outcome.saved) == (before, 0o600, None)

    dump.write_text(before.replace('"name":', f'"{FLAG}": "true", "name":', 1))
    cut._mend_saved_list()
    assert FLAG not in dump.read_text()
    assert cut.outcome.saved == [{"name": "bystander", "saved": "online", "now": "stopped"}]


def test_pm2_errors_never_quote_the_list(host: Host, tmp_path: Path) -> None:
    """A pm2 that fails after having printed environments: nothing of its output but error lines gets out."""
    fake = tmp_path / "pm2"
    fake.write_text('#!/bin/sh\necho \'[{"pm2_env": {"DATABASE_URL": "postgresql://a:b@c/d"}\'\nexit 3\n')
    fake.chmod(0o755)
    with pytest.raises(Pm2Error) as caught:
        Pm2(str(host.home), executable=str(fake)).processes()
    assert "postgresql" not in str(caught.value)
    assert caught.value.problems[0].code == "pm2_failed"


# The owners of a login, whose cut-over looks at pm2's list once


@pytest.mark.parametrize("stored", [False, True])
def test_owners_stop_and_start_again(
    host: Host, pm2_process: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    host.start("good.js", "bot", **({FLAG: "false"} if stored else {}))
    host.start("good.js", "other")
    host.seen("bot")
    before = {name: host.entry(name)["pid"] for name in ("bot", "other")}
    looks: list[int] = []
    monkeypatch.setattr(
        Pm2, "processes", lambda self, *options, look=Pm2.processes: looks.append(1) or look(self, *options)
    )
    owners = Owners(
        Wanted(["bot"], drop_stored=[FLAG], flag=FLAG, pm2_home=str(host.home), search_path=[str(host.bin)])
    )
    assert owners.scripts == [str(host.apps / "good.js")]
    owners.stop()
    assert procs.find(before["bot"]) is None
    (host.apps / "bot.seen").unlink()
    owners.start()
    assert len(looks) == 1
    assert host.seen("bot")["flag"] is None
    assert host.entry("bot")["pid"] not in (0, before["bot"])
    assert host.entry("other")["pid"] == before["other"]


def test_owners_that_do_not_run_are_started(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    """As a killed run leaves them."""
    host.start("good.js", "bot")
    host.pm2("stop", "bot")
    owners = Owners(Wanted(["bot"], pm2_home=str(host.home), search_path=[str(host.bin)]))
    owners.stop()
    owners.start()
    assert host.entry("bot")["pm2_env"]["status"] == "online"


def test_an_owner_that_pm2_does_not_know_is_refused(host: Host, pm2_process: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(Pm2Error) as error:
        Owners(Wanted(["nobody"], pm2_home=str(host.home), search_path=[str(host.bin)]))
    assert [problem.code for problem in error.value.problems] == ["pm2_process_unknown"]
