"""What the modules auth_state_watch and auth_state_cleanup do with their options."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule

from ..baileys_auth import arguments, info, run, whole
from ..baileys_auth.archive import Backups
from ..baileys_auth.authority import StateFile, latest
from ..baileys_auth.database import Database
from ..baileys_auth.errors import AuthStateError, Problem
from ..baileys_auth.manifest import ManifestStore
from ..baileys_auth.transfer import Settings
from ..cutover.journal import Journal
from ..node_host import logs
from ..node_host.pm2_states import Wanted as Processes
from ..node_host.problems import HostError
from . import cleanup, observe

Seen = TypeVar("Seen")
_PATIENCE = 120  # seconds, for a cut-over to end; it takes a few


def look(instance: AnsibleModule) -> dict[str, Any]:
    """auth_state_watch."""
    params = instance.params
    # The flag as well is read anew each time: a cut-over that was waited for may have switched it.
    seen, ledger = between_runs(Journal(Path(params["state_dir"])), lambda: observe.observe(_wanted(params)))
    return {"seen": seen, "ledger": ledger}


def between_runs(
    journal: Journal,
    see: Callable[[], Seen],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """What is seen while no cut-over of this host goes on: what one stops and starts is no fault of the bot.

    Raises HostError where one does not end.
    """
    end = clock() + _PATIENCE
    while True:
        last, run = journal.last(), journal.unfinished()
        if run is not None and run.alive():
            if clock() >= end:
                raise HostError(journal.under_way())
            sleep(1)
            continue
        seen, after = see(), journal.last()
        if (last and last.id) == (after and after.id):
            return seen


def _wanted(params: dict[str, Any]) -> observe.Wanted:
    counted = [
        {**pattern, "name": name} for name in ("cleanup", "sent", "received", "unlinked") for pattern in params[name]
    ]
    return observe.Wanted(
        settings=arguments.settings(params, check_mode=True),
        companies=arguments.companies(params),
        conninfo=params["conninfo"],
        schema=params["schema"],
        env_file=params["env_file"],
        flag=params["flag"],
        processes=Processes.owners(params),
        health_url=params["health_url"] or None,
        forbidden=logs.patterns(params["forbidden"]),
        counted=logs.patterns(counted),
        excluded=arguments.excluded(params),
    )


def clean(instance: AnsibleModule) -> dict[str, Any]:
    """auth_state_cleanup: the plan, or its execution."""
    params = instance.params
    settings = arguments.settings(params, check_mode=True)
    companies = arguments.companies(params)
    rules = cleanup.Rules(params["scope"], params["backup_keep"], params["backup_days"])
    if not params["conninfo"]:
        raise AuthStateError(Problem("conninfo", "conninfo", "without the database nothing may go", "Set database_url"))
    with arguments.database(params) as database:
        plans = cleanup.plan(settings, database, companies, rules)
        answer: dict[str, Any] = {"plan": cleanup.fingerprint(plans), "companies": cleanup.facts(plans)}
        wanted = any(each.files or each.backups for each in plans.values())
        if params["state"] == "cleaned" and answer["plan"] != params["plan"]:
            raise AuthStateError(
                Problem(
                    "plan_changed", str(settings.sessions_dir), "it is not what was listed a moment ago", "Run again"
                )
            )
        answer["since"] = {company: _since(settings, database, company) for company in companies}
        if params["state"] == "cleaned" and wanted and not instance.check_mode:
            answer |= _delete(settings, database, plans)
            for company, facts in answer["companies"].items():
                facts["delete"] = plans[company].gone(settings.folder(company))
        # Without the database: what is gone has to be told also where that went away in the middle.
        answer |= {"changed": wanted, "files": _files(settings, companies)}
    return answer | {"ledger": observe.read_ledger(settings.state_dir), "run": observe.last_run(settings.state_dir)}


def _delete(settings: Settings, database: Database, plans: dict[str, cleanup.CompanyPlan]) -> dict[str, Any]:
    """First the archive of everything, and of each whole login one that rollback.yml takes; then the planned files.

    What stops one company stops those after it, and is answered beside what is gone by then, for the ledger.
    """
    archive = whole.archive(settings.sessions_dir, settings.backup_dir, "sessions")
    answer: dict[str, Any] = {
        "archive": str(archive),
        "backups": {company: name for company in plans if (name := _backup(settings, company)) is not None},
        "deleted": 0,
    }
    try:
        for company, planned in plans.items():
            answer["deleted"] += cleanup.delete(settings, database, company, planned)
    except Exception as error:  # what is gone by now has to be told, whatever came then; a defect goes on all the same
        answer |= {"failed": True, "problems": run.problems_of(error)}
    return answer


def _backup(settings: Settings, company: str) -> str | None:
    """The backup that holds the login's files; None where they are no whole login any more."""
    folder, known = settings.folder(company), ManifestStore(settings.state_dir).load(company)
    backups = Backups(settings.backup_dir, company)
    try:
        backups.would_create(folder, settings.names, known)
    except AuthStateError:
        return None  # they are in the archive of everything
    # All the others stay but for those that the plan names.
    made, _ = backups.create(folder, settings.names, settings.now, known, keep=len(backups.list()) + 1)
    return made.archive


def _files(settings: Settings, companies: list[str]) -> dict[str, Any]:
    found = info.inspect(settings, None, companies, set()).companies
    kept = ("present", "count", "by_type", "digest")
    return {company: {name: facts["files"][name] for name in kept} for company, facts in found.items()}


def _since(settings: Settings, database: Database, company: str) -> str | None:
    with database.transaction(snapshot=True):
        record = latest(database.record(company), StateFile(settings.state_dir).record(company))
    return record.since if record else None
