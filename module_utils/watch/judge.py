"""What a pass saw, held against the pass before it: what is wrong, and the verdict. Pure.

`seen` is what `observe` returns; `before` is the entry of the last pass after the same cut-over, None for the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..baileys_auth.consistency import LASTING
from ..node_host.log_rates import Rate
from ..node_host.problems import Problem

GOOD, BAD, UNLINKED, ROLLED_BACK = "good", "bad", "unlinked", "rolled_back"
_MAY_EXPIRE = {"lid-mapping"}
# A cut-over that was killed, or whose way back failed: the flag alone does not say that the bot runs.
_LEFT_UNDONE = {"cutover_unfinished", "cutover_broken"}
_LOGS = "pm2 logs --nostream --lines 100"
_ROWS_BACK = (
    "Look for a cleanup job that deletes them, and bring them back from a backup of the database. The files have them"
    " as they were at the move: ansible-playbook rollback.yml -e rollback_source=files -e accept_key_loss=true"
)
_BACK = "If it stays so, go back: ansible-playbook rollback.yml"
Seen = Mapping[str, Any]
Rule = Callable[["Pass"], Iterator[Problem]]


@dataclass(frozen=True)
class Limits:
    """What an operator may set. 0: not judged."""

    cleanup_hours: float = 6
    latency_ms: float = 1000
    memory_mb: float = 0
    restarts: int = 0
    quiet_hours: float = 0


@dataclass(frozen=True)
class Pass:
    """One pass and the one before. `hours`: since that one; for the first, since the cut-over."""

    seen: Seen
    before: Seen | None
    hours: float
    at: datetime
    limits: Limits
    memory: Mapping[str, Any]

    def companies(self) -> Iterator[tuple[str, Seen, Seen | None]]:
        """(company, as it is, as it was at the pass before)."""
        for company, facts in self.seen["companies"].items():
            yield company, facts, self.before["companies"].get(company) if self.before else None


def judge(this: Pass) -> tuple[str, list[Problem]]:
    """(verdict, what is wrong)."""
    if this.seen["store"] == "files":
        left_undone = [each for each in _what_the_modules_say(this) if each.code in _LEFT_UNDONE]
        return (BAD if left_undone else ROLLED_BACK), left_undone
    found = [problem for rule in RULES for problem in rule(this)]
    if any(problem.code == "phone_unlinked" for problem in found):
        return UNLINKED, found
    return (BAD if found else GOOD), found


def remember(before: Mapping[str, Any], seen: Seen, at: datetime) -> dict[str, str]:
    """When what comes only now and then was seen last: the cleanup's line, a message. `before`: as of the last pass."""
    now, memory = at.isoformat(), dict(before)
    if seen["logs"]["counts"].get("cleanup") or "cleanup" not in memory:
        memory["cleanup"] = now
    if any(seen["messages"].values()) or "message" not in memory:
        memory["message"] = now
    return memory


# Each rule says what it finds wrong.


def _what_the_modules_say(this: Pass) -> Iterator[Problem]:
    for problem in this.seen["problems"]:
        yield Problem(**problem)


def _unlinked(this: Pass) -> Iterator[Problem]:
    health = (this.seen["health"] or {}).get("companies", {})
    out = sorted(company for company, facts in health.items() if facts.get("connection") == "logged_out")
    lines = this.seen["logs"]["counts"].get("unlinked", 0)
    if out or lines:
        yield Problem(
            "phone_unlinked",
            f"company {', '.join(out or this.seen['companies'])}",
            "WhatsApp has logged this login out (401, device_removed): the phone was unlinked",
            "No rollback repairs that, the login is gone in every store: pair the phone again",
        )


