"""What stops a deploy: a finding of its own for each bad input, and nothing changed.

The hosts are copies of the sandbox's app with something wrong, deployed to by one run; they share database and pm2.
What does not get in each other's way is wrong with one host at once: each task costs its time on each host.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from driver import COMPANY, PROJECT, Run, Sandbox, files_below

Variables = dict[str, Any]


@dataclass(frozen=True)
class BadInput:
    """One thing wrong with a host: what is done to its files, its variables, and words that its finding must have."""

    said: list[str]
    harm: Callable[[Sandbox], None] = lambda _host: None
    variables: Callable[[Sandbox], Variables] = lambda _sandbox: {}


def given(**variables: Any) -> Callable[[Sandbox], Variables]:
    return lambda _sandbox: variables


def login_file(name: str, text: str) -> Callable[[Sandbox], None]:
    return lambda host: (host.company / name).write_text(text) and None


def no_creds(host: Sandbox) -> None:
    (host.company / "creds.json").unlink()


def local_fix(host: Sandbox) -> None:
    (host.app / "src" / "worker.js").write_text("// mine\n")


def settings_in_git(host: Sandbox) -> None:
    host.git("add", "--force", ".env")


def second_company(host: Sandbox) -> None:
    folder = host.company.with_name("company_555111")
    folder.mkdir()
    creds = json.loads((host.company / "creds.json").read_text())
    creds["me"]["id"] = "79990001122:1@s.whatsapp.net"
    (folder / "creds.json").write_text(json.dumps(creds))


def wrong_password(sandbox: Sandbox) -> Variables:
    return {"database_url": sandbox.database_url.replace(urlsplit(sandbox.database_url).password or "", "not-this")}


def nobody_listens(sandbox: Sandbox) -> Variables:
    url = urlsplit(sandbox.database_url)
    return {"database_url": urlunsplit(url._replace(netloc=f"{url.netloc.rsplit(':', 1)[0]}:1"))}


BAD_INPUTS = {
    "company without folder": BadInput(
        ["company_100500", "no such folder", "Check the company id"], variables=given(company_ids=[COMPANY, "100500"])
    ),
    "creds missing": BadInput(["no creds.json", f"company_{COMPANY}", "Restore"], no_creds),
    "creds empty": BadInput([f"company_{COMPANY}/creds.json", "Restore"], login_file("creds.json", "")),
    "creds torn": BadInput(
        [f"company_{COMPANY}/creds.json", "no JSON", "Restore"],
        login_file("creds.json", '{"noiseKey":{"private":{"type"'),
    ),
    "key file that is no JSON": BadInput(
        [f"company_{COMPANY}/pre-key-77.json", "no JSON", "Restore"], login_file("pre-key-77.json", "nonsense")
    ),
    "unknown file": BadInput(
        ["not Baileys keys: notes.txt", f"company_{COMPANY}", "Move them out"], login_file("notes.txt", "x")
    ),
    "database down": BadInput(["the database", "Connection refused", "Start it"], variables=nobody_listens),
    "wrong password": BadInput(["the database", "Correct the password in database_url"], variables=wrong_password),
    "table missing": BadInput(
        ["whatsapp_auth", "schema public", "Apply the SQL migration"], variables=given(auth_state_manage_schema=False)
    ),
    "unknown process": BadInput(
        ["process no-such-worker", "Correct the name"], variables=given(cutover_processes=[{"name": "no-such-worker"}])
    ),
    "branch missing": BadInput(
        ["no branch no/such-branch", "origin", "release_branch"],
        variables=given(release_branch="no/such-branch"),
    ),
    "changed tracked file": BadInput(["src/worker.js", "release_local_changes=patch"], local_fix),
    "settings in git": BadInput(["Tracked by git: .env.", "rm -r --cached", ".gitignore"], settings_in_git),
    "second company": BadInput(["company_555111", "auth_state_excluded_companies"], second_company),
    "full disk": BadInput(["MiB are free", "Make room"], variables=given(preflight_free_mb=10**9)),
}
# Each host with what is wrong with it; between them each bad input is there, and one alone is enough.
HOSTS = {
    "no_creds": ["creds missing", "database down", "unknown process", "branch missing"],
    "empty_creds": ["creds empty", "wrong password", "changed tracked file", "settings in git"],
    "torn_creds": ["creds torn", "table missing", "full disk"],
    "torn_key": ["key file that is no JSON", "company without folder"],
    "stranger": ["unknown file", "second company"],
}
# Without the right variables nothing else can be looked at; these too come all at once.
# Nothing hostile is ever carried out, or taken for a path. Each of them alone: tests/unit/test_preflight_variables.py
HOSTILE = ["../../etc", "962302\n555111", '962302"', "962302'; DROP TABLE whatsapp_auth; --", "$(touch carried-out)"]
BAD_VARIABLES = {
    "company_as_number": BadInput(["in quotes"], variables=given(company_ids=[int(COMPANY)])),
    "hostile_companies": BadInput(["each is digits only"], variables=given(company_ids=[COMPANY, *HOSTILE])),
    "several_variables": BadInput(
        ["company_ids", "release_local_changes", "auth_state_backup_keep"],
        variables=given(company_ids=["../etc"], release_local_changes="maybe", auth_state_backup_keep="many"),
    ),
}


@dataclass(frozen=True)
class Fleet:
    """The run on all hosts, and what was on each before and after."""

    run: Run
    before: dict[str, Any]
    after: dict[str, Any]
    apps: list[Path]


@pytest.fixture(scope="module")
def fleet(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    root = tmp_path_factory.mktemp("hosts")
    hosts: dict[str, Variables] = {}
    wrong = {name: [BAD_INPUTS[each] for each in inputs] for name, inputs in HOSTS.items()}
    for name, inputs in (wrong | {name: [bad] for name, bad in BAD_VARIABLES.items()}).items():
        host = Sandbox(root / name)
        host.root.mkdir()
        shutil.copytree(sandbox.app, host.app, ignore=shutil.ignore_patterns("node_modules"), symlinks=True)
        (host.app / "node_modules").mkdir()
        for bad in inputs:
            bad.harm(host)
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        # psycopg as the controller's Python has it: that every host gets its own is another test's business.
        hosts[name] = {**local, "app_dir": str(host.app), "psycopg_source": "auto"}
        for bad in inputs:
            hosts[name] |= bad.variables(sandbox)
    inventory = root / "hosts.json"
    inventory.write_text(json.dumps({"whatsapp": {"hosts": hosts}}))

    def seen() -> dict[str, Any]:
        shared = {"rows": sandbox.rows(), "processes": sandbox.processes()}
        return shared | {name: files_below(root / name / "ai-admin") for name in hosts}

    before = seen()
    # All at once: one after the other, the first would stop the rest.
    at_once = ("-e", json.dumps({"fleet_serial": ["100%"]}))
    hosts_only = ("-i", "inventory/sandbox", "-i", str(inventory), "-l", "whatsapp:!sandbox")
    run = sandbox.play("deploy.yml", *hosts_only, *at_once)
    return Fleet(run, before, seen(), [root / name / "ai-admin" for name in hosts])


def findings(message: str) -> list[str]:
    """Each with its number, where it is and what to do about it."""
    found = re.split(r" (?=\d+\. )", message)[1:]
    assert [each.split(". ")[0] for each in found] == [str(number) for number in range(1, len(found) + 1)]
    assert all(re.search(r" where: .+ do: .+", each) for each in found), found
    return found


@pytest.mark.parametrize(("host", "name"), [(host, name) for host, inputs in HOSTS.items() for name in inputs])
def test_one_finding_of_its_own(fleet: Fleet, host: str, name: str) -> None:
    """It names the host, the place and the remedy."""
    told = [each for each in findings(fleet.run.message(host)) if all(word in each for word in BAD_INPUTS[name].said)]
    assert len(told) == 1, fleet.run.message(host)
    assert f" where: {host}: " in told[0]


@pytest.mark.parametrize("host", HOSTS)
def test_all_at_once_and_nothing_else(fleet: Fleet, host: str) -> None:
    count = len(HOSTS[host])
    things = "1 thing has" if count == 1 else f"{count} things have"
    message = fleet.run.message(host)
    assert f"Nothing was changed. {things} to be put right first" in message
    assert len(findings(message)) == count, message


def test_each_is_wrong_with_a_host() -> None:
    assert sorted(name for inputs in HOSTS.values() for name in inputs) == sorted(BAD_INPUTS)


@pytest.mark.parametrize("host", BAD_VARIABLES)
def test_wrong_variables_are_said_at_once(fleet: Fleet, host: str) -> None:
    message = fleet.run.message(host)
    assert f"Nothing was changed. The variables of {host} are not complete" in message
    for words in BAD_VARIABLES[host].said:
        assert words in message


def test_every_host_failed_and_nothing_changed(fleet: Fleet) -> None:
    assert fleet.run.rc != 0
    for host in (*HOSTS, *BAD_VARIABLES):
        assert fleet.run.recap(host)["failed"] == 1
    assert fleet.after == fleet.before
    # Where a shell on the controller, or on the host, would have carried it out.
    folders = [PROJECT, PROJECT / "playbooks", Path.home(), *fleet.apps]
    assert [folder for folder in folders if (folder / "carried-out").exists()] == []
