"""What the modules do with their options: the one place of this package that knows Ansible."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule

from ..node_host import dotenv, postgrest
from ..node_host.mask import mask
from ..node_host.problems import HostError, Problem
from . import arguments, catalogue, info, read_back, repair, restore
from .archive import Backup, Backups
from .database import Database, connect, refusal
from .errors import AuthStateError
from .handover import Handover
from .manifest import ManifestStore
from .names import company_folder
from .to_database import ToDatabase
from .to_files import ToFiles
from .transfer import Result, Settings

Answer = dict[str, Any]
Found = TypeVar("Found")
_SHOWN = 20


def module(options: dict[str, Any], work: Callable[[AnsibleModule], Answer], **rules: Any) -> None:
    """Run one module: its answer is its result, and what it raises becomes one readable failure."""
    instance = AnsibleModule(argument_spec=options, supports_check_mode=True, **rules)
    # A short process that makes a million small objects: half of its time otherwise. `_each` collects between logins.
    gc.disable()
    gc.freeze()
    try:
        answer = work(instance)
    except Exception as error:  # ours, the system's and psycopg's become problems; any other goes on
        answer = {"problems": problems_of(error), "failed": True}
    answer.setdefault("changed", False)
    for warning in answer.pop("warnings", []):
        instance.warn(mask(warning))
    if answer.get("problems") and answer.pop("failed", False):
        instance.fail_json(msg=_message(answer["problems"], answer.get("reverted", "")), **_masked(answer))
    instance.exit_json(**_masked(answer))


def problems_of(error: Exception) -> list[dict[str, str]]:
    """What was raised, as an answer's `problems`. Raises what is neither ours, nor the system's, nor psycopg's."""
    if isinstance(error, HostError):
        return error.as_dicts()
    return [(_from_os(error) if isinstance(error, OSError) else refusal(error, "the database")).as_dict()]


def _each(companies: list[str]) -> Iterator[str]:
    """One company after the other, in the memory of one."""
    for company in companies:
        yield company
        gc.collect()


def transfer(instance: AnsibleModule) -> Answer:
    """baileys_auth_state."""
    params = instance.params
    settings = arguments.settings(params, check_mode=instance.check_mode, backup=params["backup"])
    answer: Answer = {"changed": False, "companies": {}, "warnings": []}
    with _database(params) as database:
        results, problems = _alone(arguments.companies(params), _work(params, settings, database))
    for company, (result, changed) in results.items():
        answer["changed"] = answer["changed"] or changed
        answer["companies"][company] = describe(result, settings)
        answer["warnings"] += [f"company {company}: {each}" for each in result.warnings]
    answer["diff"] = _diff(answer["companies"], params["destination"])
    return _with_problems(answer, problems)


def _alone(companies: list[str], work: Callable[[str], Found]) -> tuple[dict[str, Found], list[Problem]]:
    """What `work` gave for each company, and what went wrong: one that fails does not touch the others."""
    results: dict[str, Found] = {}
    problems: list[Problem] = []
    for company in _each(companies):
        try:
            results[company] = work(company)
            continue
        except HostError as error:
            found = error.problems
        except OSError as error:
            found = [_from_os(error)]
        except Exception as error:  # psycopg's own, whose text names tables and columns, never values
            found = [refusal(error, f"company {company}")]
        problems.extend(found)
    return results, problems


def _with_problems(answer: Answer, problems: list[Problem]) -> Answer:
    return {**answer, "problems": [each.as_dict() for each in problems], "failed": True} if problems else answer


def _work(
    params: dict[str, Any], settings: Settings, database: Database | None
) -> Callable[[str], tuple[Result, bool]]:
    destination = params["destination"]
    if params["authority"] in ("settle", "abandon"):
        handover = Handover(settings, database, destination)
        return handover.settle if params["authority"] == "settle" else handover.abandon
    if database is None:
        raise AuthStateError(Problem("conninfo", "conninfo", "a copy needs the database", "Set database_url"))
    direction = ToDatabase(settings, database) if destination == "database" else ToFiles(settings, database)

    def copy(company: str) -> tuple[Result, bool]:
        result = direction.run(company)
        return result, result.changed

    return copy


