"""`python -m bench.over_ssh` measures deploy.yml over SSH, task by task, beside a plain script and beside mitogen.

The servers are those of Molecule's scenario `default`. It writes over_ssh.md, which BENCHMARKS.md has as a section.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
SECTION = HERE / "over_ssh.md"
DOCUMENT = PROJECT / "BENCHMARKS.md"
MITOGEN = "mitogen==0.3.54"
COMPANY, PHONE = "962302", "79001234567"
SHOWN = 12  # tasks, the most expensive

Tasks = list[tuple[str, float]]


class Server:
    """A server as Molecule makes it, with its database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "ANSIBLE_HOME": str(PROJECT / ".ansible"),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
            "MOLECULE_PROJECT_DIRECTORY": str(PROJECT),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(PROJECT / "molecule/shared/vault_password"),
        }

    def make(self) -> None:
        for command in ("destroy", "create", "prepare"):
            self._run("molecule", command, "--scenario-name=default")

    def destroy(self) -> None:
        self._run("molecule", "destroy", "--scenario-name=default")

    def deploy(self, **environment: str) -> tuple[float, Tasks]:
        """(seconds, those of each task)."""
        start = time.monotonic()
        printed = self._run(
            *("ansible-playbook", "deploy.yml", f"--inventory={self.folder / 'inventory'}"),
            ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
            **environment,
        )
        seconds = time.monotonic() - start
        tasks = []
        # The runbook's own lines stand before it and after it.
        told, _end = json.JSONDecoder().raw_decode(printed, printed.index('{\n    "custom_stats"'))
        for play in told["plays"]:
            for task in play["tasks"]:
                span = task["task"]["duration"]
                if "end" in span:  # not where the play ends with it
                    took = datetime.fromisoformat(span["end"]) - datetime.fromisoformat(span["start"])
                    tasks.append((task["task"]["name"], took.total_seconds()))
        return seconds, tasks

    def by_hand(self) -> tuple[float, Tasks]:
        """The same steps as a script."""
        address, port = (self.folder / "known_hosts").read_text().split()[0].strip("[").split("]:")
        vault = self._run("ansible-vault", "view", str(self.folder / "inventory/vault.yml"))
        url = vault.partition("vault_database_url: ")[2].strip()
        original = base64.b64encode((HERE / "original_way.mjs").read_bytes()).decode()
        command = f"DATABASE_URL={shlex.quote(url)} bash -s {COMPANY} {PHONE} {original}"
        options = [
            f"-oUserKnownHostsFile={self.folder / 'known_hosts'}",
            f"-i{self.folder / 'id_ed25519'}",
            f"-p{port}",
        ]
        start = time.monotonic()
        with (HERE / "by_hand.sh").open() as script:
            done = subprocess.run(
                ["ssh", *options, f"bot@{address}", command],
                stdin=script,
                capture_output=True,
                text=True,
                check=True,
            )
        seconds = time.monotonic() - start
        steps = [line.split(" ", 1) for line in done.stdout.splitlines()]
        return seconds, [(name, float(end) - float(begin)) for (begin, name), (end, _) in pairwise(steps)]

    def _run(self, *argv: str, **environment: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(argv[0])), *argv[1:]],
            cwd=PROJECT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{argv[:2]} failed:\n{done.stdout[-20000:]}{done.stderr[-2000:]}")
        return done.stdout


def mitogen(folder: Path) -> dict[str, str]:
    """The variables that have a playbook run by mitogen, which is no dependency of this project."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={folder}", MITOGEN]
    subprocess.run(pip, check=True)
    plugins = str(folder / "ansible_mitogen/plugins/strategy")
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": plugins, "PYTHONPATH": str(folder)}


def section(found: dict[str, Any]) -> str:
    """The section of BENCHMARKS.md."""
    runs, first, second = found["runs"], found["first"], found["second"]
    unchanged = {}
    for name, seconds in second:
        unchanged[name] = unchanged.get(name, 0) + seconds
    script_seconds, script_steps = found["script"]
    ratio, again = runs["first run"] / script_seconds, runs["unchanged second run"]
    lines = [
        "## Over SSH",
        "",
        (
            f"`deploy.yml` on a server in a container, over SSH with pipelining, {found['date']}, one run each (load"
            f" {found['load']}), beside the runbook as a plain script over the same SSH"
            " ([by_hand.sh](bench/by_hand.sh)), which checks no more than the runbook does and has no way back."
            f" `{MITOGEN}` is no dependency; it was tried{found['mitogen']}."
        ),
        "",
        "| | s |",
        "| --- | --- |",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in runs.items()),
        f"| first run against the script | {ratio:.1f} (aim ≤ 1.5: {'met' if ratio <= 1.5 else '**missed**'}) |",
        f"| unchanged second run | {again:.1f} (aim ≤ 12: {'met' if again <= 12 else '**missed**'}) |",
        "",
        "The script: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in script_steps) + ".",
        "",
        f"The tasks that cost most, of {len(first)} in the first run and {len(second)} in the second:",
        "",
        "| task | first run, s | second run, s |",
        "| --- | --- | --- |",
    ]
    for name, seconds in sorted(first, key=lambda task: -task[1])[:SHOWN]:
        lines.append(f"| {name} | {seconds:.2f} | {unchanged.get(name, 0):.2f} |")
    return "\n".join(lines) + "\n"


def put_into(document: str, text: str) -> str:
    """The document with this section in the place of an older one, or at its end."""
    before, found, after = document.partition("## Over SSH\n")
    rest = after[after.index("\n## ") + 1 :] if found and "\n## " in after else ""
    return f"{before.rstrip()}\n\n{text}" + (f"\n{rest}" if rest else "")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="bench.", dir="/var/tmp"))
    server = Server(folder / "molecule")
    server.folder.mkdir()
    try:
        fast = mitogen(folder / "mitogen")
        server.make()
        script = server.by_hand()
        server.make()
        first_seconds, first = server.deploy()
        second_seconds, second = server.deploy()
        runs = {"the script": script[0], "first run": first_seconds, "unchanged second run": second_seconds}
        said = ""
        try:
            runs["the same with mitogen"], _ = server.deploy(**fast)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            why = re.search(r"No module named '[\w.]+'", str(error))
            said = f", and does not carry this playbook out ({why[0] if why else 'see what the benchmark printed'})"
        found = {
            "mitogen": said,
            "date": datetime.now().astimezone().date().isoformat(),
            "load": f"{os.getloadavg()[1]:.1f}",
            "script": script,
            "first": first,
            "second": second,
            "runs": runs,
        }
    finally:
        server.destroy()
        shutil.rmtree(folder)
    SECTION.write_text(section(found))
    DOCUMENT.write_text(put_into(DOCUMENT.read_text(), SECTION.read_text()))
    print(SECTION.read_text())


if __name__ == "__main__":
    main()
