"""One look at a bot that runs on the database: processes, logs, database, files. Reads; writes nothing."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..baileys_auth import info
from ..baileys_auth.authority import DATABASE
from ..baileys_auth.database import Database, connect, refusal
from ..baileys_auth.transfer import Settings
from ..cutover import health
from ..cutover.journal import Journal
from ..cutover.status import problem_of
from ..node_host import dotenv, log_rates, logs, pm2_states
from ..node_host.mask import mask_value
from ..node_host.problems import HostError, Problem

LEDGER = "ledger.jsonl"
_PINGS = 3
_SHOWN = 12  # forbidden lines kept of one pass
Seen = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What to look at. `counted`: patterns whose lines are counted, by what they are counted as."""

    settings: Settings
    companies: list[str]
    conninfo: str | None
    schema: str
    env_file: str
    flag: str
    processes: pm2_states.Wanted
    health_url: str | None
    forbidden: Sequence[logs.Pattern]
    counted: Sequence[logs.Pattern]
    excluded: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Before:
    """Where the last pass left off. `marks`: by path; `usual`: as it was before the run `switch`."""

    run: str | None
    marks: dict[str, dict[str, Any]]
    usual: dict[str, Any]
    switch: str | None


def observe(wanted: Wanted) -> tuple[Seen, str]:
    """(what is seen, the ledger's text). The last line of it says from where on logs are new; others check its seal."""
    text, journal = read_ledger(wanted.settings.state_dir), Journal(wanted.settings.state_dir)
    cut_over = last_cut_over(journal)
    problems: list[Problem] = []
    processes = _processes(wanted, cut_over, journal.owners(), problems)
    # Where all of it runs the other rules judge it: a run that was cut off behind the start may never get its end.
    up = bool(processes) and all(each["status"] == "online" for each in processes)
    left_undone = None if up else problem_of(journal, wanted.settings.flag_store, processes)
    problems += [left_undone] if left_undone else []
    database, report = _database(wanted, problems)
    problems += report.problems
    value, _count = dotenv.effective(wanted.env_file, wanted.flag)
    log_lines = _logs(wanted, processes, last_pass(text), cut_over)
    stores = {facts["authority"]["store"] for facts in report.companies.values()}
    seen: Seen = {
        "run": cut_over["run"],
        "since": {company: facts["authority"]["since"] for company, facts in report.companies.items()},
        "store": "files" if stores == {"files"} else DATABASE,
        "flag": (value or "").strip().lower()[:20],
        "processes": processes,
        "health": _health(wanted.health_url),
        "logs": log_lines,
        "messages": {name: log_lines["counts"].get(name, 0) for name in ("sent", "received")},
        "database": database,
        "companies": {company: _company(facts) for company, facts in report.companies.items()},
        # The rest holds counts, digests and places in logs; the lines of logs are masked where they are read.
        "problems": mask_value([problem.as_dict() for problem in problems]),
    }
    return seen, text


def read_ledger(state_dir: Path) -> str:
    """The ledger's text, empty where there is none. We write ASCII; of what others did to it each byte is kept."""
    path = state_dir / LEDGER
    return path.read_bytes().decode("latin-1") if path.exists() else ""


def last_run(state_dir: Path) -> str | None:
    """The id of the last cut-over that went through, by the journal."""
    return last_cut_over(Journal(state_dir))["run"]


def last_cut_over(journal: Journal) -> dict[str, Any]:
    """The run that brought the app where it is, by the journal: `run`, `at`, where the logs ended (`mark`), how often
    pm2 had restarted each process when it was up (`restarts`), and which run brought it to its store (`switch`).
    """
    found: dict[str, Any] = {"run": None, "at": None, "to": None, "mark": [], "restarts": {}}
    found["switch"] = {"run": None, "mark": []}
    aims: dict[str, Any] = {}
    for entry in journal.entries():
        if entry["event"] == "begin":
            aims[entry["run"]] = entry["plan"].get("to")
        elif entry["event"] == "end" and entry.get("outcome") == "done":
            answer, to = entry.get("answer", {}), aims.get(entry["run"])
            this = {"run": entry["run"], "mark": answer.get("mark", [])}
            restarts = {each["name"]: each["restart_time"] for each in answer.get("processes", [])}
            switch = found["switch"] if to == found["to"] else this
            found = {**this, "at": entry["at"], "to": to, "restarts": restarts, "switch": switch}
    return found


