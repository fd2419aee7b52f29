"""What the module auth_state_cutover does with its options: understand the last run, carry out the next, tell of it."""

from __future__ import annotations

import fcntl
import importlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..baileys_auth import arguments
from ..baileys_auth.authority import DATABASE, FILES
from ..baileys_auth.durable import make_folder
from ..baileys_auth.run import describe
from ..baileys_auth.to_database import ToDatabase
from ..baileys_auth.to_files import ToFiles
from ..node_host.pm2_states import Wanted
from ..node_host.problems import HostError, Problem
from . import detached, prepare
from .journal import Journal
from .release import Release
from .rest import cleanup_jobs
from .run import BEST, FROM_DATABASE, CutOver, Plan, is_there, problems_of

Answer = dict[str, Any]


def carry_out(instance: AnsibleModule) -> Answer:
    """One cut-over, or in check mode what it would copy. Raises HostError when nothing was begun."""
    plan = _plan(instance)
    journal = Journal(plan.settings.state_dir)
    if instance.check_mode:
        return _foretell(_with_release(plan, instance.params))
    recovered = recover(journal, plan)
    try:
        _mend_release(recovered)
        plan = _with_release(plan, instance.params)
        prepare.ask_database(plan)
        plan, rehearsal = prepare.rehearse(instance.params, plan)
    except Exception as error:  # whatever it is, it must not leave the app down
        if recovered is None:
            raise
        return _goes_no_further(recovered, plan, journal, problems_of(error))
    rehearsal["warnings"] += cleanup_jobs(plan.settings.sessions_dir)
    if instance.params["hold"]:
        held = {"changed": False, "held": True, "steps": [], "store": plan.settings.flag_store, **rehearsal}
        return held if recovered is None else _held_again(held, _goes_no_further(recovered, plan, journal, []))
    run_id = secrets.token_hex(6)
    begun = _facts(plan)

    def work() -> Answer:
        try:
            with _alone(plan.settings.state_dir):
                _end(recovered, journal)
                told = _told(journal)
                journal.begin(run_id, begun)
                return _run(plan, journal, run_id, told)
        except BlockingIOError:
            problems = [journal.under_way()]
        except Exception as error:
            problems = problems_of(error)
        return {"problems": [each.as_dict() for each in problems], "failed": True, "changed": False}

    _load_everything()
    answer = detached.run(work)
    if answer is None:
        raise HostError(journal.killed())
    warnings = [*rehearsal.pop("warnings", []), *answer.get("warnings", [])]
    return {"changed": True, **answer, **rehearsal, "warnings": warnings, "run": run_id, "recovered": recovered}


def recover(journal: Journal, plan: Plan) -> dict[str, Any] | None:
    """The run that was killed, on the side that the flag names; None when there is none.

    Its owners may be down, and it has no end: either the run that follows starts them, or `_goes_no_further`.
    Raises HostError when it still goes on.
    """
    run = journal.unfinished()
    if run is None:
        return None
    if run.alive():
        raise HostError(journal.under_way())
    facts = run.plan.get("release") if "release" in (run.doing, *run.steps) else None
    store = plan.settings.flag_store
    told = {"run": run.id, "begun_at": run.begun_at, "to": run.plan["to"], "doing": run.doing, "store": store}
    return {**told, "release": facts}


def _mend_release(recovered: dict[str, Any] | None) -> None:
    """The code is one commit, whole, or the other, whatever the killed run was doing with it."""
    release = _release(recovered.pop("release")) if recovered is not None else None
    if release is not None:
        release.mend()


def _end(recovered: dict[str, Any] | None, journal: Journal) -> None:
    if recovered is not None:
        journal.write(recovered["run"], "end", outcome="recovered", store=recovered["store"], answer={})


def _goes_no_further(recovered: dict[str, Any], plan: Plan, journal: Journal, problems: list[Problem]) -> Answer:
    """Whoever goes no further leaves the app up: the run that was killed may have stopped it."""
    cut = CutOver(plan, journal, recovered["run"], _told(journal))
    answer: Answer = {"changed": True, "recovered": recovered, "broken": False}
    try:
        with _alone(plan.settings.state_dir):
            answer |= {"reverted": cut.start_as_is(), "untouched": cut.untouched}
            _end(recovered, journal)
    except BlockingIOError:
        problems = [journal.under_way(), *problems]
    except Exception as error:
        problems = [*problems_of(error), *problems]
        answer |= {"broken": True, "reverted": "a run was killed, and the app could not be started again"}
    if problems:
        answer |= {"failed": True, "problems": [each.as_dict() for each in problems]}
    return {**answer, "warnings": cut.outcome.warnings}


def _held_again(held: Answer, answer: Answer) -> Answer:
    return answer if answer.get("failed") else {**held, **answer, "warnings": [*held["warnings"], *answer["warnings"]]}


def _told(journal: Journal) -> bool:
    """Whether the app is known to have told of its logins before the last run, which this one may take back."""
    run = journal.last()
    return run is not None and all(entry["event"] != "silent" for entry in journal.entries(run.id))


