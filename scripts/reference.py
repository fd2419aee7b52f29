#!/usr/bin/env python
"""Write docs/REFERENCE.md, what can be named on the command line, from what the playbooks and roles say of themselves.

With --check: say whether it is in step, and write nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "REFERENCE.md"
HEAD = """\
# Playbooks, tags and variables

Written by `scripts/reference.py` from the playbooks and the roles' argument specifications; a test holds it to them.

Set a variable in the inventory (group_vars of the group `whatsapp`), or with `-e` for one run: `-e name=value`, and
where it is no text as JSON: `-e '{"name": true}'`. **Bold** ones have no default: they must be set. Variables without a
role's prefix belong to all.
"""
# The roles that an operator's variables go to; the sandbox's own are in the inventory of the sandbox.
ROLES = (
    *("preflight", "release", "auth_state", "cutover", "health", "psycopg", "lock", "fleet"),
    *("monitor", "diagnose", "cleanup", "repair"),
)


def read(path: str) -> Any:
    file = PROJECT / path
    return (yaml.safe_load(file.read_text()) if file.exists() else None) or {}


def tags(playbook: str) -> list[str]:
    """The tags that choose something, as ansible-playbook itself lists them."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "--list-tags"]
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    listed = {tag.strip() for found in re.findall(r"TASK TAGS: \[(.*)\]", done.stdout) for tag in found.split(",")}
    return sorted(listed - {"always", "never", ""})


def playbooks() -> list[str]:
    rows = ["| playbook | what it does | tags |", "|---|---|---|"]
    for path in sorted(PROJECT.glob("*.yml")):
        if path.name != "requirements.yml":
            comment = " ".join(re.findall(r"^# (.*)", path.read_text(), re.M))
            does = re.match(r"(.+?)( *The steps: .*|$)", comment)
            assert does, f"{path.name}: a comment at its top has to say what it does"
            what = does[1].replace("|", "\\|")
            rows.append(f"| `{path.name}` | {what} | {' '.join(f'`{tag}`' for tag in tags(path.name))} |")
    return rows


def prose(description: str | list[str]) -> str:
    """ansible-doc's markup as Markdown's."""
    text = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"\b[CVOI]\((.*?)\)", r"`\1`", text).replace("|", "\\|")


def default_of(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    value = defaults.get(name, option.get("default"))
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # What is long is where it is long: in the role.
    return f"`{text}`".replace("|", "\\|") if len(text) <= 60 else "see the role"


def variables(role: str) -> list[str]:
    """One row for each variable of a role, whichever of its entry points name it."""
    entries = read(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    first = next(iter(entries))
    options: dict[str, Any] = {}
    for entry, spec in entries.items():
        # What another entry point requires is given by the role that calls it, never by an operator.
        options |= {
            name: each
            for name, each in (spec.get("options") or {}).items()
            if entry == first or not each.get("required")
        }
    defaults = read(f"roles/{role}/defaults/main.yml")
    rows = []
    for name, option in options.items():
        shown = f"**`{name}`**" if option.get("required") else f"`{name}`"
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        choices = " · ".join(f"`{choice}`" for choice in option.get("choices", []))
        rows.append(
            f"| {shown} | {choices or kind} | {default_of(name, option, defaults)} | {prose(option['description'])} |"
        )
    return rows


def page() -> str:
    parts = [HEAD, "## Playbooks\n", *playbooks(), "\n## Variables\n"]
    for role in ROLES:
        if rows := variables(role):
            parts += [f"### {role}\n", "| variable | type | default | what it is |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    text = page()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.exists() and PAGE.read_text() == text else f"{PAGE} is not in step; type: make reference")
    PAGE.write_text(text)
