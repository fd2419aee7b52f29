"""Files read by a second process: the same contents and the same problems, and no process that stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth import contents as module
from ansible.module_utils.baileys_auth.contents import Content, contents
from ansible.module_utils.baileys_auth.errors import AuthStateError
from ansible.module_utils.baileys_auth.folder import Folder, open_folder
from ansible.module_utils.baileys_auth.names import Names


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "creds.json").write_text('{"me": {"id": "1@s.whatsapp.net"}}')
    for number in range(300):  # more than are handed over at once
        (tmp_path / f"pre-key-{number}.json").write_text(f'{{"private": {number}, "public": 1}}')
    (tmp_path / "pre-key-7.json").write_text('{"private": ')
    (tmp_path / "session-1.0.json").write_text('{"name": "\\u0000"}')
    with open_folder(tmp_path, Names()) as opened:
        yield opened


@pytest.fixture
def read(folder: Folder) -> Callable[[], Generator[Content]]:
    """Reads all of it, the values of some being known; one file goes away after it was listed."""
    listing = folder.list()
    known = {key for name, key in listing.files.items() if name.startswith("pre-key-1")}
    (folder.path / "pre-key-8.json").unlink()
    return lambda: contents(folder, listing, sorted(listing.files), known)


@pytest.fixture
def second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})


def no_child_is_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_the_second_process_reads_the_same(
    read: Callable[[], Generator[Content]], second_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(read())
    assert no_child_is_left()
    monkeypatch.setattr(module, "_MANY", 1000)
    assert found == list(read())
    assert [content.problems[0].code for content in found if content.problems] == ["torn", "value_refused"]
    assert sum(content.data is None and not content.problems for content in found) == 1, "the one that went away"
    assert sum(content.data is not None and content.canonical is None for content in found) > 100, "the known ones"


def test_no_process_stays_when_nobody_reads_on(read: Callable[[], Generator[Content]], second_process: None) -> None:
    with closing(read()) as found:
        next(found)
        assert not no_child_is_left()
    assert no_child_is_left()


def test_a_second_process_that_is_ended_is_named(
    read: Callable[[], Generator[Content]], second_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fork

    def doomed() -> int:
        child = real()
        if child:
            os.kill(child, signal.SIGKILL)
        return child

    monkeypatch.setattr(os, "fork", doomed)
    with pytest.raises(AuthStateError) as error:
        list(read())
    assert error.value.problems[0].code == "reading_ended"
    assert no_child_is_left()
