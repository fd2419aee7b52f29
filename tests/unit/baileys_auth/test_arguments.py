"""What the modules' options come to."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.baileys_auth import arguments


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
