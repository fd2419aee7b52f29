"""The steps of a cut-over, in either direction, and what follows when one of them fails."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..baileys_auth import values
from ..baileys_auth.archive import Backups
from ..baileys_auth.authority import DATABASE, FILES, StateFile, other
from ..baileys_auth.database import Database, connect, refusal
from ..baileys_auth.durable import exchange
from ..baileys_auth.errors import AuthStateError
from ..baileys_auth.folder import Listing
from ..baileys_auth.handover import Handover
from ..baileys_auth.identity import identity_digest
from ..baileys_auth.manifest import ManifestStore
from ..baileys_auth.names import CREDS, CREDS_FILE, Key
from ..baileys_auth.restore import restore
from ..baileys_auth.to_database import ToDatabase
from ..baileys_auth.to_files import ToFiles
from ..baileys_auth.transfer import MOVE, Result, Settings, current_authority
from ..node_host import dotenv, logs, pm2, pm2_states
from ..node_host.problems import HostError, Problem
from . import deadline, health, torn
from .journal import Journal
from .release import Release
from .rest import Rest

# Where the files come from on the way back.
FROM_DATABASE, BEST, AS_THEY_ARE, FROM_BACKUP = "database", "best", "files", "backup"

# Why a login cannot be copied back on the way back from a failed run: it is no more the one that was moved. Then what
# was verified before the switch is the best there is.
_OTHER_LOGIN = {"identity_changed", "row_missing", "rows_gone"}
_SHORT = 5  # seconds for what is only looked at, and can be done without
_STILL = 0.2  # seconds: nothing takes as long to write one file
_GONE = {"database_unreachable", "database_password", "database_tls", "database_error", "database_slow"}


Torn = dict[str, dict[Key, str]]  # by company, the files that are no whole JSON


@dataclass(frozen=True)
class Plan:
    """One cut-over. `to`: the app's store afterwards; `source`: where the files of a way back come from."""

    to: str
    companies: list[str]
    settings: Settings
    conninfo: str | None
    schema: str
    env_file: str
    flag: str
    processes: pm2_states.Wanted
    log_files: list[dict[str, Any]]
    uptime_seconds: float
    health_url: str | None
    health_timeout: float
    release: Release | None = None
    source: str = FROM_DATABASE
    backup: str = "newest"
    copy_timeout: float = 60

    def opposite(self) -> Plan:
        """The way back from this run, should it fail after the flag was switched.

        A store that was given up without a copy is what it was, and nothing may be copied over it.
        """
        return replace(
            self,
            to=other(self.to),
            source=BEST if self.copies else AS_THEY_ARE,
            release=None,
            settings=replace(self.settings, flag_store=self.to, check_mode=False, accept_key_loss=True),
        )

    @property
    def copies(self) -> bool:
        """Whether what one store has is copied to the other."""
        return self.source in (FROM_DATABASE, BEST)


@dataclass
class Outcome:
    """What came of it. `steps`: {name, seconds}; `frozen`: seconds from the owners' stop to their answer.

    `saved`: what else `pm2 save` changed in the list that a reboot brings back; None when it was not run.
    """

    store: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    marks: list[dict[str, Any]] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    frozen: float = 0.0
    archives: list[str] = field(default_factory=list)
    saved: list[dict[str, Any]] | None = None
    warnings: list[str] = field(default_factory=list)


