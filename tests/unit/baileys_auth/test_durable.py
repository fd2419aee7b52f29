"""Two folders in each other's place, at once or by renames."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.baileys_auth import durable


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    return one, other


def held(folders: tuple[Path, Path]) -> list[str]:
    return [(folder / "name").read_text() for folder in folders]


@pytest.mark.parametrize("at_once", [True, False])
def test_exchange(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    renames: list[Any] = []
    real = os.rename
    monkeypatch.setattr(os, "rename", lambda *names: (renames.append(names), real(*names)))
    if not at_once:  # a C library, or a file system, that cannot
        monkeypatch.setattr(durable.ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    durable.exchange(*folders)
    assert held(folders) == ["other", "one"]
    assert len(renames) == (0 if at_once else 3)
    assert sorted(path.name for path in folders[0].parent.iterdir()) == ["one", "other"]


def test_exchange_with_what_is_not_there_leaves_the_other(folders: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        durable.exchange(folders[0].with_name("none"), folders[1])
    assert held(folders) == ["one", "other"]
