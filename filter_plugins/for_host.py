"""The filter for_host: the commands in what an operator is told to type go for one host, not for the whole fleet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

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

PROJECT = Path(__file__).resolve().parents[1]
# Ansible takes the project's module_utils along to targets only; this runs here.
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.node_host import commands  # noqa: E402 - after the path above


def for_host(value: str | list[dict[str, Any]], host: str) -> str | list[dict[str, Any]]:
    """The text, or each finding's remedy, with the host named in every command."""
    return commands.for_host(value, host) if isinstance(value, str) else commands.findings_for_host(value, host)


class FilterModule:
    """What Ansible asks this file for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"for_host": for_host}
