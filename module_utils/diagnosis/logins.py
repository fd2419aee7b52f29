"""Checks of the logins: who holds them, and whether each is one. Pure."""

from __future__ import annotations

from ..baileys_auth.schema import AUTH, KEYS
from ..node_host import dotenv
from ..node_host.problems import Problem
from .check import Note, Said, Unknown
from .database import NOT_READ
from .facts import Facts

_AUTHORITY = {"owned_elsewhere", "flag_against_record", "flag_without_login", "state_file"}
_COMPANIES = {"company_not_moved", "row_of_excluded", "sessions_missing"}
_OF_THE_DATABASE = {"psycopg_missing", "database_error", "login_twice"}


def authority(facts: Facts) -> Said:
    # What a TRUE means is the flag's own finding.
    others = {"flag_without_login"} | ({"flag_against_record"} if dotenv.is_unclear(facts.flag_value) else set())
    found = [each for each in facts.info_problems if each.code in _AUTHORITY - others]
    stores = [f"company {company} on the {seen['authority']['store']}" for company, seen in facts.info.items()]
    if not found and any(seen["authority"]["store"] is None for seen in facts.info.values()):
        return Unknown("which store owns the login is not known without the database: see the check database")
    return found or f"{', '.join(stores) or 'no login'}, as the flag has it"


def companies(facts: Facts) -> Said:
    found = [each for each in facts.info_problems if each.code in _COMPANIES]
    for name in facts.folders:
        what = "it is a login, in a folder that is not called company_<id>: a second spelling of a company, or a copy"
        found.append(
            Problem("company_spelling", f"{facts.sessions_dir}/{name}", what, "Move it out of the sessions folder")
        )
    return found or f"every company's folder is known: {', '.join(facts.companies)}"


def accounts(facts: Facts) -> Said:
    found = [each for each in facts.info_problems if each.code == "login_twice"]
    if facts.database.problems and not found:
        return Unknown(NOT_READ)
    spelled = [company for company in facts.database.accounts if company.startswith("company_")]
    for company in spelled:
        what = f"the database has a login under this spelling; the app asks for {company.removeprefix('company_')}"
        remedy = f"See which of the two is newer (updated_at in {AUTH}), then delete the other's rows"
        found.append(Problem("company_spelling", f"{AUTH} row {company}", what, remedy))
    by_account: dict[str, list[str]] = {}
    for company, account in facts.database.accounts.items():
        if account and company not in spelled:
            by_account.setdefault(account, []).append(company)
    for companies in by_account.values():
        if len(companies) > 1:
            what = "they hold the same account (creds.me.id): two processes would open one login"
            remedy = f"Delete the rows of the one that is not in use, in {AUTH} and {KEYS}"
            found.append(Problem("login_twice", f"companies {', '.join(companies)}", what, remedy))
    return found or "each account is one company, under one spelling"


def files(facts: Facts) -> Said:
    apart = _AUTHORITY | _COMPANIES | _OF_THE_DATABASE
    found = [each for each in facts.info_problems if each.code not in apart and not each.code.startswith("database_")]
    found += [
        Note("files", "the files", each, "Nothing has to be done while the bot runs well")
        for each in facts.info_warnings
    ]
    counts = [f"{seen['files']['count']} of company {company}" for company, seen in facts.info.items()]
    return found or f"{', '.join(counts)}, each whole and known"
