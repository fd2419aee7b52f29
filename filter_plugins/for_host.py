"""The commands of a text, for one host: without a limit they would go for the whole fleet."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DOCUMENTATION = r"""
name: for_host
short_description: Limit the ansible-playbook commands in what an operator is told to type
description:
  - A module knows neither its host's name in the inventory nor whether there are others. What it says is to be typed
    gets C(-l HOST), where it has no limit of its own.
positional: host
options:
  _input:
    description: A text, or a list of findings, of which each has a text in C(remedy).
    type: raw
    required: true
  host:
    description: Its name in the inventory.
    type: str
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Say what to type
  ansible.builtin.debug:
    msg: "{{ 'Go back: ansible-playbook rollback.yml' | for_host(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The same, with C(-l HOST) behind each playbook.
  type: raw
"""

# The rest of a command goes to the end of its line, or to the next one.
_UNLIMITED = re.compile(r"(ansible-playbook [a-z_]+\.yml)(?!(?:(?!ansible-playbook )[^\n])* (?:-l|--limit)\b)")


def for_host(value: str | list[dict[str, Any]], host: str) -> str | list[dict[str, Any]]:
    """The text, or each finding's remedy, with the host named in every command."""
    if isinstance(value, str):
        return _UNLIMITED.sub(lambda match: f"{match[1]} -l {host}", value)
    return [{**finding, "remedy": for_host(finding["remedy"], host)} for finding in value]


class FilterModule:
    """What Ansible asks this file for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"for_host": for_host}
