"""What stops a deploy: each on a host of its own, with a message of its own, and nothing changed.

The hosts are copies of the sandbox's app with one thing wrong, deployed to by one run; they share database and pm2.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from driver import COMPANY, Run, Sandbox, files_below

Variables = dict[str, Any]


@dataclass(frozen=True)
class BadInput:
    """One thing wrong with a host: what is done to its files, its variables, and words that the message must have."""

    name: str
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


def everything(host: Sandbox) -> None:
    local_fix(host)
    (host.company / "notes.txt").write_text("x")


STRANGER = [{"name": "no-such-worker"}]

BAD_INPUTS = [
    BadInput("company_without_folder", ["company_100500"], variables=given(company_ids=[COMPANY, "100500"])),
    BadInput("company_as_number", ["in quotes"], variables=given(company_ids=[int(COMPANY)])),
    BadInput("creds_missing", ["creds.json"], no_creds),
    BadInput("creds_empty", ["creds.json"], login_file("creds.json", "")),
    BadInput("creds_torn", ["creds.json"], login_file("creds.json", '{"noiseKey":{"private":{"type"')),
    BadInput("key_file_no_json", ["pre-key-77.json"], login_file("pre-key-77.json", "nonsense")),
    BadInput("unknown_file", ["notes.txt"], login_file("notes.txt", "x")),
    BadInput("database_down", ["database"], variables=nobody_listens),
    BadInput("wrong_password", ["password"], variables=wrong_password),
    BadInput("table_missing", ["whatsapp_auth"], variables=given(auth_state_manage_schema=False)),
    BadInput("unknown_process", ["no-such-worker"], variables=given(cutover_processes=STRANGER)),
    BadInput("branch_missing", ["no/such-branch"], variables=given(release_branch="no/such-branch")),
    BadInput("changed_tracked_file", ["src/worker.js", "release_local_changes"], local_fix),
    BadInput("second_company", ["company_555111", "auth_state_excluded_companies"], second_company),
]
# Nothing of these is ever carried out, or taken for a path.
HOSTILE = ["../../etc", "962302\n555111", '962302"', "962302'; DROP TABLE whatsapp_auth; --", "$(touch carried-out)"]
BAD_INPUTS += [
    BadInput(f"hostile_company_{number}", ["each is digits only"], variables=given(company_ids=[COMPANY, text]))
    for number, text in enumerate(HOSTILE)
]
# All findings at once, not the first one alone.
SEVERAL = BadInput(
    "several",
    ["no/such-branch", "no-such-worker", "MiB are free", "src/worker.js", "notes.txt"],
    everything,
    given(release_branch="no/such-branch", cutover_processes=STRANGER, preflight_free_mb=10**9),
)
# Without the right variables nothing else can be looked at; these too come all at once.
VARIABLES = BadInput(
    "variables",
    ["company_ids", "release_local_changes", "auth_state_backup_keep"],
    variables=given(company_ids=["../etc"], release_local_changes="maybe", auth_state_backup_keep="many"),
)


@dataclass(frozen=True)
class Fleet:
    """The run on all hosts, and what was on each before and after."""

    run: Run
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def fleet(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    root = tmp_path_factory.mktemp("hosts")
    hosts: dict[str, Variables] = {}
    for bad in (*BAD_INPUTS, SEVERAL, VARIABLES):
        host = Sandbox(root / bad.name)
        host.root.mkdir()
        shutil.copytree(sandbox.app, host.app, ignore=shutil.ignore_patterns("node_modules"), symlinks=True)
        (host.app / "node_modules").mkdir()
        bad.harm(host)
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        # psycopg as the controller's Python has it: that every host gets its own is another test's business.
        hosts[bad.name] = {**local, "app_dir": str(host.app), "psycopg_source": "auto", **bad.variables(sandbox)}
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
    return Fleet(run, before, seen())


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_one_clear_message(fleet: Fleet, bad: BadInput) -> None:
    message = fleet.run.message(bad.name)
    one_finding = "Nothing was changed. 1 thing has to be put right first"
    assert one_finding in message or f"Nothing was changed. The variables of {bad.name} are not complete" in message
    for words in bad.said:
        assert words in message


def test_everything_wrong_is_said_at_once(fleet: Fleet) -> None:
    message = fleet.run.message(SEVERAL.name)
    assert "Nothing was changed. 5 things have to be put right first" in message
    for words in SEVERAL.said:
        assert words in message


def test_wrong_variables_are_said_at_once(fleet: Fleet) -> None:
    message = fleet.run.message(VARIABLES.name)
    assert "Nothing was changed" in message
    for words in VARIABLES.said:
        assert words in message


def test_every_host_failed_and_nothing_changed(fleet: Fleet) -> None:
    assert fleet.run.rc != 0
    for bad in (*BAD_INPUTS, SEVERAL, VARIABLES):
        assert fleet.run.recap(bad.name)["failed"] == 1
    assert fleet.after == fleet.before
