"""The flag of a real .env, read as the npm package dotenv reads it."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible.module_utils.node_host import dotenv
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NAME = "USE_DATABASE_AUTH_STATE"

PARSE = """
const dotenv = require('dotenv');
require('readline').createInterface({input: process.stdin}).on('line', line =>
  console.log(JSON.stringify(dotenv.parse(Buffer.from(JSON.parse(line), 'utf8')))));
"""


@pytest.fixture(scope="module")
def parse(bot_modules: Path) -> Iterator[Callable[[str], dict[str, str]]]:
    """dotenv's own parse(), in one Node process."""
    node = subprocess.Popen(
        ["node", "-e", PARSE],
        cwd=bot_modules.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    def run(text: str) -> dict[str, str]:
        node.stdin.write(json.dumps(text) + "\n")
        return json.loads(node.stdout.readline())

    yield run
    node.stdin.close()
    node.wait()


PIECES = [
    "A", "B", "_x.y-z", "=", " = ", ":", ": ", " ", "\t", "\n", "\r\n", "\r", "#", " # c", "'", '"', "`", "\\", "\\n",
    "\\r", "\\'", '\\"', "export ", "export\n", "export", "true", "$", "é", "\u00a0", "\u2028", "\u2029", "\ufeff",
    "\x0b", "\x1c", "\u0085", "\u1680", "\nA=1\n", "\nB='x'\n", '\nA="x\ny"\n', "=\n", "='", '="',
]  # fmt: skip


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("A=1\nA=2\n")
@example("A=\n'x'\nB=1")
@example("A='x' y\nB=2")
@example("A=\"a\\nb\"\nB='a\\nb'")
@example("export\nA=1")
@example("A=a'b # c")
@example("A=`'\"`")
@example("# c\u2028A=1")
@example("A='x' # c\u2028B=2")
def test_it_reads_as_dotenv_reads(parse: Callable[[str], dict[str, str]], text: str) -> None:
    assert dotenv.values(text) == parse(text)


def test_set_and_set_again(tmp_path: Path, parse: Callable[[str], dict[str, str]]) -> None:
    env = tmp_path / ".env"
    env.write_text(f"DATABASE_URL=postgresql://bot:pw@db/bot\n# the flag\n{NAME}=1\n{NAME}=false # why\nPORT=1\n")
    env.chmod(0o600)
    before = env.read_text()

    planned = dotenv.write_flag(env, NAME, "true", dry_run=True)
    assert env.read_text() == before

    edit = dotenv.write_flag(env, NAME, "true")
    assert edit == planned
    assert (edit.before, edit.after, edit.duplicates) == ("false", "true", 1)
    assert (edit.before_lines, edit.after_lines) == ((f"{NAME}=1", f"{NAME}=false # why"), (f"{NAME}=true # why",))
    assert env.read_text() == f"DATABASE_URL=postgresql://bot:pw@db/bot\n# the flag\n{NAME}=true # why\nPORT=1\n"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert parse(env.read_text())[NAME] == "true"
    assert dotenv.effective(env, NAME) == ("true", 1)

    assert not dotenv.write_flag(env, NAME, "true").changed
    dotenv.write_flag(env, NAME, None)
    assert NAME not in env.read_text()


def test_failures_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(dotenv.DotenvError, match=str(tmp_path / "none")) as caught:
        dotenv.write_flag(tmp_path / "none", NAME, "true")
    assert caught.value.problems[0].code == "env_unreadable"
    (tmp_path / ".env").write_text("A=1\n")
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.write_flag(tmp_path / ".env", NAME, "$(reboot)")
    assert caught.value.problems[0].code == "env_flag_value"
    assert (tmp_path / ".env").read_text() == "A=1\n"
