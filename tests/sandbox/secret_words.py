"""What nobody may read in an output or a report: the real values of a sandbox, to be searched for."""

from __future__ import annotations

import base64
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from driver import Sandbox


def secrets_of(sandbox: Sandbox, copy_of_login: Path) -> set[str]:
    """Passwords, connections, keys and phone numbers."""
    password = urlsplit(sandbox.database_url).password or ""
    passwords = said_in(sandbox.root / "secrets") | {sandbox.database_url, password}
    keys = key_material(copy_of_login) | key_material(sandbox.company)
    return (passwords | keys | phone_numbers(copy_of_login)) - {""}


@contextmanager
def nothing_said_of(sandbox: Sandbox, *others: Path, told: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """Fails at the end where an output on this sandbox, a report, or what else was `told`, has a secret of it.

    `others`: the folders of further logins.
    """
    with tempfile.TemporaryDirectory() as folder:
        before = shutil.copytree(sandbox.company, Path(folder, sandbox.company.name))
        secrets = set().union(*(key_material(other) | phone_numbers(other) for other in others))
        yield
        reports = (page.read_text() for page in (sandbox.root / "reports").rglob("*.html"))
        text = "\n".join([*sandbox.outputs, *reports, *told()])
        secrets |= secrets_of(sandbox, before)
    assert len(secrets) > 300
    assert "ok=" in text
    assert found_in(text, secrets) == []


def found_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Those that can be read in it; also in base64, as Ansible hands on the files that it reads."""
    runs = re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text)
    unpacked = (
        base64.b64decode(run + "=" * (-len(run) % 4)).decode(errors="replace") for run in runs if len(run) % 4 != 1
    )
    readable = "\n".join([text, *unpacked])
    return sorted(secret for secret in secrets if secret in readable)


def said_in(folder: Path) -> set[str]:
    """The contents of secret files, and the passwords of the connections among them."""
    contents = {path.read_text().strip() for path in folder.iterdir()}
    return contents | {urlsplit(text).password or text for text in contents}


def key_material(folder: Path) -> set[str]:
    """Every value of the login that is long enough to be a key."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9+/]{22,}={0,2}", value):
            found.add(value)

    for path in folder.glob("*.json"):
        walk(json.loads(path.read_text()))
    return found


def phone_numbers(folder: Path) -> set[str]:
    """Phone numbers and LIDs, as they stand in file names and in the texts of the creds, which has times as numbers."""
    texts = [path.name for path in folder.iterdir()]
    json.loads((folder / "creds.json").read_text(), object_pairs_hook=lambda pairs: texts.extend(_texts(pairs)))
    return set(re.findall(r"(?<!\d)\d{10,15}(?!\d)", " ".join(texts)))


def _texts(pairs: list[tuple[str, object]]) -> Iterable[str]:
    return (value for _name, value in pairs if isinstance(value, str))
