"""The filter not_regexes: which of some patterns are no regular expressions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

DOCUMENTATION = r"""
name: not_regexes
short_description: Those of some patterns that Python's re does not take
description:
  - What a pattern is needed for may come late, as when the bot has been moved. This finds one that is wrong before.
options:
  _input:
    description: Patterns.
    type: list
    elements: str
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Refuse what cannot be searched for
  ansible.builtin.assert:
    that: "['Bad MAC', 'QR('] | not_regexes == ['QR(']"
"""

RETURN = r"""
_value:
  description: Those that are none, as they are.
  type: list
  elements: str
"""


PROJECT = Path(__file__).resolve().parents[1]
# Ansible takes the project's module_utils along to targets only; this runs here.
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.node_host.regexes import not_regexes  # noqa: E402 - after the path above


class FilterModule:
    """What Ansible asks this file for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"not_regexes": not_regexes}
