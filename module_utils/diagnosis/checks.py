"""Every known trouble of such a bot, one check each.

They are those of the runbook's own troubleshooting table, and those that such rollouts have met when they were done by
hand.
"""

from __future__ import annotations

from . import app, database, host, logins
from .check import Check, Line
from .facts import Facts

CHECKS = (
    Check("env", "the app has its flag and its connection to the database from there", app.env),
    Check("flag", "the app reads the last line, a person the first one; they may differ", app.flag),
    Check(
        "flag-in-pm2",
        "the app runs on another store than .env says, and a change of .env does nothing",
        app.flag_in_pm2,
    ),
    Check("pm2", "the app is started behind our back, or by nobody", app.pm2),
    Check("processes", "no message is read or sent, or only between two crashes", app.up),
    Check("reboot", "after a reboot the app comes back as it was once, or others read its secrets", app.reboot),
    Check("owners", "two processes on one login: error 440 in a loop, and lost keys", app.owners),
    Check("cron", "keys that are still needed vanish while nobody looks", app.cron),
    Check("phone", "the login does not work any more, in any store", app.phone),
    Check("logs", "the app itself says that something is wrong", app.log_lines),
    Check("app", "the app does not run on the login that it should run on", app.app),
    Check("store", "it looks done, while something still uses the other store", app.reads),
    Check("record", "which store holds the current keys is not certain", logins.authority),
    Check("companies", "with the flag on, the app makes a new login for a folder that was not moved", logins.companies),
    Check("accounts", "two processes on one login: error 440 in a loop, and lost keys", logins.accounts),
    Check("files", "a file that cannot be read is a key that is missing", logins.files),
    Check("database", 'without it the app cannot load its login: "Failed to load credentials"', database.database),
    Check("tables", 'the app cannot load its login: "Table whatsapp_auth does not exist"', database.tables),
    Check("access", "strangers can read, or change, every login", database.access),
    Check("indexes", "a write of the app fails, and with it a key", database.indexes),
    Check("rows", "the app finds no login, and makes a new one: the phone has to be paired again", database.rows),
    Check("key-types", "the app looks for keys where they are not: messages do not decrypt", database.key_types),
    Check("ttl", "keys that are written once are deleted by time", database.ttl),
    Check("cleanup", "the table grows, and the cleanup is off for a reason: mostly the flag", database.cleanup),
    Check("rest", 'the app cannot load its login, or loads none: "Failed to load credentials"', database.rest),
    Check("backups", "there is nothing to go back to when both stores are lost", host.backups),
    Check("disk", "everything on the host stops when it is full", host.disk),
    Check("lock", "nobody else can deploy or roll back", host.lock),
    Check("cut-over", "the host is half-way", host.run),
    Check("old-script", "somebody may run it", host.script),
)


def diagnose(facts: Facts) -> list[Line]:
    """What each of them says. Pure."""
    return [line for check in CHECKS for line in check.lines(facts)]