def _processes(this: Pass) -> Iterator[Problem]:
    if this.before is not None and this.before["run"] == this.seen["run"]:
        since, earlier = "the last pass", {each["name"]: each["restarts"] for each in this.before["processes"]}
    else:
        since = "the cut-over"
        earlier = {each["name"]: each.get("restarts_at_start") for each in this.seen["processes"]}
    for each in this.seen["processes"]:
        where = f"pm2 process {each['name']}"
        logs = f"See why: pm2 logs {each['name']} --nostream --err --lines 100"
        if each["status"] != "online":
            start = f"pm2 restart {each['name']}. {logs}"
            yield Problem("process_down", where, f"its status is {each['status']}", start)
        before = earlier.get(each["name"])
        restarts = 0 if before is None else each["restarts"] - before
        if restarts > this.limits.restarts:
            what = f"pm2 has restarted it {restarts} time(s) since {since}"
            yield Problem("process_restarted", where, what, logs)
        megabytes = each["memory_bytes"] / (1 << 20)
        if 0 < this.limits.memory_mb < megabytes:
            wanted = f"it takes {megabytes:.0f} MiB, and {this.limits.memory_mb:g} are allowed"
            yield Problem("process_memory", where, wanted, f"Look whether it grows from pass to pass. {logs}")


def _forbidden_lines(this: Pass) -> Iterator[Problem]:
    logs = this.seen["logs"]
    for name, count in logs["forbidden"].items():
        usual = Rate(**logs["usual"][name]) if name in logs["usual"] else Rate()
        if count > usual.allows(this.hours * 3600):
            first = next((each for each in logs["shown"] if each["name"] == name), {})
            before = f" ({usual.per_hour:.1f} an hour before the deploy)" if usual.per_hour else ""
            yield Problem(
                "log_forbidden",
                f"log of {first.get('process') or first.get('path') or 'the processes'}",
                f"{name!r} was written {count} times since the last pass{before}, first: {first.get('line', '')}",
                f"Read the log around it ({_LOGS}). {_BACK}",
            )
    for path in logs["gaps"]:
        yield Problem(
            "log_gap",
            path,
            "it was rotated, and the copy with the lines since the last pass was not found: nobody has read them",
            "Keep at least one rotated copy for a day (logrotate: rotate, pm2-logrotate: retain)",
        )


def _cleanup(this: Pass) -> Iterator[Problem]:
    period = this.limits.cleanup_hours
    quiet = (this.at - datetime.fromisoformat(this.memory["cleanup"])).total_seconds() / 3600
    if period and quiet > period + 0.5:
        yield Problem(
            "cleanup_silent",
            "logs of the processes",
            f"no cleanup was logged for {quiet:.0f} h; it runs every {period:g} h",
            "Check the flag in .env, and that the app was started since: pm2 restart "
            + " ".join(each["name"] for each in this.seen["processes"]),
        )
    for company, facts, _ in this.companies():
        hours = facts["expired_for"] / 3600
        if period and hours > period:
            yield Problem(
                "cleanup_stopped",
                f"company {company}, table whatsapp_keys",
                f"{facts['expired']} expired row(s) are still there, the oldest for {hours:.0f} h: no cleanup works",
                "Run it by hand: SELECT cleanup_expired_whatsapp_keys(); then see why the worker does not",
            )


def _database(this: Pass) -> Iterator[Problem]:
    database = this.seen["database"]
    if not database["reachable"]:
        return  # what the module says tells why
    if 0 < this.limits.latency_ms < database["latency_ms"]:
        yield Problem(
            "database_slow",
            "the database",
            f"it takes {database['latency_ms']:.0f} ms to answer, and {this.limits.latency_ms:g} are allowed",
            "Look at its load and at the network in between",
        )