def last_pass(ledger: str) -> Before | None:
    """Others check the seals, so a line may be anything."""
    for line in reversed(ledger.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            if entry["kind"] == "pass":
                seen, log_lines = entry["seen"], entry["seen"]["logs"]
                marks = {spot["path"]: {**spot, "offset": int(spot["offset"])} for spot in log_lines["marks"]}
                return Before(seen["run"], marks, log_lines["usual"], log_lines.get("switch"))
    return None


def _processes(
    wanted: Wanted, cut_over: dict[str, Any], owners: set[str], problems: list[Problem]
) -> list[dict[str, Any]]:
    found = pm2_states.look(replace(wanted.processes, started=sorted(owners)))
    problems += [Problem(**problem) for problem in found["problems"]]
    return [
        {
            "name": each["name"],
            "status": each["status"],
            "pid": each["pid"],
            "restarts": each["restart_time"],
            "restarts_at_start": cut_over["restarts"].get(each["name"]),
            "uptime_seconds": each["uptime_ms"] // 1000,
            "memory_bytes": each["memory"],
            "logs": [
                {"path": each[f"{stream}_log_path"], "process": each["name"], "stream": stream}
                for stream in ("out", "err")
                if each[f"{stream}_log_path"]
            ],
        }
        for each in found["processes"]
        if each["name"] not in found["resting"]
    ]


def _logs(
    wanted: Wanted, processes: Sequence[dict[str, Any]], before: Before | None, cut_over: dict[str, Any]
) -> dict[str, Any]:
    """The lines since the last pass; on the first since the cut-over's stop, else since now."""
    goes_on = before is not None and before.run == cut_over["run"]
    known = before.marks if before and goes_on else {spot["path"]: spot for spot in cut_over["mark"]}
    switch = cut_over["switch"]
    # A pass of an older version names no switch: what was usual is its run's.
    known_rates = before is not None and (before.switch or before.run) in (switch["run"], cut_over["run"])
    sources = {source["path"]: source for each in processes for source in each.pop("logs")}
    # A file that was not marked is new: all of it. Without any mark, as when nobody cut over here, nothing old counts.
    marks = [known.get(path) or logs.mark(source, at_start=bool(known)) for path, source in sources.items()]
    seen = logs.watch(marks, [], [*wanted.forbidden, *wanted.counted])
    names = {pattern.name for pattern in wanted.forbidden}
    kept = ("name", "process", "path", "line", "time")
    shown = [{name: each[name] for name in kept} for each in seen.forbidden if each["name"] in names]
    return {
        "lines": seen.lines,
        "gaps": seen.gaps,
        "forbidden": {name: count for name, count in seen.counts.items() if name in names and count},
        "counts": {pattern.name: seen.counts[pattern.name] for pattern in wanted.counted},
        "shown": shown[:_SHOWN],
        "marks": seen.marks,
        "switch": switch["run"],
        "usual": before.usual if before and known_rates else _usual(wanted.forbidden, switch["mark"]),
    }


def _usual(forbidden: Sequence[logs.Pattern], marks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often each forbidden line was written before the switch; only those that were."""
    rates = log_rates.before(marks, [pattern for pattern in forbidden if pattern.forgivable])
    return {name: asdict(rate) for name, rate in rates.items() if rate.count}


def _database(wanted: Wanted, problems: list[Problem]) -> tuple[dict[str, Any], info.Report]:
    try:
        begun = time.perf_counter()
        with connect(wanted.conninfo or "") as connection:
            connected = time.perf_counter() - begun
            pings = []
            for _ in range(_PINGS):
                begun = time.perf_counter()
                connection.execute("SELECT 1").fetchone()
                pings.append(time.perf_counter() - begun)
            connection.commit()
            report = info.inspect(
                wanted.settings, Database(connection, wanted.schema), wanted.companies, wanted.excluded
            )
        milliseconds = round(statistics.median(pings) * 1000, 1)
        return {"reachable": True, "latency_ms": milliseconds, "connect_ms": round(connected * 1000, 1)}, report
    except HostError as error:
        problems += error.problems
    except Exception as error:  # psycopg's own; any other goes on
        problems.append(refusal(error, "the database"))
    report = info.inspect(wanted.settings, None, wanted.companies, wanted.excluded)
    return {"reachable": False, "latency_ms": None, "connect_ms": None}, report


def _health(url: str | None) -> dict[str, Any] | None:
    if not url:
        return None
    said = health.ask(url)
    kept = ("store", "identity", "connection")
    companies = {company: {name: facts.get(name) for name in kept} for company, facts in (said or {}).items()}
    return {"url": mask_value(url), "answers": said is not None, "companies": companies}


def _company(facts: dict[str, Any]) -> dict[str, Any]:
    rows, files = facts["database"] or {}, facts["files"]
    return {
        "rows": rows.get("by_type"),
        "count": rows.get("count"),
        "present": rows.get("present"),
        "expired": rows.get("expired", 0),
        "expired_for": rows.get("expired_for", 0.0),
        "expiring_types": rows.get("expiring_types", []),
        "identity": rows.get("identity"),
        "files": {name: files[name] for name in ("present", "count", "by_type", "digest")},
    }