class CutOver:
    """One run."""

    def __init__(self, plan: Plan, journal: Journal, run_id: str, told: bool = True) -> None:
        self.plan, self.journal, self.run_id = plan, journal, run_id
        self.store_before = plan.settings.flag_store
        self.outcome = Outcome(store=self.store_before)
        self._begun: list[str] = []
        self._frozen_at = time.monotonic()
        self._moves = plan.settings.flag_store != plan.to
        self._listings: dict[str, Listing] = {}
        self._identities: dict[str, str] = dict.fromkeys(plan.companies, "")
        self._known = dict(self._identities)  # on the store of before
        self._aside: dict[str, Path] = {}  # the folders in whose place a backup was put, by company
        self.untouched = True  # the app, until the stop
        # By the app, on which store its logins are, before. Back to what ran then, it is not asked for more.
        self.told = told
        self._back = plan.source == BEST

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """In the safe order: nothing runs while the last copy is made, and the flag follows the verified copy."""
        return [
            ("stop", self._stop),
            ("rest", self._rest),
            ("copy", self._copy),
            ("release", self._release),
            ("flag", self._flag),
            ("start", self._start),
            ("healthy", self._healthy),
            ("settle", self._settle),
        ]

    def carry_out(self) -> None:
        """Every step. Raises HostError when one fails; `revert` then brings the host back."""
        for name, do in self.steps():
            self.journal.write(self.run_id, "doing", step=name, to=self.plan.to)
            begun = time.monotonic()
            self._begun.append(name)
            do()
            self.outcome.steps.append({"name": name, "seconds": round(time.monotonic() - begun, 3)})
            self.journal.write(self.run_id, "done", step=name, to=self.plan.to)
        self.outcome.store = self.plan.to

    def revert(self) -> str:
        """Bring the host back to where it came from; says what was done. Raises HostError when that fails too."""
        if not (self._moves and self._switched()):
            self._undo_release()
            self._undo_restore()
            self._identities = self._known
            started = self._start_again(self.store_before)
            self._back = True
            if started or not self.untouched:
                self._answers(self.store_before)
            self._settle_on(self.store_before)
            how = "was started again" if started else "runs"
            return f"the app {how} on the {self.store_before}, as before; the flag was not switched"
        back = CutOver(self.plan.opposite(), self.journal, self.run_id, self.told)
        back._identities, back._back = dict(self._known), True
        for name, do in back.steps():
            self.journal.note(self.run_id, "doing", step=name, to=back.plan.to)
            (self._undo_release if name == "release" else do)()
            self.journal.note(self.run_id, "done", step=name, to=back.plan.to)
        self.outcome.store = back.plan.to
        self.outcome.warnings += back.outcome.warnings
        stands = f"the flag is as before, and it runs on the {back.plan.to}"
        if all(result.verified for result in back.outcome.results.values()):
            return f"what the app wrote meanwhile was copied back, {stands}"
        return f"what the app may have written meanwhile is in the {self.plan.to} alone, {stands}"

    def _undo_restore(self) -> None:
        """The folder of before, with the app stopped, where a backup was put in its place.

        Not where the database was given up for it: the files count for nothing then, and are known as they are.
        """
        back = [each for each in self._aside if self.store_before == FILES or each not in self.outcome.results]
        if back:
            pm2_states.carry_out(replace(self.plan.processes, state="stopped"))
        for company in back:
            exchange(self._aside.pop(company), self.plan.settings.folder(company))

    def _settle_on(self, store: str) -> None:
        """No move is under way any more: the flag, switched by hand, must not pass for the end of one."""
        settings = replace(self.plan.settings, flag_store=store, check_mode=False)
        try:
            with deadline.within(self.plan.copy_timeout, _too_slow), self.database(needed=False) as database:
                for company in filter(self._moving, self.plan.companies):
                    Handover(settings, database, store).settle(company)
        except Exception as error:
            # The app is up, and a record that could not be written is no reason to touch it again.
            self.outcome.warnings += [str(problem) for problem in problems_of(error)]

    def _moving(self, company: str) -> bool:
        """Whether a move of it was begun, by this run or by one that was killed."""
        record = StateFile(self.plan.settings.state_dir).record(company)
        return ("copy" in self._begun and self._moves) or (record is not None and record.moving_to is not None)

    def start_as_is(self) -> str:
        """The last resort: up on the store that the flag names, which is whole at every step of either way."""
        self.outcome.store = self.plan.to if self._switched() else other(self.plan.to)
        started = self._start_again(self.outcome.store)
        self.untouched &= not started
        self._back = True
        if not self.untouched:
            self._answers(self.outcome.store)
        self._settle_on(self.outcome.store)
        how = "was started" if started else "runs"
        return f"the app {how} on the {self.outcome.store}, as the flag says; its login is whole there"

    def _undo_release(self) -> None:
        """The commit of before, with the app stopped, when the new one was begun."""
        if self.plan.release is not None and "release" in self._begun:
            pm2_states.carry_out(replace(self.plan.processes, state="stopped"))
            (self.plan.release.activate if self.plan.release.back else self.plan.release.revert)()

    def _switched(self) -> bool:
        value, _count = dotenv.effective(self.plan.env_file, self.plan.flag)
        return dotenv.is_on(value) == (self.plan.to == DATABASE)

    # The steps

    def _stop(self) -> None:
        self._owners = pm2_states.Owners(replace(self.plan.processes, drop_stored=[self.plan.flag]))
        self._at_rest = Rest(self.plan.settings, self.plan.companies, self._owners.scripts)
        self._at_rest.look()  # this and the manifests are remembered, for what follows once they are stopped
        for company in self.plan.companies:
            ManifestStore(self.plan.settings.state_dir).load(company)
        self._known = {**self._known, **self._identities_before()}
        self._identities = {company: had or self._known[company] for company, had in self._identities.items()}
        self._mark_logs()  # one that cannot be read is found before the stop
        if not self._back:
            said = health.ask(self.plan.health_url or "") or {}
            if self._owners.online:  # else what the journal has of the last run
                self.told = any("store" in facts for facts in said.values())
        if not self.told:  # for whoever goes back from this run
            self.journal.note(self.run_id, "silent")
        self._frozen_at = time.monotonic()
        self.untouched = False
        self._owners.stop()
        # What they printed while they ended is none of the store's that they are started on.
        self._mark_logs()

    def _mark_logs(self) -> None:
        # One that a killed run has deleted, and that is started anew, pm2 does not list.
        listed = {source["path"] for source in self.plan.log_files}
        anew = [each for each in self.plan.processes.pm2().pending_logs() if each["path"] not in listed]
        self.outcome.marks = [logs.mark(source) for source in [*self.plan.log_files, *anew]]

    def _identities_before(self) -> dict[str, str]:
        """Of the logins that the app runs on, as far as they can be told: whoever starts it again has to find these."""
        found: dict[str, str] = {}
        settings = self.plan.settings
        with suppress(Exception):  # one that cannot be told is not asked for
            if self.store_before == FILES:
                for company in self.plan.companies:
                    creds = values.load(
                        values.canonical((settings.folder(company) / CREDS_FILE).read_bytes(), CREDS.type)
                    )
                    found[company] = identity_digest(creds)
            else:
                with deadline.within(_SHORT, _too_slow), self.database(needed=False) as database:
                    for company in self.plan.companies if database is not None else []:
                        found[company] = database.identity(company) or ""
        return found

    def _rest(self) -> None:
        if self.plan.to == FILES:
            if not self._moves and self.plan.source != FROM_BACKUP:  # it runs on these already
                self._mend_torn(self._torn(self._at_rest.look()))
            self._at_rest.prove()
            return
        self._listings = self._at_rest.look()
        if self._moves and self.plan.copies and self._mend_torn(self._torn(self._listings)):
            self._listings = self._at_rest.look()
        self._at_rest.nobody_else(())
        # That the files are still is seen after the copy (on the way back the copy changes them itself).

    def _mend_torn(self, found: Torn) -> bool:
        """First of all: should a later step fail, the app starts on these files again. Whether there was any."""
        if not any(found.values()):
            return False
        try:
            with deadline.within(self.plan.copy_timeout, _too_slow), self.database(needed=False) as database:
                self._mend(database, found)
        except Exception as error:
            if not codes_of(error) & _GONE:
                raise
            self._mend(None, found)
        return True

    def _mend(self, database: Database | None, found: Torn) -> None:
        """Those of them that are torn still: a try before this one may have mended some."""
        for company, files in found.items():
            torn_now = self._torn(self._look(company), gone=True)[company]
            left = {key: name for key, name in files.items() if key in torn_now}
            self.outcome.warnings += torn.mend(self.plan.settings, database, company, left) if left else []

    def _torn(self, listings: dict[str, Listing], *, gone: bool = False) -> Torn:
        settings = self.plan.settings
        return {company: torn.find(settings, company, listing, gone=gone) for company, listing in listings.items()}

    def _look(self, company: str) -> dict[str, Listing]:
        return Rest(self.plan.settings, [company], ()).look()

    def _copy(self) -> None:
        if self.plan.to == FILES and self.plan.source == FROM_BACKUP:
            self._restore()
        copies = self.plan.copies
        settings = replace(self.plan.settings, authority=MOVE, check_mode=False)
        try:
            with (
                deadline.within(self.plan.copy_timeout, _too_slow),
                self.database(needed=copies or self.plan.to == DATABASE) as database,
            ):
                for company in self.plan.companies:
                    if not (copies and is_there(self.plan.to, settings, database, company)):
                        self._keep(company, self._move(settings, database, company, copies=copies))
        except Exception as error:
            # Files do without the database, unless it is what they come from.
            if self.plan.to != FILES or self.plan.source == FROM_DATABASE or not codes_of(error) & _GONE:
                raise
            for company in self.plan.companies:
                if company not in self.outcome.results:
                    self._keep(company, self._take_as_is(settings, None, company))
        if self.plan.to == DATABASE:
            self._at_rest.still()

    def _move(self, settings: Settings, database: Database | None, company: str, *, copies: bool) -> Result:
        if not copies or database is None:
            return self._take_as_is(settings, database, company)
        try:
            if self.plan.to == FILES:
                return ToFiles(settings, database).run(company)
            return ToDatabase(settings, database, self._listings).run(company)
        except HostError as error:
            if self.plan.source != BEST or not codes_of(error) & _OTHER_LOGIN:
                raise
            return self._take_as_is(settings, database, company)

    def _take_as_is(self, settings: Settings, database: Database | None, company: str) -> Result:
        """The store as it is, without what the other one holds; where the database answers, that is archived first."""
        accepting = settings
        if self.plan.source == BEST:  # what the other one holds, another login even, is what the run has failed with
            accepting = replace(settings, accept_key_loss=True, conflict=self.plan.to)
        return Handover(accepting, database, self.plan.to).abandon(company)[0]

    def _keep(self, company: str, result: Result) -> None:
        self.outcome.results[company] = result
        self._identities[company] = result.identity or self._identities.get(company, "")

    def _restore(self) -> None:
        settings = self.plan.settings
        for company in self.plan.companies:
            backups = Backups(settings.backup_dir, company)
            folder = settings.folder(company)
            path, aside = restore(backups, self.plan.backup, folder, settings.state_dir, settings.names)
            self.outcome.archives.append(str(path))
            if aside is not None:
                self._aside[company] = aside

    def _release(self) -> None:
        if self.plan.release is not None:
            self.plan.release.apply()

    def _flag(self) -> None:
        self.write_flag()

    def write_flag(self, *, dry_run: bool = False) -> dotenv.Edit:
        """The flag's one line in .env; `dry_run`: only what would change."""
        return dotenv.write_flag(self.plan.env_file, self.plan.flag, self._flag_value(), dry_run=dry_run)

    def _flag_value(self) -> str:
        return "true" if self.plan.to == DATABASE else "false"

    def _start(self) -> None:
        self._owners.start()

    def _start_again(self, store: str) -> bool:
        """Those that do not run, where the app finds its login; what the stop has torn of the files is mended first.

        Whether there were any: they may never have been stopped, or somebody else has brought them up.
        """
        seen = pm2_states.look(self.plan.processes)
        if self._all_run(seen):
            return False
        if store == FILES:
            self._mend_before_start()
        else:
            self._check_rows_before_start()
        wanted = replace(self.plan.processes, state="started", window_seconds=0, drop_stored=[self.plan.flag])
        self.untouched &= not any(each["stored_flag"] for each in seen["processes"])  # these are made anew
        pm2_states.carry_out(wanted)
        return True

    def _all_run(self, seen: dict[str, Any]) -> bool:
        well = [each["status"] == "online" and not each["stored_flag"] for each in seen["processes"]]
        return bool(well) and all(well) and self.plan.processes.needed(seen["pending"]).isdisjoint(seen["missing"])

    def _mend_before_start(self) -> None:
        """Raises where creds.json is torn and stays so. Whatever else is wrong with the files, the app was up on it."""
        for company in self.plan.companies:
            found: dict[Key, str] = {}
            try:
                found = self._torn_for_good(company)
                self._mend_torn({company: found})
            except Exception as error:
                if CREDS in found:
                    raise
                self.outcome.warnings += [str(problem) for problem in problems_of(error)]

    def _check_rows_before_start(self) -> None:
        """Raises where the database answers, and has no row of a login. One that does not, the app waits for."""
        try:
            with deadline.within(_SHORT, _too_slow), self.database(needed=False) as database:
                check_logins(database, self.plan.companies, _NOT_STARTED)
        except Exception as error:  # whatever it is that cannot be looked at, the app does not stay down for it
            if "row_missing" in codes_of(error):
                raise

    def _torn_for_good(self, company: str) -> dict[Key, str]:
        """Looked at twice: an owner that the failed stop has left running may be writing one."""
        first = self._look(company)
        found = self._torn(first, gone=True)[company]
        if not found:
            return {}
        time.sleep(_STILL)
        second = self._look(company)
        before, now = first[company].signatures, second[company].signatures
        return {
            key: name
            for key, name in self._torn(second, gone=True)[company].items()
            if key in found and before.get(key) == now.get(key)
        }

    def _healthy(self) -> None:
        """The app answers on its store; then it is watched until it has been up for a while."""
        self._answers(self.plan.to)
        self.outcome.frozen = round(time.monotonic() - self._frozen_at, 3)
        wanted = replace(self.plan.processes, state="started", window_seconds=self.plan.uptime_seconds)
        self.outcome.processes = pm2_states.carry_out(wanted)["processes"]
        self._flag_is_seen()
        self._mend_saved_list()
        self._at_rest.nobody_else([each["pid"] for each in self.outcome.processes if each["pid"]])

    def _answers(self, store: str) -> None:
        if self.plan.health_url and (self.told or not self._back):
            health.wait(self.plan.health_url, store, self._identities, self.plan.health_timeout)

    def _flag_is_seen(self) -> None:
        """The flag read back from the started processes: dotenv reads .env only for what they do not have already."""
        value = self._flag_value()
        others = [each["name"] for each in self.outcome.processes if each["process_flag_value"] not in (None, value)]
        if others:
            raise HostError(
                Problem(
                    "flag_overridden",
                    ", ".join(others),
                    f"started with another {self.plan.flag} in its environment, which beats {self.plan.env_file}",
                    "Look for it in the ecosystem file",
                )
            )

    def _mend_saved_list(self) -> None:
        """A flag in pm2's saved list would come back with a reboot, and beat .env. One without is only closed."""
        host = self.plan.processes.pm2()
        saved = host.saved(self.plan.flag)
        flagged = any(saved["processes"].get(name, {}).get("stored_flag") for name in self.plan.processes.names)
        if flagged:
            self.outcome.saved = pm2.unsaved(host.processes(), saved)
            host.save()
        else:
            host.close_saved()

    def _settle(self) -> None:
        """The app runs and has written: a database that is gone by now is no reason to go back to what is older.

        The host's own copy of the record is the later one then, and counts.
        """
        settings = replace(self.plan.settings, flag_store=self.plan.to, check_mode=False)
        try:
            with deadline.within(self.plan.copy_timeout, _too_slow), self.database(needed=True) as database:
                self._write_record(settings, database)
        except Exception as error:
            if not codes_of(error) & _GONE:
                raise
            self.outcome.warnings += [
                f"{each.where}: {each.problem}. The record is on this host alone" for each in problems_of(error)
            ]
            self._write_record(settings, None)

    def _write_record(self, settings: Settings, database: Database | None) -> None:
        for company in self.plan.companies:
            Handover(settings, database, self.plan.to).settle(company)

    def database(self, *, needed: bool) -> _Connection:
        return _Connection(self.plan.conninfo, self.plan.schema, needed)


