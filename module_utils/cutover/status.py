"""Where a host stands, at one look: its logins, its app, and what the state folder says of runs. Nothing is written.

Whatever cannot be looked at is said and left out; the rest is told all the same.
"""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..baileys_auth import arguments, json_lines
from ..baileys_auth.authority import DATABASE, StateFile, latest
from ..baileys_auth.database import Database, refusal
from ..baileys_auth.folder import open_folder
from ..baileys_auth.transfer import Settings, decide
from ..node_host import pm2_states
from ..node_host.problems import HostError, Problem
from . import health
from .journal import Journal, Run
from .lock import Lock
from .record import Record
from .status_lines import COLUMNS, cells

Answer = dict[str, Any]


def look(instance: AnsibleModule) -> Answer:
    """The answer of auth_state_status. Raises HostError where there is no app to look at."""
    params = instance.params
    settings = arguments.settings(params, check_mode=True)
    answer: Answer = {"problems": [], "deployed": settings.state_dir.is_dir(), "flag": settings.flag_store}
    answer |= {"commit": _commit(params["app_dir"]), **_runs(settings.state_dir)}
    answer["processes"] = _processes(params, answer["problems"])
    app = (health.ask(params["health_url"]) if params["health_url"] else None) or {}
    answer["companies"], problems = _companies(params, settings, app)
    answer["problems"] += problems
    said = problem_of(Journal(settings.state_dir), settings.flag_store, answer["processes"])
    if said is not None:
        answer["problems"].insert(0, said.as_dict())
    return {**answer, "columns": list(COLUMNS), "rows": cells(answer)}


def problem_of(journal: Journal, store: str, processes: list[Answer]) -> Problem | None:
    """What the last cut-over has left undone; None where it ended well. `store`: what the flag names."""
    run = journal.last()
    if run is None:
        return None
    if run.unfinished():
        return journal.under_way() if run.alive() else _cut_off(run, store, processes)
    return _broken(run, store) if run.broken() else None


def _runs(state_dir: Path) -> Answer:
    """Who has the lock, what the last run and the last check came to, and a cut-over that has no end."""
    holder, last, run = Lock(state_dir).holder(), Record(state_dir).last(), Journal(state_dir).unfinished()
    checks = [line for line in json_lines.read(state_dir / "ledger.jsonl") if "verdict" in line]
    return {
        "lock": asdict(holder) if holder else None,
        "last_run": last.as_dict() if last else None,
        "last_check": {name: checks[-1].get(name) for name in ("at", "verdict")} if checks else None,
        "unfinished": {"run": run.id, "to": run.plan["to"], "doing": run.doing, "alive": run.alive()} if run else None,
    }


def _cut_off(run: Run, store: str, processes: list[Answer]) -> Problem:
    """What to type about a cut-over that has no end, and where it has left the app."""
    down = [each["name"] for each in processes if each["status"] != "online"]
    runs = "runs" if processes else "pm2 does not say whether it runs"
    stands = f"the app is on its {store}, and {', '.join(down) + ' is stopped' if down else runs}"
    forward, back = ("deploy.yml", "rollback.yml") if run.plan["to"] == DATABASE else ("rollback.yml", "deploy.yml")
    return Problem(
        "cutover_unfinished",
        "the journal",
        f"a cut-over that began at {run.begun_at} was {run.cut_off()}; {stands}. No key is lost: the flag says which"
        " store is right",
        f"To bring it to its end: ansible-playbook {forward}. To go back: ansible-playbook {back}",
    )


def _broken(run: Run, store: str) -> Problem:
    return Problem(
        "cutover_broken",
        "the journal",
        f"the cut-over of {run.begun_at} failed, and so did its way back; the flag says {store}",
        "Look whether the app is up, then finish or undo what was begun: ansible-playbook rollback.yml",
    )


def _processes(params: dict[str, Any], problems: list[Answer]) -> list[Answer]:
    seen = pm2_states.look(pm2_states.Wanted.owners(params))
    problems += seen["problems"]
    return [{name: each[name] for name in ("name", "pid", "status")} for each in seen["processes"]]


def _companies(
    params: dict[str, Any], settings: Settings, app: dict[str, Answer]
) -> tuple[dict[str, Answer], list[Answer]]:
    """Each login, and what is wrong with it or with the database."""
    problems: list[Answer] = []
    companies = arguments.companies(params)
    try:
        with arguments.database(params) as database:
            return {each: _company(settings, database, each, app, problems) for each in companies}, problems
    except Exception as error:  # psycopg's own as well; any other goes on
        problems = error.as_dicts() if isinstance(error, HostError) else [refusal(error, "the database").as_dict()]
    # What is on the host's own disk can be told without the database.
    return {each: _company(settings, None, each, app, problems) for each in companies}, problems


def _company(
    settings: Settings, database: Database | None, company: str, app: dict[str, Answer], problems: list[Answer]
) -> Answer:
    state = StateFile(settings.state_dir)
    record, rows, row_exists = state.record(company), None, True  # without the database the flag decides
    if database is not None:
        with database.transaction(snapshot=True):
            record = latest(record, database.record(company))
            rows, row_exists = database.count(company), database.has_login(company)
    facts: Answer = {"store": None, "since": record.since if record else None, "host": record.host if record else None}
    try:
        facts["store"] = decide(settings, state, company, record, row_exists=row_exists).store
    except HostError as error:
        problems += error.as_dicts()
    return {**facts, "files": _files(settings, company), "rows": rows, "app": app.get(company, {}).get("store")}


def _files(settings: Settings, company: str) -> int:
    try:
        with open_folder(settings.folder(company), settings.names) as opened:
            return len(opened.list().files)
    except HostError:
        return 0


def _commit(app_dir: str) -> str | None:
    # A subprocess and no library: git is what the operator's own hands would type here.
    command = ["git", "-C", app_dir, "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
