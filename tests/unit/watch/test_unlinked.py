"""Which lines say that WhatsApp does not know the login any more, by the role's own patterns."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.module_utils.node_host import logs

PROJECT = Path(__file__).resolve().parents[3]
PATTERNS = yaml.safe_load((PROJECT / "roles/monitor/defaults/main.yml").read_text())["monitor_log_unlinked"]


def says_so(line: str) -> bool:
    plain = logs.plain(line)
    return any(pattern.matches(plain, plain.casefold()) for pattern in logs.patterns(PATTERNS))


@pytest.mark.parametrize(
    "line",
    [
        "❌ Connection of company 962302 closed: 401 Connection Failure",
        "Connection closed. You are logged out.",
        "connection closed due to Error: Stream Errored (conflict), device_removed",
        'connection closed {"statusCode":401}',
        "Connection closed, status code: 401",
        "connection closed, reason: loggedOut",
        "Connection Failure (401)",
        '{"err":{"output":{"statusCode":401,"payload":{"error":"Unauthorized","message":"Connection Failure"}}}}',
        "  data: { reason: '401', location: 'frc' },",
        "attrs: { code: '401' },",
        "DISCONNECT REASON: 401",
        "Connection closed for company 962302, status code: 401",
    ],
)
def test_whatsapps_word(line: str) -> None:
    assert says_so(line)


@pytest.mark.parametrize(
    "line",
    [
        "Request failed with status code 401",
        "AuthenticationError: 401 Incorrect API key provided",
        'axios {"statusCode":401,"connection":"close"}',
        "user 17 logged out",
        "Connection closed, not logged out, reconnecting",
        "Connection closed: 428, retry 401",
        "Connection of company 401 closed: 515",
        "error 440",
    ],
)
def test_not_of_this_login(line: str) -> None:
    assert not says_so(line)
