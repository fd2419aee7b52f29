"""After check mode, and after a cleanup on the first day that was refused: every file is there."""

from __future__ import annotations

from server import APP, Server


def test_every_file_is_there(server: Server) -> None:
    assert server.files_by_type().total() == 337
    assert server.lines(f"find {APP}/baileys_sessions_backup -name 'sessions_*'") == []
