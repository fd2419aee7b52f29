"""The contents of many files: read, brought to canonical form and digested in a second process, ahead of their use.

Reading and parsing take most of the time of a large login's copy, and the database and the archive take the rest:
two processes do them side by side. For few files the start of the second one would cost more than it saves.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import BinaryIO, NamedTuple

from . import values
from .durable import write_all
from .errors import AuthStateError, Problem
from .folder import Folder, Listing
from .names import Key

_MANY = 2_000  # files
_CHUNK = 200  # files handed over at once
_PATIENCE = 3  # so many torn files are waited for; a folder with more is damaged, not being written


class Content(NamedTuple):
    """What was in a file. `canonical` and `digest` are None where the value is known; all are when it went away."""

    data: bytes | None = None
    canonical: bytes | None = None
    digest: bytes | None = None
    problems: tuple[Problem, ...] = ()


def contents(folder: Folder, listing: Listing, names: Sequence[str], known: Collection[Key]) -> Iterator[Content]:
    """The content of each file, in their order.

    `known`: keys whose value is, while the file has the signature that was listed, so that its bytes are enough.
    """
    if len(names) < _MANY or len(os.sched_getaffinity(0)) < 2:
        yield from _read(folder, listing, names, known)
        return
    with _second_process(folder, _read(folder, listing, names, known)) as chunks:
        while True:
            try:
                chunk = pickle.load(chunks)  # of our own child's
            except (EOFError, pickle.UnpicklingError):
                raise AuthStateError(
                    Problem("reading_ended", str(folder.path), "the process that reads it was ended", "Run again")
                ) from None
            if not chunk:
                return
            yield from chunk


def _read(folder: Folder, listing: Listing, names: Iterable[str], known: Collection[Key]) -> Iterator[Content]:
    torn = 0
    for name in names:
        key = listing.files[name]
        signature = listing.signatures[key]
        try:
            data = folder.read_same(name, signature) if key in known else None
            if data is not None:
                yield Content(data)
                continue
            data, canonical = folder.read(name, key, signature.size, patient=torn < _PATIENCE)
            yield Content(data, canonical, values.digest(canonical))
        except FileNotFoundError:
            yield Content()  # the app deleted the key after it was listed
        except AuthStateError as error:
            torn += 1
            yield Content(problems=tuple(error.problems))


@contextmanager
def _second_process(folder: Folder, work: Iterator[Content]) -> Iterator[BinaryIO]:
    """A stream of pickled lists of contents, the last of them empty. `work` is done in the other process."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            _become_reader(folder, sink)
            while chunk := list(islice(work, _CHUNK)):
                write_all(sink, pickle.dumps(chunk, pickle.HIGHEST_PROTOCOL))
            write_all(sink, pickle.dumps([]))
            status = 0
        os._exit(status)  # nothing of the parent's is flushed or closed, such as its database connection
    os.close(sink)
    try:
        with os.fdopen(source, "rb", buffering=1 << 18) as stream:
            yield stream
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _become_reader(folder: Folder, sink: int) -> None:
    """Hold on to no lock and no connection of the parent's: they end with the parent."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in (folder.descriptor, sink):
            with suppress(OSError):
                os.close(descriptor)
