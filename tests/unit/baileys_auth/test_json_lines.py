"""Append-only files of one JSON object a line: synced, private, and readable after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth import json_lines


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.jsonl"
    for number in range(3):
        json_lines.append(path, {"number": number})
    assert [entry["number"] for entry in json_lines.read(path)] == [0, 1, 2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_half_a_line_neither_counts_nor_spoils_the_next(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    json_lines.append(path, {"number": 1})
    with path.open("ab") as file:
        file.write(b'{"number": 2, "te')
    json_lines.append(path, {"number": 3})
    assert [entry["number"] for entry in json_lines.read(path)] == [1, 3]


def test_what_is_no_file_has_no_lines(tmp_path: Path) -> None:
    assert list(json_lines.read(tmp_path / "none")) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "record.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        json_lines.append(tmp_path / "record.jsonl", {})
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_line_is_synced_and_so_is_the_folder_of_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), real(descriptor)))
    path = tmp_path / "record.jsonl"
    json_lines.append(path, {})
    assert synced == [path.stat().st_ino, tmp_path.stat().st_ino]