def _rows(this: Pass) -> Iterator[Problem]:
    for company, facts, earlier in this.companies():
        rows = facts["rows"]
        if rows is None:
            continue
        where = f"company {company}, table whatsapp_keys"
        if not facts["present"]:
            yield Problem(
                "row_missing",
                f"company {company}, table whatsapp_auth",
                "its row is gone: at its next start the app makes a new login",
                "Do not restart the app: the login is in its memory, and it writes the row again with its next change."
                " Send it a message; once the row is back, go back: ansible-playbook rollback.yml",
            )
        past = (earlier or {}).get("rows") or {}
        for key_type in LASTING:
            if past.get(key_type) and not rows.get(key_type):
                what = f"all {past[key_type]} rows of type {key_type} are gone"
                yield Problem("rows_gone", where, what, _ROWS_BACK)
        wrong = sorted(set(facts["expiring_types"]) - _MAY_EXPIRE)
        if wrong:
            yield Problem(
                "ttl_on_keys",
                where,
                f"rows of type {', '.join(wrong)} have an expiry: they are written once, and the cleanup deletes them",
                "UPDATE whatsapp_keys SET expires_at = NULL WHERE key_type <> 'lid-mapping', and see what sets it",
            )


def _store(this: Pass) -> Iterator[Problem]:
    if this.seen["flag"] != "true":
        said = this.seen["flag"] or "not set"
        yield Problem(
            "flag_off",
            ".env",
            f"the flag is {said}, and the record says that the database holds the login",
            "Somebody switched it by hand. Set it to true again before the app restarts, or roll back:"
            " ansible-playbook rollback.yml",
        )
    health = this.seen["health"]
    if health is None:
        return
    if not health["answers"]:
        yield Problem("health", health["url"], "the app's health endpoint does not answer", f"See its log: {_LOGS}")
        return
    for company in this.seen["companies"]:
        said = health["companies"].get(company, {})
        where = f"company {company}"
        if said.get("store") != "database":
            what = f"the app says that it runs on {said.get('store', 'nothing')}"
            yield Problem("wrong_store", where, what, "See the flag, and whether all processes were restarted with it")
        if said.get("connection") in ("replaced", "unpaired", "offline", "connecting"):
            what = f"its connection to WhatsApp is {said['connection']}"
            yield Problem("not_connected", where, what, f"See its log: {_LOGS}")


def _identity(this: Pass) -> Iterator[Problem]:
    """By the row and by the app's own word, which need not have a health endpoint."""
    told = (this.seen["health"] or {}).get("companies", {})
    for company, facts, earlier in this.companies():
        known = (earlier or facts)["identity"]
        if known and {told.get(company, {}).get("identity"), facts["identity"]} - {None, known}:
            yield Problem(
                "identity_changed",
                f"company {company}",
                "the app has another identity: it did not find the login and made a new one",
                "Do not pair the phone again: go back to the login that works: ansible-playbook rollback.yml."
                " Only if it was paired again on purpose there is nothing to do",
            )


def _old_files(this: Pass) -> Iterator[Problem]:
    for company, facts, earlier in this.companies():
        files, past = facts["files"], (earlier or {}).get("files")
        if not past or files["digest"] == past["digest"]:
            continue
        fewer = past["count"] - files["count"]
        what = f"{fewer} of its {past['count']} old files are gone"
        if fewer <= 0:
            what = f"of its {past['count']} old files some were changed or added"
        yield Problem(
            "old_files_changed",
            f"company {company}, its old files",
            f"{what} since the last pass, and nothing should touch them: they are the way back without the database",
            "Look for old cleanup jobs (crontab -l, pm2 ls) and for a process that still runs on files",
        )


def _messages(this: Pass) -> Iterator[Problem]:
    quiet = (this.at - datetime.fromisoformat(this.memory["message"])).total_seconds() / 3600
    if 0 < this.limits.quiet_hours < quiet:
        yield Problem(
            "no_messages",
            "logs of the processes",
            f"no message was sent or received for {quiet:.0f} h, and {this.limits.quiet_hours:g} h are allowed",
            "Send one: ansible-playbook deploy.yml --tags smoke. If it is not answered, see the error log",
        )


RULES: tuple[Rule, ...] = (
    _what_the_modules_say, _unlinked, _processes, _forbidden_lines, _cleanup, _database, _rows, _store, _identity,
    _old_files, _messages,
)  # fmt: skip
