"""env_flag as a module, and its reading held against the real npm package dotenv."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def test_set_and_set_again(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path, parse: Callable[[str], dict[str, str]]
) -> None:
    env = tmp_path / ".env"
    env.write_text(f"DATABASE_URL=postgresql://bot:pw@db/bot\n# the flag\n{NAME}=1\n{NAME}=false # why\nPORT=1\n")
    env.chmod(0o600)
    before = env.read_text()

    checked = run_module("env_flag", path=str(env), name=NAME, value="true", _check=True)
    assert checked["changed"]
    assert env.read_text() == before

    result = run_module("env_flag", path=str(env), name=NAME, value="true")
    assert {key: result[key] for key in ("changed", "before", "after", "duplicates")} == {
        "changed": True, "before": "false", "after": "true", "duplicates": 1,
    }  # fmt: skip
    assert result["diff"]["before"] == f"{NAME}=1\n{NAME}=false # why\n"
    assert result["diff"]["after"] == f"{NAME}=true # why\n"
    assert checked["diff"] == result["diff"]
    assert "postgresql" not in json.dumps(result)
    assert env.read_text() == f"DATABASE_URL=postgresql://bot:pw@db/bot\n# the flag\n{NAME}=true # why\nPORT=1\n"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert parse(env.read_text())[NAME] == "true"

    assert not run_module("env_flag", path=str(env), name=NAME, value="true")["changed"]
    assert run_module("env_flag", path=str(env), name=NAME, state="info")["after"] == "true"
    assert run_module("env_flag", path=str(env), name=NAME, state="absent")["after"] is None
    assert NAME not in env.read_text()


def test_a_bare_yaml_true_becomes_javascripts_word(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("")
    run_module("env_flag", path=str(env), name=NAME, value=True)
    assert env.read_text() == f"{NAME}=true\n"


def test_a_wrong_name_shows_no_secret(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("DATABASE_URL=postgresql://bot:pw@db/bot\n")
    for arguments in ({"state": "info"}, {"value": "true"}):
        result = run_module("env_flag", path=str(env), name="DATABASE_URL", _check=True, **arguments)
        assert result["before"] == "<hidden>"
        assert "postgresql" not in json.dumps(result)


def test_failures_name_the_file_and_the_remedy(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    result = run_module("env_flag", path=str(tmp_path / "none"), name=NAME, value="true")
    assert result["failed"]
    assert result["problems"][0]["code"] == "env_unreadable"
    assert str(tmp_path / "none") in result["msg"]
    (tmp_path / ".env").write_text("A=1\n")
    result = run_module("env_flag", path=str(tmp_path / ".env"), name=NAME, value="$(reboot)")
    assert result["problems"][0]["code"] == "env_flag_value"
    assert (tmp_path / ".env").read_text() == "A=1\n"