def is_there(store: str, settings: Settings, database: Database | None, company: str) -> bool:
    """Whether the login has been moved there already: by a run that was killed after it had switched the flag."""
    if database is None:
        return False
    with database.transaction(snapshot=True):
        state, row_exists = StateFile(settings.state_dir), database.has_login(company)
        found = current_authority(settings, database, state, company, row_exists=row_exists)
    return found.store == store


def check_logins(database: Database | None, companies: list[str], remedy: str) -> None:
    """Raise HostError for logins whose row is gone: the app would make new ones."""
    if database is None:
        return
    with database.transaction():
        gone = [company for company in companies if not database.has_login(company)]
    if gone:
        raise HostError(
            Problem(
                "row_missing",
                f"company {', '.join(gone)}, table whatsapp_auth",
                "its row is gone: started on the database, the app would make a new login",
                remedy,
            )
        )


_NOT_STARTED = (
    "The app was not started. Bring the row back, or go back to files as they are: ansible-playbook rollback.yml"
    " -e rollback_source=files -e accept_key_loss=true"
)


def _too_slow(seconds: float) -> Exception:
    return AuthStateError(
        Problem(
            "database_slow",
            "the database",
            f"the copy was not through after {seconds:g} s, with the app stopped",
            "Look at the way to the database and at its load, and run again when it answers fast",
        )
    )


