"""The commands in what an operator is told to type, for one host: without a limit they would go for the whole fleet."""

from __future__ import annotations

import re
from typing import Any

# The rest of a command goes to the end of its line, or to the next one.
_UNLIMITED = re.compile(r"(ansible-playbook [a-z_]+\.yml)(?!(?:(?!ansible-playbook )[^\n])* (?:-l|--limit)\b)")


def for_host(text: str, host: str) -> str:
    """The text with `-l host` behind each playbook that has no limit of its own. `host`: its name in the inventory."""
    return _UNLIMITED.sub(lambda match: f"{match[1]} -l {host}", text)


def findings_for_host(findings: list[dict[str, Any]], host: str) -> list[dict[str, Any]]:
    """The same for the `remedy` of each finding."""
    return [{**finding, "remedy": for_host(finding["remedy"], host)} for finding in findings]


def answer_for_host(answer: dict[str, Any], host: str) -> dict[str, Any]:
    """The same for a module's answer: its `msg` and its `problems`."""
    limited = dict(answer)
    if "msg" in answer:
        limited["msg"] = for_host(str(answer["msg"]), host)
    if "problems" in answer:
        limited["problems"] = findings_for_host(answer["problems"], host)
    return limited
