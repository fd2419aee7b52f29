"""The sandbox's host: its journalled run alone, its death, its reboot, and whether its login is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.node_host import procs
from controller import play
from driver import COMPANY, FLAG, PROJECT, Sandbox

MODULE = "auth_state_cutover"
CONTACT = "79001234567"
Answer = dict[str, Any]

# The module itself, which first writes down what the role hands to it.
_ARGUMENTS = """
    from ansible.module_utils.basic import _load_params
    import json, os
    given = {{name: value for name, value in _load_params().items() if not name.startswith("_")}}
    path = {folder!r} + given["destination"]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as kept:
        json.dump(given, kept)
    main()
"""


class Host:
    """The bot on its files at first; a reboot would bring back what runs now."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.identity: str = sandbox.health()["identity"]
        self.strangers = (f"7900556{number:04d}" for number in range(10_000))
        self._known: dict[str, Answer] = {}
        self._project = self._that_tells()
        sandbox.pm2("save")

    # Playbooks, and what they hand to the journalled run

    def _that_tells(self) -> Path:
        """This project, but for the module of the journalled run, which tells what is handed to it."""
        project = self.sandbox.root / "tmp" / "project"
        (project / "library").mkdir(parents=True)
        for place in ("", "library"):
            for path in (PROJECT / place).iterdir():
                if path.name not in ("library", ".git", f"{MODULE}.py"):
                    (project / place / path.name).symlink_to(path)
        source = (PROJECT / "library" / f"{MODULE}.py").read_text()
        start = source.index("    main()\n", source.index("__main__"))
        shim = source[:start] + _ARGUMENTS.format(folder=f"{self.sandbox.root}/tmp/to-")
        (project / "library" / f"{MODULE}.py").write_text(shim)
        return project

    def play(self, playbook: str, **variables: Any) -> None:
        """A playbook that must go through."""
        played = play(self.sandbox, playbook, project=self._project, **variables)
        assert played.rc == 0, self.sandbox.outputs[-1][-6000:]
        for kept in (self.sandbox.root / "tmp").glob("to-*"):
            arguments = json.loads(kept.read_text())
            kept.unlink()
            arguments.pop("release", None)  # each test brings its own
            self._known[arguments["destination"]] = arguments

    @property
    def arguments(self) -> dict[str, Answer]:
        """What the roles hand to the journalled run, by destination. Not known yet: one to and fro shows it."""
        before = self.store()
        while len(self._known) < 2 or self.store() != before:
            self.play("deploy.yml" if self.store() == "files" else "rollback.yml")
        return self._known

    # The journalled run alone

    def module(self, name: str, arguments: Answer, *, point: Answer | None = None) -> Answer | None:
        """A module's answer; None when it was killed at `point`."""
        process = self.start(name, arguments, point=point)
        output, errors = process.communicate(timeout=300)
        self.sandbox.outputs.append(output + errors)
        if point is not None:
            assert process.returncode == -signal.SIGKILL, f"the run was not killed: {output[-3000:]}{errors[-3000:]}"
            return None
        assert output, errors[-3000:]
        return json.loads(output)

    def start(self, name: str, arguments: Answer, *, point: Answer | None = None) -> subprocess.Popen[str]:
        """A module as a process of its own, as Ansible starts it on a target."""
        path = f"{self.sandbox.root / 'bin'}:{os.environ['PATH']}"
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("journalled_run.py")), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PATH": path},
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"arguments": arguments, "point": point, "pm2_home": str(self.pm2_home)}))
        process.stdin.close()
        process.stdin = None
        return process

    def pre_copy(self) -> Answer:
        """What deploy.yml copies while the bot runs."""
        given = self.arguments["database"]
        names = (
            "conninfo",
            "schema",
            "sessions_dir",
            "state_dir",
            "backup_dir",
            "company_ids",
            "env_file",
            "flag",
            "host",
        )
        answer = self.module("baileys_auth_state", {"destination": "database", **{name: given[name] for name in names}})
        assert answer is not None
        assert not answer.get("failed"), answer
        return answer

    def cut_over(self, destination: str, *, point: Answer | None = None, **more: Any) -> Answer | None:
        """The run alone, as the role calls it; before a cut-over to the database also the copy that precedes it."""
        if destination == "database" and self.store() == "files":
            self.pre_copy()
        return self.module(MODULE, {**self.arguments[destination], **more}, point=point)

    def meets(self, fault: Callable[[], None], destination: str, step: str, moment: str, **more: Any) -> Answer:
        """The answer of a run to which `fault` happens when it reaches this step."""
        if destination == "database" and self.store() == "files":
            self.pre_copy()
        with tempfile.TemporaryDirectory() as folder:
            sign = f"{folder}/sign"
            point = {"to": destination, "step": step, "moment": moment, "wait": sign}
            process = self.start(MODULE, {**self.arguments[destination], **more}, point=point)
            while not Path(f"{sign}.reached").exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            fault()
            Path(f"{sign}.go").touch()
            output, errors = process.communicate(timeout=300)
        self.sandbox.outputs.append(output + errors)
        assert output, errors[-3000:]
        return json.loads(output)

    def must_cut_over(self, destination: str) -> None:
        answer = self.cut_over(destination)
        assert answer is not None
        assert not answer.get("failed"), answer["msg"]

    def store(self) -> str:
        """The store that the flag names."""
        return "database" if self.sandbox.flag_lines() == [f"{FLAG}=true"] else "files"

    @contextmanager
    def silent_on(self, store: str) -> Iterator[Answer]:
        """Arguments of a run that finds no answer while the bot is on this store: it fails behind the switch."""
        ask = self.sandbox.ask

        class Health(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):
                    health = ask("/health")
                    silent = any(company["store"] == store for company in health["companies"])
                    self.send_response(503 if silent else 200)
                    self.end_headers()
                    self.wfile.write(b"" if silent else json.dumps(health).encode())

            def log_message(self, *_words: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {"health_url": f"http://127.0.0.1:{server.server_port}/health", "health_timeout": 4}
        finally:
            server.shutdown()
            server.server_close()

    def journal(self) -> list[Answer]:
        return [json.loads(line) for line in (self.sandbox.app / ".auth-state/journal.jsonl").read_text().splitlines()]

    def wait_for_the_run(self) -> None:
        """A cut-over that was begun goes on without its controller."""
        deadline = time.monotonic() + 120
        journal = Journal(self.sandbox.app / ".auth-state")
        while (run := journal.unfinished()) is not None and run.alive():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    # Its death, and its reboot

    @property
    def pm2_home(self) -> Path:
        return self.sandbox.root / "pm2"

    def reboot(self) -> None:
        """What a host's init does after a power cut: pm2 brings back what was saved."""
        kill_everything(self.pm2_home)
        for socket in ("rpc.sock", "pub.sock"):  # /run and the like are empty after a reboot; these would be stale
            (self.pm2_home / socket).unlink(missing_ok=True)
        self.sandbox.pm2("resurrect")

    def wait_well(self, seconds: float = 40) -> Answer:
        """The bot's health, once it is connected."""
        deadline, health = time.monotonic() + seconds, {}
        while time.monotonic() < deadline:
            try:
                health = self.sandbox.health()
                if health["connection"] == "open":
                    return health
            except (OSError, LookupError, ValueError) as error:
                health = {"error": repr(error)}
            time.sleep(0.1)
        raise AssertionError(f"the bot does not come up: {health}\n{self.error_log()}")

    def error_log(self, lines: int = 15) -> str:
        logs = sorted((self.pm2_home / "logs").glob("*-error.log"))
        return "\n".join(line for log in logs for line in log.read_text().splitlines()[-lines:])

    # What must hold of it always

    def is_whole(self, store: str | None = None) -> None:
        """The bot is up on the store that the flag names, with its login: old and new conversations go on both ways."""
        health = self.wait_well()
        assert health["store"] == (store or self.store())
        assert health["store"] == self.store()
        assert health["identity"] == self.identity
        for phone in (CONTACT, next(self.strangers)):
            text = f"on the {health['store']}"
            assert self.sandbox.converse(phone, text) == f"Answer to: {text}"

    @contextmanager
    def same_processes(self) -> Iterator[None]:
        before = self.sandbox.processes()
        yield
        assert self.sandbox.processes() == before


def kill_everything(pm2_home: Path) -> None:
    """SIGKILL to everything that runs under this pm2: its daemon first, which would start the others again."""
    own = f"PM2_HOME={pm2_home}".encode()

    def belongs(pid: int) -> bool:
        try:
            return own in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    daemon = int((pm2_home / "pm2.pid").read_text()) if (pm2_home / "pm2.pid").exists() else 0
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    found = sorted((pid for pid in pids if pid != os.getpid() and belongs(pid)), key=lambda pid: pid != daemon)
    running = [process for process in map(procs.find, found) if process]
    for process in running:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    assert not procs.wait_gone(running, 10)


__all__ = ["COMPANY", "CONTACT", "MODULE", "Host", "kill_everything"]
