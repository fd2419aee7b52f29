"""The filter not_regexes: which of some patterns are no regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

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


def not_regexes(patterns: list[str]) -> list[str]:
    """Those that do not compile, in their order."""
    return [pattern for pattern in patterns if not _compiles(pattern)]


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


class FilterModule:
    """What Ansible asks this file for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"not_regexes": not_regexes}
