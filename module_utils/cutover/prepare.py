"""What comes before the app is stopped: the rehearsal with its own code, and whether there is a way back to files.

Where no command of the app's own is known, and it reads its login over REST, the rows are read back with its own key.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..baileys_auth import read_back
from ..baileys_auth.authority import DATABASE, FILES
from ..baileys_auth.catalogue import Catalogue
from ..baileys_auth.database import Database, connect
from ..baileys_auth.to_files import ToFiles
from ..node_host import dotenv, postgrest
from ..node_host.problems import HostError, Problem
from . import rehearsal
from .release import Release
from .run import BEST, FROM_DATABASE, Plan, check_logins, is_there

_NOT_READ_BACK = (
    "Whether the app can read the copied login is only seen after its restart: no cutover_rehearsal_command is set, and"
    " .env names no SUPABASE_URL and key to read it back with"
)
_ONLY_WITH_RELEASE = (
    "The way back to files needs the code of before as well: ansible-playbook rollback.yml -e rollback_release=true"
)


_STILL_IN_MEMORY = (
    "Nothing was stopped. Do not restart the app: the login is in its memory, and it writes the row again with the next"
    " change, as when a message comes. Send it one; once the row is back, run the same again"
)
_SLOW = 1.0  # seconds for one statement


def ask_database(plan: Plan) -> None:
    """Before the app is stopped: whether the database that is needed answers, fast enough, and with the app's logins.

    Raises HostError. No way back is refused for slowness: it may be the way out of it.
    """
    if plan.to == FILES and plan.source != FROM_DATABASE:
        return
    with connect(plan.conninfo or "") as connection:
        with connection.transaction():
            begun = time.monotonic()
            connection.execute("SELECT 1")
            seconds = time.monotonic() - begun
        if plan.settings.flag_store == DATABASE:
            database = Database(connection, plan.schema)
            check_logins(database, plan.companies, _STILL_IN_MEMORY)
            rehearsed = ToFiles(replace(plan.settings, check_mode=True), database)
            for company in plan.companies if plan.to == FILES else []:
                if not is_there(FILES, plan.settings, database, company):
                    rehearsed.run(company)  # what it would refuse is said while the app runs
    if seconds > _SLOW and plan.to == DATABASE and plan.source != BEST:
        raise HostError(
            Problem(
                "database_slow",
                "the database",
                f"it takes {seconds:.1f} s for one statement: the app would be down for long, and slow on it",
                "The app was not stopped. Look at the way to the database and at its load, then run again",
            )
        )


def rehearse(params: dict[str, Any], plan: Plan) -> tuple[Plan, dict[str, Any]]:
    """Before the app is stopped: whether its own code can load the copied logins, and could still go back to files.

    Raises HostError when it cannot load them, or when the deployed code is known to have lost the way to files.
    """
    if plan.to == FILES:
        kept = Release.kept(Path(params["app_dir"]), Path(params["release_aside"])) if params["app_dir"] else None
        if kept is not None and not kept.files_mode and plan.release is None and kept.is_current():
            raise HostError(_lost_files_mode(kept))
    if plan.to == FILES or plan.source == BEST:  # the latter is what has run a moment ago
        return plan, {"rehearsed": None, "read_back": None, "warnings": []}
    command = _command(params, plan)
    if command is None:
        return plan, {"rehearsed": None, **_read_back(plan)}
    with connect(plan.conninfo or "") as connection:
        database = Database(connection, plan.schema)
        wanted = {company: rehearsal.expected(database, company, plan.settings.names) for company in plan.companies}
    if plan.settings.flag_store == DATABASE:  # the app writes there: only the identity stays
        wanted = {company: {**facts, "keys": {}} for company, facts in wanted.items()}
    problems = rehearsal.differences(command, wanted, DATABASE)
    if problems:
        raise HostError(*problems)
    answer: dict[str, Any] = {
        "rehearsed": {company: len(facts["keys"]) for company, facts in wanted.items()},
        "read_back": None,
        "warnings": [],
    }
    if plan.settings.flag_store == FILES and plan.release is not None:
        identities = {company: {**facts, "keys": {}} for company, facts in wanted.items()}
        lost = rehearsal.differences(command, identities, FILES)
        # A file may be torn while the app writes it: looked at twice.
        lost = lost and rehearsal.differences(command, identities, FILES)
        if lost:
            plan = replace(plan, release=replace(plan.release, files_mode=False))
            answer["warnings"].append(f"{lost[0]} {_ONLY_WITH_RELEASE}")
    return plan, answer


def _command(params: dict[str, Any], plan: Plan) -> rehearsal.Command | None:
    """The app's own command, with the clean environment that pm2 gives the app, and the flag as it will be."""
    if not params["rehearsal_command"]:
        return None
    staged = plan.release.staging if plan.release is not None else None
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return rehearsal.Command(
        words=tuple(params["rehearsal_command"]),
        app_dir=params["app_dir"],
        code_dir=str(staged if staged is not None and staged.exists() else params["app_dir"]),
        environment=environment,
        timeout=params["rehearsal_timeout"],
    )


def _read_back(plan: Plan) -> dict[str, Any]:
    """Which companies' rows the app's own key sees over REST. Raises HostError when it does not see all of them."""
    rest = postgrest.from_environment(dotenv.values(dotenv.read(plan.env_file)), plan.schema)
    if rest is None:
        return {"read_back": None, "warnings": [_NOT_READ_BACK]}
    with connect(plan.conninfo or "") as connection:
        database = Database(connection, plan.schema)
        problems = [each for company in plan.companies for each in read_back.read_back(rest, database, company)]
        with database.transaction(snapshot=True):
            open_tables = Catalogue(connection, plan.schema).inspect().open_to
    if problems:
        raise HostError(*problems)
    depends = read_back.depends_on_open_policy(rest, open_tables)
    return {"read_back": plan.companies, "warnings": [str(depends)] if depends else []}


def _lost_files_mode(kept: Release) -> Problem:
    return Problem(
        "files_mode_lost",
        str(kept.app_dir),
        f"the deployed code ({kept.commit_after[:12]}) could not load a login from files when it was rehearsed",
        f"Nothing was stopped. {_ONLY_WITH_RELEASE}",
    )


def release_before(params: dict[str, Any]) -> Release:
    """The release before the one that was put in place last. Raises HostError where none is kept."""
    kept = Release.kept(Path(params["app_dir"]), Path(params["release_aside"]))
    if kept is None or not kept.is_current():
        raise HostError(
            Problem(
                "no_release_before",
                params["release_aside"],
                "no release before the present commit is kept there"
                if kept is None
                else f"the app is not at {kept.commit_after[:12]} any more, the commit that was deployed",
                "Go back without rollback_release, and bring the code to the commit you want by hand",
            )
        )
    return kept
