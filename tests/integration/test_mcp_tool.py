"""mcp_tool against real MCP servers, written with the official package."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.node_host import procs

PHONE = "79686484488"
SECRET = "token-of-the-server"

SERVER = """
import os, sys, time
from mcp.server.mcpserver import MCPServer

started = os.environ.get("PID_FILE")
if started:
    open(started, "w").write(str(os.getpid()))
server = MCPServer("whatsapp")
sent = {}

@server.tool()
def send_message(phone: str, message: str) -> str:
    sent[phone] = [message, 0]
    return f"Sent to {phone}: {message}"

@server.tool()
def get_last_response(phone: str) -> str:
    if phone not in sent:
        return os.environ.get("OLD_ANSWER", "No response received")
    sent[phone][1] += 1
    if sent[phone][1] < 3:
        return os.environ.get("OLD_ANSWER", "No response received")
    return f"Answer from {phone} to: {sent[phone][0]}"

@server.tool()
def leak() -> str:
    return f"my token is {os.environ['API']} and the key VGhpcyBpcyBhIGtleSBvZiAzMiBieXRlcyBpbiBhbGw2Nzg="

@server.tool()
def hang() -> str:
    time.sleep(60)

@server.tool()
def broken(phone: str) -> str:
    raise ValueError(f"no session for {phone}")

if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run("stdio")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture
def mcp_tool(run_module: Callable[..., dict[str, Any]], script: Path) -> Callable[..., dict[str, Any]]:
    """Runs the module against the server on stdio; no result may hold the phone number as it is."""

    def run(*calls: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        if "url" not in arguments:
            arguments = {"command": sys.executable, "args": [str(script)], **arguments}
        result = run_module("mcp_tool", calls=list(calls), **{"timeout": 20, **arguments})
        assert PHONE not in json.dumps(result)
        return result

    return run


SEND = {"tool": "send_message", "arguments": {"phone": PHONE, "message": "hello 1"}}
ANSWER = {"tool": "get_last_response", "arguments": {"phone": PHONE}}


def test_sends_and_waits_for_the_answer(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool(SEND, {**ANSWER, "wait": 5, "interval": 0.05, "fresh": True})
    assert result["ok"]
    assert result["text"] == "Answer from 7968***4488 to: hello 1"
    assert [(each["tool"], each["attempts"]) for each in result["results"]] == [
        ("send_message", 1),
        ("get_last_response", 3),
    ]
    assert result["invocation"]["module_args"]["calls"][0]["arguments"]["phone"] == "7968***4488"


def test_no_response_received_is_a_failure(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool(SEND, ANSWER)
    assert result["failed"]
    assert not result["ok"]
    assert result["problems"][0]["code"] == "mcp_bad_answer"
    assert "'No response received'" in result["msg"]
    assert [each["ok"] for each in result["results"]] == [True, False]


def test_an_old_answer_is_no_answer(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    env = {"OLD_ANSWER": "Hello from yesterday"}
    assert mcp_tool(SEND, ANSWER, env=env)["ok"]
    result = mcp_tool(SEND, {**ANSWER, "fresh": True}, env=env)
    assert result["failed"]
    assert "the one from before" in result["msg"]


def test_a_good_pattern_has_to_be_found(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    assert mcp_tool({**SEND, "good": ["^sent to", "never"]})["ok"]
    result = mcp_tool({**SEND, "good": ["delivered"]})
    assert result["failed"]
    assert "Sent to 7968***4488: hello 1" in result["msg"]


def test_a_tool_that_is_not_there_names_those_that_are(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool({"tool": "send_mesage", "arguments": {}})
    assert result["failed"]
    assert "get_last_response" in result["msg"]


def test_an_error_of_the_tool_is_a_failure(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool({"tool": "broken", "arguments": {"phone": PHONE}})
    assert result["failed"]
    assert "the tool reported an error" in result["msg"]


def test_secrets_of_the_server_are_not_shown(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool({"tool": "leak"}, env={"API": SECRET})
    assert result["ok"]
    assert result["text"] == "my token is *** and the key <base64 35 bytes>"
    assert SECRET not in json.dumps(result)


def test_a_hanging_tool_ends_in_time_and_the_server_is_gone(
    mcp_tool: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    begin = time.monotonic()
    # Starting the server is part of it.
    result = mcp_tool({"tool": "hang"}, timeout=8, env={"PID_FILE": str(tmp_path / "pid")})
    assert result["problems"][0]["code"] == "mcp_timeout"
    assert "calling hang" in result["msg"]
    assert time.monotonic() - begin < 30
    assert procs.find(int((tmp_path / "pid").read_text())) is None


def test_a_server_that_never_answers_ends_in_time_and_is_gone(
    mcp_tool: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """It ignores SIGTERM and has a child, too."""
    silent = f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep 300 & echo $! > {tmp_path}/child; wait; wait"
    begin = time.monotonic()
    result = mcp_tool(SEND, command="sh", args=["-c", silent], timeout=0.5)
    assert result["problems"][0]["code"] == "mcp_timeout"
    assert "starting it" in result["msg"]
    assert time.monotonic() - begin < 8
    assert procs.find(int((tmp_path / "pid").read_text())) is None
    assert procs.find(int((tmp_path / "child").read_text())) is None


def test_a_server_that_dies_is_quoted(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool(SEND, command="sh", args=["-c", f"echo 'cannot open login of {PHONE}' >&2; exit 1"])
    assert result["problems"][0]["code"] == "mcp_failed"
    assert "cannot open login of 7968***4488" in result["msg"]


def test_a_command_that_is_not_there(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool(SEND, command="/no/such/server", args=[])
    assert result["problems"][0]["code"] == "mcp_failed"
    assert "/no/such/server" in result["msg"]


def test_check_mode_calls_nothing_and_says_so(mcp_tool: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    result = mcp_tool(SEND, env={"PID_FILE": str(tmp_path / "pid")}, _check=True)
    assert not result["changed"]
    assert result["skipped"]
    assert result["text"] == "check mode: send_message not called"
    assert not (tmp_path / "pid").exists()


def test_a_wrong_pattern_is_found_before_anything_is_sent(
    mcp_tool: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    result = mcp_tool({**SEND, "good": ["("]}, env={"PID_FILE": str(tmp_path / "pid")})
    assert result["problems"][0]["code"] == "mcp_pattern"
    assert not (tmp_path / "pid").exists()


@pytest.fixture(scope="module")
def http_server(script: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, script, str(port)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.kill()
        server.wait()


def test_streamable_http(mcp_tool: Callable[..., dict[str, Any]], http_server: str) -> None:
    result = mcp_tool(SEND, {**ANSWER, "wait": 5, "interval": 0.05}, url=http_server, headers={"X-Key": SECRET})
    assert result["text"] == "Answer from 7968***4488 to: hello 1"
    assert SECRET not in json.dumps(result)


def test_a_hang_over_http_ends_in_time(mcp_tool: Callable[..., dict[str, Any]], http_server: str) -> None:
    begin = time.monotonic()
    assert mcp_tool({"tool": "hang"}, url=http_server, timeout=1)["problems"][0]["code"] == "mcp_timeout"
    assert time.monotonic() - begin < 5


def test_an_http_server_that_is_down(mcp_tool: Callable[..., dict[str, Any]]) -> None:
    result = mcp_tool(SEND, url="http://127.0.0.1:9/mcp", timeout=5)
    assert result["problems"][0]["code"] == "mcp_failed"
    assert "http://127.0.0.1:9/mcp" in result["problems"][0]["where"]
