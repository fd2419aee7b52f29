"""What preflight makes of what it saw, by Ansible's own templating: findings that nothing else brings about."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def found(paper: Any, **variables: Any) -> str:
    """What stops a deploy to a host on which there is nothing."""
    code, said = paper.play("deploy.yml", {"near": paper.near()}, "-e", json.dumps(variables))
    assert code == 2, said[-3000:]
    return said


@pytest.fixture
def answering() -> Iterator[Callable[[str], str]]:
    """The address of an endpoint that answers so."""
    servers = []

    def serve(text: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

        server = HTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/health"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_would_fail_once_the_bot_is_moved_is_found_before(paper: Any, answering: Callable[[str], str]) -> None:
    """A pattern that is none; a health endpoint of another kind; a Python without mcp, as an environment that was built
    from the collections alone has it."""
    smoke = {"health_smoke_phone": "79686484488", "health_smoke_url": "http://127.0.0.1:1/mcp"}
    wrong = {
        "No regular expression: on (database where: near: health_log_expected",
        "It does not say of each company on which store its login is",
        "has no package no_such_package, and the test message is sent with it",
    }
    said = found(
        paper,
        **smoke,
        preflight_mcp_package="no_such_package",
        health_url=answering('{"status": "ok"}'),
        health_log_expected={"database": [{"text": "on"}, {"regex": "on (database"}]},
    )
    assert {words for words in wrong if words not in said} == set(), said[-4000:]
    right = {"companies": [{"company_id": 962302, "store": "files"}]}
    said = found(paper, **smoke, health_url=answering(json.dumps(right)), health_log_expected={"database": []})
    assert "There is no app in this folder" in said
    assert {words for words in wrong if words in said.replace("package mcp", "package no_such_package")} == set()


def test_variables_without_a_value_and_what_is_no_list_are_named(paper: Any) -> None:
    said = found(paper, health_url=None, company_ids=962302)
    assert "health_url: it has no value" in said
    assert "company_ids: a list" in said


# The owners: (what pm2 says, who is stopped and started, who is down)
RUNNING, STOPPED = {"name": "worker", "status": "online"}, {"name": "service", "status": "stopped"}
BOTH = ["worker", "service"]
OWNERS = [
    ({"processes": [RUNNING, STOPPED], "resting": ["service"]}, ["worker"], []),
    ({"processes": [RUNNING, STOPPED]}, BOTH, ["service"]),
    ({"processes": [RUNNING], "pending": ["service"]}, BOTH, ["service"]),
    ({"processes": [RUNNING]}, BOTH, []),
    ({}, BOTH, []),
]
OWNERS_PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/preflight/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that:
          - preflight_owners == item[1]
          - preflight_down == item[2]
      vars:
        cutover_processes: [{{name: worker}}, {{name: service, optional: true}}]
        __preflight_pm2: "{{{{ item[0] }}}}"
      loop: {json.dumps(OWNERS)}
"""


def test_owner_that_was_stopped_on_purpose_stays_stopped(goes_well: Callable[[str], None]) -> None:
    goes_well(OWNERS_PLAY)


# The flag in a process's own environment: (in .env, in the process, what was written since the move, whether there is a
# login in the other store at all, which store was chosen, whether that is refused)
FLAGS = [
    ("true", "false", {"files": 3, "rows": 0}, True, "fail", True),
    ("true", "false", {"files": 0, "rows": 9}, True, "fail", False),
    ("true", "true", {"files": 3, "rows": 9}, True, "fail", False),
    ("true", None, {"files": 3, "rows": 9}, True, "fail", False),
    ("true", "false", {"files": 3, "rows": 0}, True, "database", False),
    ("true", "false", {"files": 3, "rows": 0}, True, "files", True),
    ("false", "true", {"files": 0, "rows": 9}, True, "fail", True),
    (None, "true", None, True, "fail", True),
    (None, "true", None, False, "fail", False),
    (None, "false", None, True, "fail", False),
    ("false", "false", None, True, "fail", False),
    ("false", "true", {"files": 9, "rows": 0}, True, "fail", False),
]
FLAGS_PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/preflight/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that:
          - _preflight_flag_checks[0].wrong == item[5]
          # What pm2 keeps is dropped, and a script may have it from .env.
          - _preflight_flag_checks[1].wrong == (item[1] == 'false' != item[0] and not stored)
      vars:
        auth_state_conflict: "{{{{ item[4] }}}}"
        cutover_flag: USE_DATABASE_AUTH_STATE
        runbook_store: database
        _preflight_flag: "{{{{ item[0] }}}}"
        _preflight_processes:
          - {{name: worker, status: online, process_flag_value: "{{{{ item[1] }}}}", stored_flag: "{{{{ stored }}}}"}}
        _preflight_companies:
          "1":
            since_transfer: "{{{{ item[2] }}}}"
            files: {{present: "{{{{ item[3] }}}}"}}
            database: {{present: "{{{{ item[3] }}}}"}}
        __preflight_schema: {{problems: []}}
      loop: {json.dumps(FLAGS)}
"""


@pytest.mark.parametrize("stored", [True, False])
def test_store_that_a_process_writes_against_env_is_not_left_behind(
    goes_well: Callable[..., None], stored: bool
) -> None:
    """Nor is it moved where something else than pm2 sets the flag again at each start."""
    goes_well(FLAGS_PLAY, "-e", json.dumps({"stored": stored}))
