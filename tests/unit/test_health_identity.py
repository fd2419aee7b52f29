"""Which login the bot may answer with after a run, by Ansible's own templating."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
KNOWN, GONE = {"identity": "old"}, {"identity": None}
# (identity in the files before, in the database before, in the backup, of the bot now, whether it is another login)
CASES = [
    (KNOWN, KNOWN, {}, "old", False),
    (KNOWN, KNOWN, {}, "new", True),
    (GONE, KNOWN, {}, "old", False),
    # The folder cleaned up, the database lost: only the backup knows who it was.
    (GONE, None, {"1": {"identity": "old"}}, "old", False),
    (GONE, None, {"1": {"identity": "old"}}, "new", True),
    (GONE, None, {}, "new", True),
    # A backup of another login is no excuse.
    (KNOWN, None, {"1": {"identity": "new"}}, "new", True),
]
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files: ["{PROJECT}/roles/health/vars/main.yml"]
  tasks:
    - ansible.builtin.assert:
        that: (_health_other_identities | trim | length > 0) == item[4]
      vars:
        preflight_companies:
          "1": {{authority: {{store: database}}, files: "{{{{ item[0] }}}}", database: "{{{{ item[1] }}}}"}}
        preflight_backups: "{{{{ item[2] }}}}"
        __health_store: {{json: {{companies: [{{company_id: "1", identity: "{{{{ item[3] }}}}"}}]}}}}
      loop: {json.dumps(CASES)}
"""


def test_another_identity_is_another_login(goes_well: Callable[[str], None]) -> None:
    goes_well(PLAY)