class _Connection:
    """The database, or None where it is not needed and cannot be reached."""

    def __init__(self, conninfo: str | None, schema: str, needed: bool) -> None:
        self._conninfo, self._schema, self._needed = conninfo, schema, needed
        self._context: Any = None

    def __enter__(self) -> Database | None:
        if not self._conninfo:
            return None
        self._context = connect(self._conninfo)
        try:
            return Database(self._context.__enter__(), self._schema)
        except AuthStateError:
            self._context = None
            if self._needed:
                raise
            return None

    def __exit__(self, *error: Any) -> None:
        if self._context is not None:
            self._context.__exit__(*error)


def codes_of(error: Exception) -> set[str]:
    return {problem.code for problem in problems_of(error)}


def problems_of(error: Exception) -> list[Problem]:
    """What an error says to an operator; one of ours says it itself."""
    if isinstance(error, HostError):
        return error.problems
    if isinstance(error, OSError):
        where = str(error.filename or "the disk")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Make room there (old backups, `pm2 flush`), then run again" if full else "Fix it and run again"
        return [Problem("disk_full" if full else "system", where, error.strerror or "it failed", remedy)]
    try:
        return [refusal(error, "the database")]
    except Exception:
        kind = type(error).__name__
        return [Problem("unexpected", "auth_state_cutover", f"{kind}, a defect", "Report it with the journal")]