def look(instance: AnsibleModule) -> Answer:
    """baileys_auth_info."""
    params = instance.params
    settings = arguments.settings(params, check_mode=True)
    companies = arguments.companies(params) if params["company_ids"] else []
    compared, unreachable = bool(params["conninfo"]), []
    try:
        with _database(params) as database:
            report = info.inspect(settings, database, companies, arguments.excluded(params))
    except AuthStateError as error:
        if not {problem.code for problem in error.problems} & {
            "psycopg_missing",
            "database_unreachable",
            "database_tls",
        }:
            raise
        compared, unreachable = False, error.problems
        report = info.inspect(settings, None, companies, arguments.excluded(params))
    return {
        "problems": [problem.as_dict() for problem in [*unreachable, *report.problems]],
        "findings": report.warnings,
        "database_compared": compared,
        "companies": report.companies,
        "other_companies": report.other_companies,
        "stats": report.stats,
        "tables": report.tables,
        "cron_jobs": report.cron_jobs,
    }


def put_right(instance: AnsibleModule) -> Answer:
    """baileys_auth_repair."""
    params = instance.params
    settings = arguments.settings(params, check_mode=instance.check_mode)
    with _database(params) as database:
        results, problems = _alone(
            arguments.companies(params), lambda company: repair.repair(settings, database, company)
        )
    answer: Answer = {
        "changed": any(each.repair.changes for each in results.values()),
        "companies": {company: each.as_dict() for company, each in results.items()},
    }
    left = ((company, why) for company, facts in answer["companies"].items() for why in facts["left"])
    answer["warnings"] = [f"company {company}: left as they are, {why}" for company, why in left]
    answer["diff"] = repair.diff(answer["companies"])
    return _with_problems(answer, problems)


def backup(instance: AnsibleModule) -> Answer:
    """baileys_auth_backup."""
    params = instance.params
    names = arguments.names(params)
    state_dir, sessions_dir = Path(params["state_dir"]), Path(params["sessions_dir"])
    answer: Answer = {"changed": False, "companies": {}}
    problems: list[Problem] = []
    for company in _each(arguments.companies(params)):
        backups = Backups(Path(params["backup_dir"]), company)
        folder = sessions_dir / company_folder(company)
        try:
            if params["state"] == "present":
                changed, facts = _present(backups, folder, state_dir, params, instance.check_mode, names)
            elif params["state"] == "restored":
                changed, facts = _restored(backups, folder, state_dir, params, instance.check_mode, names)
            elif params["state"] == "verified":
                path, keys, identity = restore.verify(backups, params["backup"], names)
                changed, facts = False, {"archive": str(path), "files": keys, "identity": identity}
            else:
                listed = [vars(each) for each in backups.list()]
                changed, facts = False, {"backups": listed, "originals": [str(path) for path in backups.originals()]}
        except HostError as error:
            problems += error.problems
            continue
        except OSError as error:
            problems.append(_from_os(error))
            continue
        answer["changed"] = answer["changed"] or changed
        answer["companies"][company] = facts
    if problems:
        answer |= {"problems": [problem.as_dict() for problem in problems], "failed": True}
    return answer


def _present(
    backups: Backups, folder: Path, state_dir: Path, params: dict[str, Any], check_mode: bool, names: Any
) -> tuple[bool, Answer]:
    known = ManifestStore(state_dir).load(backups.company_id)
    if check_mode:
        newest = backups.newest()
        changed = backups.would_create(folder, names, known)
        return changed, vars(newest) if newest and not changed else {}
    made, changed = backups.create(folder, names, arguments.now(), known, params["keep"])
    return changed, _backup_facts(backups, made)


def _backup_facts(backups: Backups, backup: Backup) -> Answer:
    return {**vars(backup), "archive": str(backups.folder / backup.archive)}


def _restored(
    backups: Backups, folder: Path, state_dir: Path, params: dict[str, Any], check_mode: bool, names: Any
) -> tuple[bool, Answer]:
    if check_mode:
        path, keys, identity = restore.verify(backups, params["backup"], names)
        return True, {"archive": str(path), "files": keys, "identity": identity}
    path, aside = restore.restore(backups, params["backup"], folder, state_dir, names)
    return True, {"archive": str(path), "aside": str(aside) if aside else None}


