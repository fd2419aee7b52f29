"""Checks of the app: its flag, its processes, and what it says. Pure."""

from __future__ import annotations

from ..node_host.problems import Problem
from .check import Note, Said, Unknown, note
from .facts import Facts, Seen

_LOGS = "pm2 logs --nostream --lines 100"


def env(facts: Facts) -> Said:
    if facts.env_problem is not None:
        return [facts.env_problem]
    if facts.env_mode & 0o007:
        what = f"every user of this host may read it (mode {facts.env_mode:04o}), and it holds the app's secrets"
        return [Note("env_readable", facts.env_file, what, f"chmod o= {facts.env_file}")]
    return f"{facts.env_file} can be read, and not by everybody"


def flag(facts: Facts) -> Said:
    if facts.env_problem is not None:
        return Unknown(".env could not be read")
    found: list[Problem] = []
    value = (facts.flag_value or "").strip().lower()
    if facts.flag_count > 1:
        what = f"{facts.flag} is set {facts.flag_count} times; the last one counts ({value})"
        found.append(Problem("flag_duplicated", facts.env_file, what, f"Leave one line: {facts.flag}={value}"))
    if facts.flag_value is not None and facts.flag_value not in ("true", "false"):
        what = f"the value of {facts.flag} is neither true nor false, so what the app makes of it is uncertain"
        found.append(Problem("flag_value", facts.env_file, what, f"Write {facts.flag}=true, or =false"))
    return (
        found or f"{facts.flag} is {facts.flag_value or 'not set (files)'}, {'once' if facts.flag_count else 'never'}"
    )


def flag_in_pm2(facts: Facts) -> Said:
    if not facts.processes:
        return Unknown("pm2 shows none of the processes")
    found: list[Problem] = []
    for each in facts.processes:
        where = f"pm2 process {each['name']}"
        if each["stored_flag"]:
            what = f"pm2 keeps {facts.flag}={each['stored_flag_value']} for it, which beats .env at each start"
            remedy = "ansible-playbook deploy.yml (or rollback.yml) starts it anew without, or says what comes first"
            found.append(Problem("pm2_flag_stored", where, what, remedy))
        elif each["process_flag_value"] is not None and each["process_flag_value"] != (facts.flag_value or "false"):
            what = f"it was started with {facts.flag}={each['process_flag_value']} in its environment; .env says"
            what += f" {facts.flag_value or 'nothing'}"
            remedy = (
                "Do not restart it: started on another store, it would leave there what it has written. Make .env say"
            )
            remedy += f" {facts.flag}={each['process_flag_value']}, then ansible-playbook deploy.yml, or rollback.yml"
            found.append(Problem("flag_overridden", where, what, remedy))
    return found or "no process has the flag from elsewhere than .env"


def pm2(facts: Facts) -> Said:
    problems = [Problem(**each) for each in facts.pm2.get("problems", [])]
    return problems or "pm2 knows the processes, and starts none of them by itself (watch, clock, cluster)"


def up(facts: Facts) -> Said:
    if not facts.processes:
        return Unknown("pm2 shows none of the processes")
    found: list[Problem] = []
    later = {each["pm_id"]: each for each in facts.later.get("processes", facts.processes)}
    for each in facts.processes:
        now = later.get(each["pm_id"], each)
        where, why = f"pm2 process {each['name']}", f"pm2 logs {each['name']} --err --nostream --lines 100"
        if now["restart_time"] > each["restart_time"] or (each["pid"] and now["pid"] and now["pid"] != each["pid"]):
            what = f"it crash-loops: pm2 started it anew while it was watched for {facts.watched_seconds:.0f} s"
            what += f" ({now['restart_time']} restarts in all)"
            found.append(Problem("process_crash_loop", where, what, f"Its error log says why: {why}"))
        elif each["name"] in facts.pm2.get("resting", []):
            what = "it is stopped, and optional: every run leaves it so"
            remedy = f"pm2 delete {each['name']} if it is retired; pm2 start {each['name']} if the app needs it"
            found.append(Note("process_resting", where, what, remedy))
        elif now["status"] != "online":
            start = "the error log says why" if now["status"] == "errored" else f"pm2 start {each['name']}"
            found.append(Problem("process_down", where, f"its status is {now['status']}", f"{start}. {why}"))
    return found or ", ".join(f"{each['name']} up for {_age(each['uptime_ms'] / 1000)}" for each in facts.processes)


def reboot(facts: Facts) -> Said:
    if not facts.pm2.get("daemon"):
        return Unknown("there is no pm2 daemon")
    found: list[Problem] = []
    for each in facts.pm2.get("observations", []):
        problem = Problem(**each)
        if problem.code == "pm2_not_saved":
            found.append(note(problem))
        elif problem.code in ("pm2_flag_saved", "pm2_dump_readable"):
            found.append(problem)
    named = {each["name"] for each in facts.processes}
    stale = [each for each in facts.pm2.get("unsaved", []) if each["name"] in named and each["saved"] is not None]
    for each in stale:
        what = f"a reboot would bring it back as {each['saved']}, and it is {each['now']}"
        found.append(
            Problem("pm2_dump_stale", f"pm2 process {each['name']}", what, "pm2 save, once all is as it should be")
        )
    for name in facts.pending:
        what = "it was deleted to be started anew, and the run that did so was cut off"
        found.append(
            Problem(
                "pm2_pending",
                f"pm2 process {name}",
                what,
                "Run what was cut off again: ansible-playbook deploy.yml, or ansible-playbook rollback.yml",
            )
        )
    return found or "a reboot brings the processes back as they are"