def _run(plan: Plan, journal: Journal, run_id: str, told: bool) -> Answer:
    """In the process of its own: the steps, and the way back when one fails. The run's end is in the journal then."""
    cut = CutOver(plan, journal, run_id, told)
    try:
        cut.carry_out()
    except Exception as error:
        problems = problems_of(error)
        journal.note(run_id, "failed", problems=[each.as_dict() for each in problems])
        outcome, said, more = _bring_back(cut)
        problems = [each.as_dict() for each in dict.fromkeys((*problems, *more))]
        failed = {"problems": problems, "failed": True}
        answer = {**_answer(cut), "reverted": said, "broken": bool(more), "untouched": cut.untouched, **failed}
    else:
        outcome, answer = "done", _answer(cut)
    journal.note(run_id, "end", outcome=outcome, store=cut.outcome.store, answer=answer)
    return answer


def _bring_back(cut: CutOver) -> tuple[str, str, list[Problem]]:
    """(outcome, what was done, what went wrong with it). The app is up at the end of it, if it can be at all."""
    problems: list[Problem] = []
    try:
        return "reverted", cut.revert(), []
    except Exception as error:
        problems += problems_of(error)
    try:
        return "broken", f"the way back failed as well; {cut.start_as_is()}", problems
    except Exception as error:
        problems += problems_of(error)
    return "broken", "the way back failed as well, and the app is not up", problems


def _foretell(plan: Plan) -> Answer:
    """The copy's own plan, from its own code; nothing is stopped."""
    cut = CutOver(plan, Journal(plan.settings.state_dir), "")
    companies: Answer = {}
    with cut.database(needed=False) as database:
        for company in plan.companies if database is not None and plan.copies else []:
            if not is_there(plan.to, plan.settings, database, company):
                direction = (ToDatabase if plan.to == DATABASE else ToFiles)(plan.settings, database)
                companies[company] = describe(direction.run(company), plan.settings)
    edit = cut.write_flag(dry_run=True)
    flag = {"before": _text(edit.before_lines), "after": _text(edit.after_lines), "before_header": plan.env_file}
    answer = {"changed": True, "companies": companies, "steps": [], "store": cut.store_before, "diff": [flag]}
    return {**answer, "warnings": cleanup_jobs(plan.settings.sessions_dir)}


def _text(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _answer(cut: CutOver) -> Answer:
    outcome = cut.outcome
    return {
        "steps": outcome.steps,
        "freeze_seconds": outcome.frozen,
        "companies": {company: describe(result, cut.plan.settings) for company, result in outcome.results.items()},
        "mark": outcome.marks,
        "processes": outcome.processes,
        "archives": outcome.archives,
        "saved": outcome.saved,
        "warnings": outcome.warnings,
        "store": outcome.store,
        "commit": cut.plan.release.commit if cut.plan.release is not None else None,
    }


def _plan(instance: AnsibleModule) -> Plan:
    params = instance.params
    return Plan(
        to=params["destination"],
        # Only the way back has a choice of it.
        source=params["source"] if params["destination"] == FILES or params["source"] == BEST else FROM_DATABASE,
        backup=params["backup"],
        companies=arguments.companies(params),
        settings=arguments.settings(params, check_mode=instance.check_mode),
        conninfo=params["conninfo"],
        schema=params["schema"],
        env_file=params["env_file"],
        flag=params["flag"],
        processes=Wanted.owners(params),
        log_files=params["log_files"],
        uptime_seconds=params["uptime_seconds"],
        health_url=params["health_url"] or None,
        health_timeout=params["health_timeout"],
        copy_timeout=params["copy_timeout"],
    )


def _with_release(plan: Plan, params: dict[str, Any]) -> Plan:
    """Raises HostError where the release before is wanted and none is kept."""
    release = prepare.release_before(params) if params["release_back"] else _release(params["release"])
    return replace(plan, release=release)


def _release(facts: dict[str, Any] | None) -> Release | None:
    if not facts:
        return None
    return Release(
        app_dir=Path(facts["app_dir"]),
        commit_before=facts["commit_before"],
        commit_after=facts["commit_after"],
        dependencies=facts["dependencies"],
        staging=Path(facts["staging"]),
        aside=Path(facts["aside"]),
        patch=Path(facts["patch"]),
        back=facts.get("back") or False,
        files_mode=facts.get("files_mode") is not False,
    )


def _facts(plan: Plan) -> dict[str, Any]:
    """What the journal keeps of a plan."""
    release = plan.release
    return {
        "to": plan.to,
        "source": plan.source,
        "companies": plan.companies,
        "host": plan.settings.host,
        "processes": plan.processes.names,
        "release": {name: _plain(value) for name, value in vars(release).items()} if release else None,
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """One cut-over at a time on a host; the kernel ends the lock with the process that holds it."""
    make_folder(state_dir)
    descriptor = os.open(state_dir / "cutover.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _load_everything() -> None:
    """Import what is imported late: Ansible removes the module's own archive while the detached process may go on."""
    with suppress(ImportError):
        importlib.import_module("psycopg")
