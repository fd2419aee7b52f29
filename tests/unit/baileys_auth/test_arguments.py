"""What the modules' options come to."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth import arguments
from ansible.module_utils.baileys_auth.errors import AuthStateError


@pytest.mark.parametrize(
    ("line", "store"), [("true", "database"), ("'true' # on", "database"), ("1", "files"), ("", "files")]
)
def test_flag_says_what_the_app_reads(tmp_path: Path, line: str, store: str) -> None:
    (tmp_path / ".env").write_text(f"FLAG={line}\n")
    assert arguments.flag_store(str(tmp_path / ".env"), "FLAG") == store


@pytest.mark.parametrize("line", ["TRUE", "True", "' true'"])
def test_flag_that_apps_read_differently_is_not_guessed(tmp_path: Path, line: str) -> None:
    """Taken for on, old rows would own a login that the app still has in its files."""
    (tmp_path / ".env").write_text(f"FLAG={line}\n")
    with pytest.raises(AuthStateError, match="only the app's code knows") as caught:
        arguments.flag_store(str(tmp_path / ".env"), "FLAG")
    assert caught.value.problems[0].code == "flag_spelling"


def test_the_name_of_a_backup_asks_for_none(tmp_path: Path) -> None:
    """auth_state_cutover has such an option: it would back up the whole login with the app stopped."""
    (tmp_path / ".env").write_text("")
    options = {
        "sessions_dir": str(tmp_path / "baileys_sessions"),
        "state_dir": str(tmp_path / ".auth-state"),
        "host": "bot-1",
        "env_file": str(tmp_path / ".env"),
        "flag": "USE_DATABASE_AUTH_STATE",
        "key_types": [],
        "backup": "newest",
    }
    assert arguments.settings(options, check_mode=False).backup is False
