"""What counts as a good answer of a tool."""

from __future__ import annotations

import pytest
from ansible.module_utils.node_host import mcp_call
from ansible.module_utils.node_host.mcp_call import Call, Server


@pytest.mark.parametrize(
    ("call", "text", "is_error", "old", "fault"),
    [
        (Call("t"), "hello", False, None, None),
        (Call("t"), "hello", True, None, "reported an error"),
        (Call("t"), " \n", False, None, "empty"),
        (Call("t"), "no response RECEIVED yet", False, None, "which is a failure"),
        (Call("t", bad=[]), "No response received", False, None, None),
        (Call("t", good=["^ok$", "sent"]), "Sent it", False, None, None),
        (Call("t", good=["^ok$"]), "ok then", False, None, "matches none of"),
        (Call("t", good=["ok"], bad=["not ok"]), "not ok", False, None, "which is a failure"),
        (Call("t"), "hello", False, "hello", "the one from before"),
        (Call("t"), "hello 2", False, "hello", None),
    ],
)
def test_fault(call: Call, text: str, is_error: bool, old: str | None, fault: str | None) -> None:
    found = call.fault(text, is_error, old)
    assert (found is None) if fault is None else (fault in found)


def test_a_server_is_a_command_or_a_url() -> None:
    for server in (Server(), Server(command="x", url="http://localhost")):
        with pytest.raises(mcp_call.McpError):
            mcp_call.check(server, [])


def test_secrets_stay_out_of_what_is_shown() -> None:
    server = Server(command="x", env={"TOKEN": "token-of-the-server", "DEBUG": "true"})
    assert "token-of" not in repr(server)
    assert server.secrets() == ["token-of-the-server"]
    assert "hunter2" not in Server(url="https://me:hunter2@example.org/mcp").where
    assert "79686484488" not in repr(Call("t", {"phone": "79686484488"}))
