"""What preflight makes of company ids, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
GOOD_COMPANIES = ["962302", "1", "00"]
# Nothing of these is ever carried out, or taken for a path.
HOSTILE_COMPANIES = [
    "../../etc",
    "..",
    "",
    "962302\n",
    "962302\n555111",
    '962302"',
    "962302'; DROP TABLE whatsapp_auth; --",
]
HOSTILE_COMPANIES += ["$(touch carried-out)", "٣", "-1", "company_962302", " 962302"]
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/preflight/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that: preflight_variable_errors | select("match", "company_ids. each is digits only") | length == item[1]
      vars:
        __preflight_variables: {{}}
        preflight_argument_spec: {{}}
        app_dir: /opt/app
        company_ids: ["962302", "{{{{ item[0] }}}}"]
      loop: {json.dumps([[each, 0] for each in GOOD_COMPANIES] + [[each, 1] for each in HOSTILE_COMPANIES])}
"""


def test_one_text_is_no_list(paper: Any) -> None:
    """Ansible takes it for a list of one and hands it on as it is: a list of its letters, once the bot was moved."""
    given = {"health_smoke_command": "node /opt/mcp/whatsapp.js"}
    code, said = paper.play("deploy.yml", {"near": paper.near()}, "-e", "company_ids=962302", "-e", json.dumps(given))
    assert code == 2
    assert 'company_ids: a list, as in ["one", "two"], and this is one text' in said
    assert "health_smoke_command: a list" in said


def test_good_ones_pass_and_others_do_not(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
