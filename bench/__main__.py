"""`python -m bench` measures, prints a table and writes BENCHMARKS.md; `--full` adds a thousand companies."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from . import command, freeze, logins, report
from .command import Cost
from .logins import Login
from .sandbox import PROJECT, Sandbox
from .ways import Steps, Ways

ROUNDS = 3
SIZES = (337, 10_000, 100_000)
LARGE = 100_000  # files from which on a round takes minutes: one, but with --full
COMPANIES = 1_000  # of 337 files each, with --full
TASKS = 5  # logins in the measurement of whole tasks


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also many companies, and the stores at the largest size")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    path = Path(tempfile.mkdtemp(prefix="bench.", dir="/var/tmp"))
    _say(f"a PostgreSQL of its own in {path}")
    sandbox = Sandbox(path)
    try:
        folder = path / "bench"
        folder.mkdir(mode=0o700)
        found = measure(sandbox, folder, options)
    finally:
        sandbox.close()
    report.write(found, PROJECT / "BENCHMARKS.md", PROJECT / "docs" / "benchmark.svg")
    print(report.table(found))


def measure(sandbox: Sandbox, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the report needs."""
    ways = Ways(sandbox, folder)
    made: dict[int, Login] = {}
    for size in options.sizes:
        _say(f"{size} files")
        made[size] = logins.make(folder / "sessions", folder / "rows", f"{size}", size)
    rounds: dict[int, list[dict[str, Steps]]] = {size: [] for size in options.sizes}
    empty: list[Cost] = []
    for number in range(options.rounds):  # interleaved: a slow minute of the machine meets all of them
        for size, login in made.items():
            if number and size >= LARGE and not options.full:
                continue
            _say(f"round {number + 1} of {options.rounds}, {size} files")
            empty.append(ways.empty())
            rounds[size].append(
                {"ours": ways.ours(login), "original": ways.original(login), "limit": ways.limit(login)}
            )
    found: dict[str, Any] = {
        "date": datetime.now().astimezone().date().isoformat(),
        "machine": machine(sandbox),
        "rounds": {size: len(each) for size, each in rounds.items()},
        "files": {size: login.bytes for size, login in made.items()},
        "costs": {size: _medians(each) for size, each in rounds.items()},
        "phases": ways.first_phases,
        "empty": median(empty),
        "stores": {},
    }
    for size, login in made.items():
        if options.full or size <= 10_000:
            _say(f"files against database, {size} files")
            found["stores"][size] = store_speed(ways, login)
    _say("whole tasks")
    found["tasks"] = whole_tasks(sandbox, ways, folder)
    if options.full:
        _say(f"{COMPANIES} companies")
        many = [logins.make(folder / "many", folder / "rows", f"{10_000 + each}", 337) for each in range(COMPANIES)]
        found["many"] = {1: _one(ways, many[:1]), COMPANIES: _one(ways, many)}
    _keep(found)  # what follows takes minutes more, and may fail
    found["freezes"] = {}
    for size in {min(options.sizes), max(options.sizes)}:
        _say(f"the freeze, {size} files")
        found["freezes"][size] = freeze.measure(sandbox, size)
    _keep(found)
    return found


def _keep(found: dict[str, Any]) -> None:
    (PROJECT / ".cache" / "bench.json").write_text(json.dumps(found, default=vars, indent=1))


def _one(ways: Ways, companies: list[Login]) -> dict[str, Steps]:
    return {"ours": ways.many(companies)}


def store_speed(ways: Ways, login: Login) -> dict[str, dict[str, float]]:
    """What the bot does, on both stores."""
    ways.migrate(login)
    expired = sorted(login.folder.glob("lid-mapping-*.json"))[: max(1, login.files // 10)]
    long_ago = time.time() - 30 * 86_400
    for path in expired:
        os.utime(path, (long_ago, long_ago))
    ids = [path.name.removeprefix("lid-mapping-").removesuffix(".json") for path in expired]
    ways.sandbox.sql(
        "UPDATE whatsapp_keys SET expires_at = now() - interval '1 day'"
        " WHERE key_type = 'lid-mapping' AND key_id = ANY(%s)",
        ids,
    )
    ways.sandbox.settle()
    argv = [ways.sandbox.node, PROJECT / "bench" / "store_speed.mjs", login.folder, login.company, str(len(ids))]
    _, output = command.run(argv, env=ways.sandbox.bot_environment)
    return json.loads(output)


def whole_tasks(sandbox: Sandbox, ways: Ways, folder: Path) -> dict[str, float]:
    """{kind of task: seconds}, medians, as ansible-playbook runs them."""
    home = folder / "tasks"
    companies = [str(each + 1) for each in range(TASKS)]
    for company in companies:
        logins.make(home / "sessions", home / "rows", company, 337)
    time.sleep(0.5)
    ways.start_over()
    variables = {
        "bench_companies": companies,
        "bench_sessions_dir": str(home / "sessions"),
        "bench_state_dir": str(home / "state"),
        "bench_backup_dir": str(home / "backups"),
        "bench_env_file": str(ways.env_file),
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "bench/tasks.yml", "-e", json.dumps(variables)],
        cwd=PROJECT,
        env={**sandbox.environment, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-2000:])
    times: dict[str, list[float]] = {}
    for task in json.loads(done.stdout)["plays"][0]["tasks"]:
        span = task["task"]["duration"]
        seconds = datetime.fromisoformat(span["end"]) - datetime.fromisoformat(span["start"])
        times.setdefault(task["task"]["name"], []).append(seconds.total_seconds())
    return {name: statistics.median(each) for name, each in times.items() if not name.startswith("One")}


def machine(sandbox: Sandbox) -> dict[str, str]:
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown processor",
    )
    kind = subprocess.run(
        ["findmnt", "--noheadings", "--output=FSTYPE", "--target", str(sandbox.path)], capture_output=True, text=True
    )
    node = subprocess.run([sandbox.node, "--version"], capture_output=True, text=True, check=True)
    return {
        "processor": f"{model.strip()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "file system": kind.stdout.strip() or "unknown",
        "postgresql": sandbox.version(),
        "python": sys.version.split()[0],
        "node": node.stdout.strip().removeprefix("v"),
        "load": f"{os.getloadavg()[2]:.1f}",
    }


def median(costs: list[Cost]) -> Cost:
    """Of the times the median, of the memory the most."""
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.processor for cost in costs),
        max(cost.peak_mib for cost in costs),
    )


def _medians(rounds: list[dict[str, Steps]]) -> dict[str, Steps]:
    return {
        way: {step: median([each[way][step] for each in rounds]) for step in steps} for way, steps in rounds[0].items()
    }


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
