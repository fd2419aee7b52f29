"""Checks of what is around the app: space, backups, and our own runs. Pure."""

from __future__ import annotations

from ..node_host.problems import Problem
from .check import Note, Said, note
from .facts import Facts


def backups(facts: Facts) -> Said:
    found: list[Problem] = []
    another = "ansible-playbook deploy.yml --tags backup makes one"
    if facts.store == "database":  # the files are old there, and no deploy backs them up
        another = "the next move to the database makes one. Back up the database itself meanwhile (pg_dump)"
    for company, seen in facts.backups.items():
        where = f"company {company}"
        if seen["newest"] is None:
            what = "there is no verified backup of its files"
            if seen["originals"]:
                what += f" ({seen['originals']} folder(s) of the original script are there, which nobody has verified)"
            found.append(Note("backup_missing", where, what, another[:1].upper() + another[1:]))
        elif not seen["intact"]:
            what = f"{seen['newest']} is not what was read back when it was made"
            found.append(Problem("backup_damaged", where, what, f"Check the disk, and move it away; {another}"))
    return found or "; ".join(f"company {company}: {seen['newest']}" for company, seen in facts.backups.items())


def disk(facts: Facts) -> Said:
    found: list[Problem] = []
    for folder, (free, inodes, total) in facts.disks.items():
        if free < facts.limits.free_mb:
            what = (
                f"{free} MiB are free, fewer than {facts.limits.free_mb}: a full disk stops everything, and tears files"
            )
            found.append(
                Problem("disk_full", folder, what, "Make room: old backups, pm2 flush, journalctl --vacuum-size=200M")
            )
        if total and inodes < facts.limits.free_inodes:
            what = f"{inodes} inodes are free, fewer than {facts.limits.free_inodes}: no file can be made without one"
            found.append(Problem("inodes_full", folder, what, "Remove folders of many small files"))
    return found or ", ".join(f"{free} MiB free at {folder}" for folder, (free, _inodes, _total) in facts.disks.items())


def lock(facts: Facts) -> Said:
    if facts.lock is None:
        return "no run holds the lock"
    holder, state = facts.lock
    if state == "alive":
        return [Note("lock_held", "the lock", f"a run goes on: {holder}", "Wait for it, and look again")]
    what = f"it is held by {holder}, a run that {'is gone' if state == 'gone' else 'cannot be seen from here'}"
    remedy = "The next ansible-playbook deploy.yml, or rollback.yml, takes it over by itself"
    if state != "gone":
        remedy = "If it is dead: ansible-playbook deploy.yml -e lock_takeover=true, or rollback.yml with the same"
    return [Problem("lock_left", "the lock", what, remedy)]


def run(facts: Facts) -> Said:
    if facts.run is None:
        return "each cut-over came to its end"
    return [note(facts.run) if facts.run.code == "cutover_under_way" else facts.run]


def script(facts: Facts) -> Said:
    if facts.old_script is None:
        return "the original migration script is not there"
    what = "the original migration script: it splits names wrongly, and reports success whatever happens"
    return [
        Note(
            "old_script",
            facts.old_script,
            what,
            "Do not run it; deploy.yml moves the login. Remove it from the repository",
        )
    ]
