"""What preflight makes of company ids, and of SUPABASE_URL and SUPABASE_KEY in .env, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# (.env, whether its address is one, whether its key looks like one)
SETTINGS = [
    (
        "A=1\nSUPABASE_URL=https://abc72sx.supabase.co\nSUPABASE_KEY=eyJhbGciOi.eyJpc3MiOiJ27.Xab_c-d27\nB=2\n",
        True,
        True,
    ),
    ("SUPABASE_URL=\"http://127.0.0.1:8000\"  # here\nSUPABASE_SERVICE_KEY='sb_secret_abcdefghijklmnop'\n", True, True),
    ("SUPABASE_URL=abc.supabase.co\nSUPABASE_KEY=short\n", False, False),
    ("SUPABASE_URL=https://\nSUPABASE_KEY=ey with blanks in it and long\n", False, False),
]
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
        that:
          - _preflight_supabase_url_good == item[1]
          - _preflight_supabase_key_good == item[2]
      vars: {{__preflight_env: {{content: "{{{{ item[0] | b64encode }}}}"}}}}
      loop: {json.dumps(SETTINGS)}
    - ansible.builtin.assert:
        that: preflight_variable_errors | select("match", "company_ids. each is digits only") | length == item[1]
      vars: {{__preflight_variables: {{}}, app_dir: /opt/app, company_ids: ["962302", "{{{{ item[0] }}}}"]}}
      loop: {json.dumps([[each, 0] for each in GOOD_COMPANIES] + [[each, 1] for each in HOSTILE_COMPANIES])}
"""


def test_good_ones_pass_and_others_do_not(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