def schema(instance: AnsibleModule) -> Answer:
    """baileys_auth_schema."""
    params = instance.params
    try:
        with connect(params["conninfo"]) as connection, connection.transaction():
            tables = catalogue.Catalogue(connection, params["schema"])
            found = tables.inspect()
            missing, open_to = found.missing, found.open_to
            if params["harden"] and open_to:
                found.problems += _not_to_be_closed(params, open_to)
            changes = bool(missing) or (params["harden"] and bool(open_to))
            wanted = params["state"] == "present"
            blocked = bool(found.problems)
            if wanted and changes and not blocked and not instance.check_mode:
                tables.create_missing(found)
                if params["harden"]:
                    tables.harden(found)
                found = tables.inspect()
                if found.problems:  # as where this role itself came in by what was closed: all of it is undone
                    raise AuthStateError(found.problems)
    except AuthStateError as error:
        if params["state"] == "present":
            raise
        return {"ok": False, "missing": [], "open": [], "problems": [each.as_dict() for each in error.problems]}
    return {
        "changed": wanted and changes and not blocked,
        "ok": not found.problems and not found.missing,
        "missing": missing,
        "open": open_to,
        "findings": found.warnings,
        "problems": [problem.as_dict() for problem in found.problems],
        "failed": wanted and blocked,
        "diff": {"before": "".join(f"missing: {each}\n" for each in missing), "after": ""} if wanted else {},
    }


def _not_to_be_closed(params: dict[str, Any], open_tables: list[str]) -> list[Problem]:
    """What speaks against closing these tables: the app's own key has to be known not to need them open."""
    variables = dotenv.values(dotenv.read(params["env_file"]))
    try:
        rest = postgrest.from_environment(variables, params["schema"])
        problem = read_back.needs_open_tables(rest, open_tables, params["env_file"])
    except HostError as error:
        return error.problems
    return [problem] if problem else []


def _database(params: dict[str, Any]) -> Any:
    return arguments.database(params)


def describe(result: Result, settings: Settings) -> Answer:
    """One company's transfer, as the modules return it."""
    owner, backup = result.authority, result.backup
    return {
        "actions": result.plan.by_type(),
        "keys": result.keys,
        "identity": result.identity,
        "digest": result.digest,
        "verified": result.verified,
        "bytes": result.bytes,
        "archived": result.archived,
        "backup": _backup_facts(Backups(settings.backup_dir, result.company_id), backup) if backup else None,
        "store": f"{owner.store} ({owner.evidence})" if owner else None,
        "seconds": result.seconds,
    }


def _diff(companies: dict[str, Answer], destination: str) -> dict[str, str]:
    """Counts by type, for --diff."""
    before, after = [], []
    for company, facts in companies.items():
        for key_type, count in facts["actions"].items():
            kept = count["unchanged"] + count["changed"]
            line = f"company {company} {key_type}: {{}} in the {destination}"
            before.append(line.format(kept + count["removed"]))
            changed = f", {count['changed']} of them changed" if count["changed"] else ""
            after.append(line.format(kept + count["added"]) + changed)
    return {"before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"}


def _from_os(error: OSError) -> Problem:
    """What the file system refused."""
    return Problem(
        "disk",
        str(error.filename or "the disk"),
        error.strerror or "it cannot be used",
        "Nothing of this company was changed. Look at the disk and at who owns the folder, then run again",
    )


def _message(problems: list[dict[str, str]], then: str) -> str:
    """The problems for people. `then`: what was done about them."""
    shown = [f"{each['where']}: {each['problem']}. {each['remedy']}" for each in problems[:_SHOWN]]
    more = len(problems) - len(shown)
    ends = [f"… and {more} more"] if more > 0 else []
    return mask("\n".join([*shown, *ends, *([f"Then {then}."] if then else [])]))


def _masked(answer: Answer) -> Answer:
    """The texts for people, with phone numbers masked; they stand in file names."""
    for name in ("problems", "findings"):
        with suppress(KeyError):
            answer[name] = [
                {key: mask(text) for key, text in each.items()} if isinstance(each, dict) else mask(each)
                for each in answer[name]
            ]
    for facts in answer.get("companies", {}).values():
        if "files" in facts and isinstance(facts["files"], dict):
            facts["files"]["leftovers"] = [mask(name) for name in facts["files"]["leftovers"]]
    return answer
