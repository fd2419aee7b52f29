"""What preflight makes of company ids, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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
      vars: {{__preflight_variables: {{}}, app_dir: /opt/app, company_ids: ["962302", "{{{{ item[0] }}}}"]}}
      loop: {json.dumps([[each, 0] for each in GOOD_COMPANIES] + [[each, 1] for each in HOSTILE_COMPANIES])}
"""


def test_good_ones_pass_and_others_do_not(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