def owners(facts: Facts) -> Said:
    found = list(facts.strays)
    for company, said in (facts.health or {}).items():
        if said.get("connection") == "replaced":
            what = "WhatsApp has ended its connection since another process opened the same login (error 440)"
            found.append(
                Problem("login_replaced", f"company {company}", what, "Stop the other one: ps -ef | grep node")
            )
    return found or "no process but the app's own has the login open"


def cron(facts: Facts) -> Said:
    what = "a job of cron deletes in the folder of the logins, or cleans old keys up there"
    remedy = "Take it out (crontab -e, or that file): keys of the login must not be deleted by age"
    return [
        Problem("cron_cleanup", where, what, remedy) for where in facts.jobs
    ] or "no job of cron touches the login's files"


def phone(facts: Facts) -> Said:
    remedy = "No rollback repairs that, the login is gone in every store. Pair the phone again (QR code)"
    out = [
        company
        for company, said in (facts.health or {}).items()
        if said.get("connection") in ("logged_out", "unpaired")
    ]
    if out:
        what = "WhatsApp does not know this login any more (401, device_removed): the phone was unlinked"
        return [Problem("phone_unlinked", f"company {', '.join(out)}", what, remedy)]
    if facts.unlinked is not None:
        count, log, line = facts.unlinked
        what = f"{count} line(s) say that the phone was unlinked (401, device_removed), the last: {line}"
        return [Problem("phone_unlinked", log, what, remedy)]
    return "nothing says that the phone was unlinked"


def log_lines(facts: Facts) -> Said:
    if not facts.processes:
        return Unknown("pm2 shows none of the processes, so the logs are not known")
    found = []
    for name, (count, log, line) in facts.forbidden.items():
        what = f"{name!r} was written {count} time(s) since the start, or the cut-over; the last: {line}"
        remedy = _LOG_REMEDIES.get(
            name, f"Read around it: {_LOGS}. If messages stay unread: ansible-playbook rollback.yml"
        )
        found.append(Problem("log_forbidden", log, what, remedy))
    return found or f"nothing bad in {facts.log_lines} line(s)"


_LOG_REMEDIES = {
    "Failed to load credentials": "The checks database, tables and rest say why; then pm2 restart that log's process",
    "error 440": "Two processes have opened one login: the check owners names the other one; ps -ef | grep node",
}


def app(facts: Facts) -> Said:
    if not facts.health_url:
        return Unknown("no health endpoint is set (health_url)")
    if facts.health is None:
        return [Problem("health_silent", facts.health_url, "the app's health endpoint does not answer", _LOGS)]
    found: list[Problem] = []
    for company in facts.companies:
        said, where, stored = facts.health.get(company, {}), f"company {company}", _stored(facts, company)
        if said.get("store") is None:
            what = "the app's health endpoint does not tell of it: it has not loaded this login, or is of another kind"
            found.append(Problem("health_silent", where, what, _LOGS))
        elif said["store"] != facts.store:
            what = f"the app runs on the {said['store']}, and the flag in .env says {facts.store}"
            value = "true" if said["store"] == "database" else "false"
            remedy = f"Do not restart it. Make .env say {facts.flag}={value}, then ansible-playbook deploy.yml, or"
            remedy += " rollback.yml; the check flag-in-pm2 says what overrides it"
            found.append(Problem("other_store", where, what, remedy))
        elif stored.get("identity") and said.get("identity") not in (None, stored["identity"]):
            what = f"the app runs with another identity than the {facts.store} hold: it has made a NEW login"
            remedy = "Do not pair the phone again. Stop it, and go back: ansible-playbook rollback.yml"
            found.append(Problem("identity_changed", where, what, remedy))
    return found or f"the app says that it is on the {facts.store}, with the stored identity"


def _stored(facts: Facts, company: str) -> Seen:
    seen = facts.info.get(company, {})
    return (seen.get("database") if facts.store == "database" else seen.get("files")) or {}


def reads(facts: Facts) -> Said:
    """'Done', while the app still reads the old store."""
    if facts.store == "files":
        return "the flag names the files"
    found: list[Problem] = []
    for company, seen in facts.info.items():
        changed = (seen.get("since_transfer") or {}).get("files", 0)
        if changed and seen["files"]["present"]:
            what = f"{changed} of its old file(s) changed after the login moved to the database: something writes there"
            remedy = "The checks owners and cron name who; the check app, whether it is the app itself"
            found.append(Problem("old_store_written", f"company {company}", what, remedy))
    for schema, rows in facts.database.twins.items():
        if rows:
            what = f"it has tables of the same names, with {rows} row(s) written: the app may read those"
            remedy = "Compare the search_path of the app's role (SHOW search_path) with auth_state_schema"
            found.append(Problem("other_tables", f"schema {schema}", what, remedy))
    return found or "nothing has been written to the old files, or to tables elsewhere"


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
