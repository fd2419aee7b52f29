"""Log files: remember where they end, then read only what was written since, across rotation.

A mark is plain data: ``{path, process, stream, inode, offset, fingerprint, at}``. The fingerprint is a digest of
the bytes just before the offset: it tells a file that was emptied and has grown again (copytruncate) from one
that only grew, and finds the rotated copy that holds the lines in between. At the start of a file there are none;
there the copies made after the mark (``at``) hold what was written since.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

from .mask import mask
from .problems import HostError, Problem

_CHUNK = 1 << 16  # bytes per read
_LONGEST = 1 << 14  # bytes of one line that are looked at; the rest of it is skipped
_FINGERPRINT = 256  # bytes before the offset
_TICK = 0.02  # seconds: the file system's clock may be so far behind
_SHOWN = 500  # characters of a line in a result
_KEPT = 5  # matches kept per pattern and file; all are counted

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Pictographs, dingbats, arrows-as-emoji, regional letters, tags, keycaps; variation selectors and joiners.
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u2190-\u21ff\u25a0-\u25ff"
    "\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299\U000e0020-\U000e007f"
    "\ufe00-\ufe0f\u200b-\u200f\u2060\ufeff\u20e3]+"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_TIME = re.compile(
    r"(?P<iso>\b(?:19|20)\d\d[-/][01]\d[-/][0-3]\d[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?"
    r"(?: ?(?:Z|[+-]\d\d:?\d\d))?)"
    r'|"(?:time|timestamp)":\s*(?P<ms>1\d{12})\b'
)


class LogError(HostError):
    """A pattern or mark that cannot be used."""


def plain(line: str) -> str:
    """The line without colours, emoji and control characters, each run of white space folded to one blank."""
    line = _CONTROL.sub("", _EMOJI.sub(" ", _ANSI.sub("", line)))
    return " ".join(line.split())


def line_time(line: str) -> str | None:
    """The first date and time in the line's first 200 characters, as written (pino's milliseconds as ISO, UTC)."""
    match = _TIME.search(line[:200])
    if not match:
        return None
    if match["ms"]:
        return datetime.fromtimestamp(int(match["ms"]) / 1000, timezone.utc).isoformat(timespec="milliseconds")
    return match["iso"]


# -------------------------------------------------------------------------------------------------- patterns


@dataclass(frozen=True)
class Pattern:
    """What to look for. ``text`` is found anywhere in a plain line, case ignored; ``regex`` is searched as is."""

    name: str
    text: str | None = None
    regex: re.Pattern[str] | None = None
    process: str | None = None  # only in this process's files
    stream: str | None = None  # only in files of this stream: out or err
    forgivable: bool = True  # where it was written before as well, as often may be forgiven

    def applies(self, source: dict[str, Any]) -> bool:
        return self.process in (None, source.get("process")) and self.stream in (None, source.get("stream"))

    def matches(self, line: str, folded: str) -> bool:
        """``line`` as ``plain`` gives it, ``folded`` the same with its case folded."""
        return self.text in folded if self.text is not None else bool(self.regex and self.regex.search(line))


def patterns(items: Iterable[dict[str, Any]]) -> list[Pattern]:
    """Patterns from data: ``{text | regex, name (default: the text), process?, stream?, forgivable?}``.

    LogError: all bad ones."""
    made, problems = [], []
    for item in items:
        text, regex = item.get("text"), item.get("regex")
        name = str(item.get("name") or text or regex or "?")
        fault, compiled, wanted = None, None, plain(text).casefold() if text else None
        if bool(text) == bool(regex):
            fault = "needs either text or regex"
        elif text and not wanted:
            fault = "its text holds nothing but blanks, emoji or control characters"
        elif regex:
            try:
                compiled = re.compile(regex)
            except re.error as error:
                fault = f"its regex is invalid ({error})"
        if fault:
            problems.append(Problem("log_pattern", f"pattern {name}", fault, "Correct the pattern"))
        else:
            forgivable = item.get("forgivable") is not False
            made.append(Pattern(name, wanted, compiled, item.get("process"), item.get("stream"), forgivable))
    if problems:
        raise LogError(*problems)
    return made


# ----------------------------------------------------------------------------------------------------- marks


def mark(source: dict[str, Any], at_start: bool = False) -> dict[str, Any]:
    """Where the file ends now (or its start). ``source``: ``{path, process?, stream?}``. A missing file: its start."""
    spot: dict[str, Any] = {
        "path": str(source["path"]),
        "process": source.get("process"),
        "stream": source.get("stream"),
        "inode": None,
        "offset": 0,
        "fingerprint": None,
        "at": time.time(),
    }
    with suppress(FileNotFoundError), open(spot["path"], "rb") as file:
        status = os.fstat(file.fileno())
        spot["inode"] = status.st_ino
        if not at_start:
            spot["offset"] = _line_start(file, status.st_size)
            spot["fingerprint"] = _fingerprint(file, spot["offset"])
    return spot


def _line_start(file: BinaryIO, size: int) -> int:
    """The end of the last whole line, so that a line half written at the mark counts as written after it."""
    start = max(0, size - _LONGEST)
    file.seek(start)
    newline = file.read(size - start).rfind(b"\n")
    return start + newline + 1 if newline >= 0 else (0 if start == 0 else size)


def _fingerprint(file: BinaryIO, offset: int) -> str | None:
    """A digest of the bytes before the offset; None at the start of a file, or when the file is shorter."""
    if offset == 0:
        return None
    start = max(0, offset - _FINGERPRINT)
    file.seek(start)
    content = file.read(offset - start)
    return hashlib.sha256(content).hexdigest()[:32] if len(content) == offset - start else None


# --------------------------------------------------------------------------------------------------- reading


class Tail:
    """Reads the lines written to one file since a mark, and follows it when it is rotated or emptied.

    Keeps the open file and one unfinished line, nothing else. ``gap`` is True when the file was rotated and
    the copy with the lines in between was not found.
    """

    def __init__(self, spot: dict[str, Any]) -> None:
        self.source = {key: spot.get(key) for key in ("path", "process", "stream")}
        self.gap = False
        self._path = Path(str(spot["path"]))
        self._inode: int | None = spot.get("inode")
        self._offset = int(spot.get("offset") or 0)
        self._fingerprint: str | None = spot.get("fingerprint")
        self._at: float | None = spot.get("at")
        self._file: BinaryIO | None = None
        self._rest = b""
        self._skipping = False

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def mark(self) -> dict[str, Any]:
        """Where the next pass has to go on: behind the last whole line."""
        offset = self._offset - len(self._rest)
        spot = {**self.source, "inode": self._inode, "offset": offset, "fingerprint": None, "at": self._at}
        if self._file:
            spot["at"] = time.time()
            spot["fingerprint"] = _fingerprint(self._file, spot["offset"])
        elif spot["offset"] == self._offset:
            spot["fingerprint"] = self._fingerprint
        return spot

    def unfinished(self) -> str:
        """The last line so far, when no line end followed it yet."""
        return self._rest.decode("utf-8", "replace")

    def lines(self) -> Iterator[str]:
        """The whole lines since the last call, of the rotated file first, then of the new one."""
        if self._file is None:
            yield from self._open(copied_after=self._at)
        if self._file is None:
            return
        if os.fstat(self._file.fileno()).st_size < self._offset or self._overwritten():
            yield from self._from_copy()
            yield from self._restart()
            return
        yield from self._drain(self._file)
        self._fingerprint = _fingerprint(self._file, self._offset)
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return  # renamed, and the new one is not there yet
        if status.st_ino != self._inode:
            # Renamed: what was written between the read above and the rename is still in the open file.
            yield from self._drain(self._file, last=True)
            yield from self._restart()

    def _open(self, copied_after: float | None = None) -> Iterator[str]:
        try:
            file = open(self._path, "rb")  # noqa: SIM115 - stays open, so that a rename cannot hide its end
        except FileNotFoundError:
            return
        status = os.fstat(file.fileno())
        if self._inode is None or (status.st_ino == self._inode and self._offset == 0):
            # Nothing stands before this place that could tell whether the file was emptied since.
            yield from self._read([] if copied_after is None else _copies(self._path, copied_after))
            self._offset, self._fingerprint = 0, None
        elif status.st_ino != self._inode or _fingerprint(file, self._offset) != self._fingerprint:
            yield from self._from_copy()
            self._offset, self._fingerprint = 0, None
        self._file, self._inode = file, status.st_ino

    def _restart(self) -> Iterator[str]:
        self.close()
        self._inode, self._offset, self._fingerprint, self._at = None, 0, None, time.time()
        self._rest, self._skipping = b"", False
        yield from self._open()
        if self._file:
            yield from self._drain(self._file)
            self._fingerprint = _fingerprint(self._file, self._offset)

    def _overwritten(self) -> bool:
        """True when the file was emptied and has grown beyond the offset again."""
        assert self._file is not None
        return bool(self._fingerprint) and _fingerprint(self._file, self._offset) != self._fingerprint

    def _from_copy(self) -> Iterator[str]:
        """The lines after the offset in the rotated copies: the one that holds our place, then all younger ones."""
        copies = _copies(self._path)
        place = _place(copies, self._inode, self._offset, self._fingerprint)
        if place is None:
            self.gap = True
            return
        yield from self._read(copies[: place + 1], self._offset)

    def _read(self, copies: Sequence[Path], offset: int = 0) -> Iterator[str]:
        """All of these copies, the oldest first; of that one what follows the offset."""
        for path in reversed(copies):
            with suppress(OSError, EOFError), open_copy(path) as file:
                self._offset = offset
                yield from self._drain(file, last=True)
            offset = 0

    def _drain(self, file: BinaryIO, last: bool = False) -> Iterator[str]:
        """Whole lines from the offset to the end. ``last``: nothing will follow, so the rest is a line as well."""
        file.seek(self._offset)
        while chunk := file.read(_CHUNK):
            self._offset += len(chunk)
            *whole, rest = (self._rest + chunk).split(b"\n")
            for line in whole:
                if not self._skipping:
                    yield line[:_LONGEST].decode("utf-8", "replace")
                self._skipping = False
            if len(rest) > _LONGEST:
                if not self._skipping:
                    yield rest[:_LONGEST].decode("utf-8", "replace")
                rest, self._skipping = b"", True
            self._rest = rest
        if last and self._rest:
            yield self.unfinished()
            self._rest = b""


def holding(mark: dict[str, Any]) -> Path | None:
    """The file that holds the bytes before a mark: the marked one, or the copy that rotation made of it."""
    path, offset, fingerprint = Path(str(mark["path"])), int(mark["offset"] or 0), mark["fingerprint"]
    with suppress(OSError), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_ino == mark["inode"] and _fingerprint(file, offset) == fingerprint:
            return path
    copies = _copies(path)
    place = _place(copies, mark["inode"], offset, fingerprint)
    return None if place is None else copies[place]


def _copies(path: Path, after: float = 0) -> list[Path]:
    """The rotated copies of a log, the youngest first; only those written to after that time."""
    found = []
    for copy in path.parent.glob(f"{glob_escape(path.name.partition('.')[0])}*"):
        with suppress(OSError):
            if copy.is_file() and copy.name != path.name and _is_copy(copy.name, path.name):
                found.append((copy.stat().st_mtime_ns, copy))
    return [copy for changed, copy in sorted(found, reverse=True) if changed / 1e9 > after - _TICK]


def _place(copies: Sequence[Path], inode: int | None, offset: int, fingerprint: str | None) -> int | None:
    """Which of the copies holds this place."""
    for position, path in enumerate(copies):
        with suppress(OSError, EOFError), open_copy(path) as file:
            if path.stat().st_ino == inode if not fingerprint else _fingerprint(file, offset) == fingerprint:
                return position
    return None


def glob_escape(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def _is_copy(name: str, original: str) -> bool:
    """Copies of a-out.log: ``a-out.log.1``, ``a-out.log-20251007.gz``, ``a-out__2025-10-07_00-00-00.log``."""
    if name.startswith((f"{original}.", f"{original}-")):
        return True
    stem, _, suffix = map(re.escape, original.rpartition("."))
    return bool(stem) and bool(re.fullmatch(rf"{stem}[-_.]{{1,2}}[0-9][0-9T_:-]*\.{suffix}(\.gz)?", name))


def open_copy(path: Path) -> BinaryIO:
    """A log file as it was before it was rotated."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def last_lines(path: str | os.PathLike[str], count: int = 10, since: int = 0) -> list[str]:
    """The last lines of a file, written after byte ``since`` (a file shorter than that was emptied), masked."""
    with suppress(OSError), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(since if since <= size else 0, size - _CHUNK))
        lines = [plain(line) for line in file.read().decode("utf-8", "replace").splitlines()]
        return [show(line) for line in lines if line][-count:]
    return []


def show(line: str) -> str:
    """Masked before it is cut: a cut through a number or key must not hide it from the mask."""
    shown = mask(line)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …"


# ------------------------------------------------------------------------------------------------- watching


@dataclass
class Result:
    """What a watch saw. ``found``/``forbidden``: ``{name, path, process, stream, line (masked), time, number}``."""

    found: list[dict[str, Any]] = field(default_factory=list)
    forbidden: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    usual: list[str] = field(default_factory=list)  # forbidden ones that came no more often than before the mark
    counts: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    last_error_lines: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    unwatched: list[str] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The module's names for it."""
        renamed = {"marks": "mark", "forbidden": "forbidden_found"}
        return {renamed.get(name, name): value for name, value in vars(self).items()}


def judge(seen: Result, timeout: float) -> list[Problem]:
    """What is wrong with it: every missing pattern and every forbidden one, with the lines that tell why. Pure."""
    problems = []
    said = [f"{log['process'] or log['path']}: {line}" for log in seen.last_error_lines for line in log["lines"][-3:]]
    for name in seen.missing:
        where, why = "the log files", f"{name!r} was not written within {timeout:g} s"
        if name in seen.unwatched:
            why = f"{name!r} asks for a process or stream of which no file is watched"
        elif seen.gaps:
            why += f" (or was lost: {', '.join(seen.gaps)} was rotated, and its copy was not found)"
        if said:
            why += f"; the error logs say: {' | '.join(said)}"
        remedy = "Check that the process was restarted and sees the flag; then its whole log: pm2 logs --nostream"
        problems.append(Problem("log_missing", where, why, remedy))
    for name in dict.fromkeys(each["name"] for each in seen.forbidden):
        first = next(each for each in seen.forbidden if each["name"] == name)
        problems.append(
            Problem(
                "log_forbidden",
                f"{first['path']}, line {first['number']} since the mark",
                f"{name!r} was written {seen.counts[name]} times, first: {first['line']}",
                "Read the log around it; if the login is affected, roll back",
            )
        )
    return problems


def watch(
    marks: Sequence[dict[str, Any]],
    expected: Sequence[Pattern],
    forbidden: Sequence[Pattern],
    timeout: float = 0,
    settle: float = 0,
    interval: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    allowed: Callable[[Pattern, float], int] = lambda _pattern, _seconds: 0,
) -> Result:
    """Read what was written since the marks until every expected pattern was seen, at most ``timeout`` seconds;
    then look ``settle`` seconds longer for forbidden ones. With both 0 it is one pass.

    A forbidden line ends the wait for what is still missing (it seldom comes after one), not the settling.
    ``allowed``: how many lines of a pattern are no more than usual in so many seconds; asked only where some came.
    """
    tails = [Tail(spot) for spot in marks]
    result, begin = Result(), clock()
    result.counts = {pattern.name: 0 for pattern in (*expected, *forbidden)}
    last: dict[int, deque[str]] = {index: deque(maxlen=10) for index in range(len(tails))}
    hits: dict[tuple[str, int], int] = {}
    numbers = [0] * len(tails)

    def look(index: int, line: str) -> None:
        text = plain(line)
        if not text:
            return
        source, folded = tails[index].source, text.casefold()
        result.lines += 1
        last[index].append(text)
        for group, into in ((expected, result.found), (forbidden, result.forbidden)):
            for pattern in group:
                if pattern.applies(source) and pattern.matches(text, folded):
                    result.counts[pattern.name] += 1
                    hits[pattern.name, index] = hits.get((pattern.name, index), 0) + 1
                    if hits[pattern.name, index] <= _KEPT:
                        into.append(
                            {
                                "name": pattern.name,
                                **source,
                                "line": show(text),
                                "time": line_time(text),
                                "number": numbers[index],
                            }
                        )

    def read() -> None:
        for index, tail in enumerate(tails):
            for line in tail.lines():
                numbers[index] += 1
                look(index, line)

    def missing() -> list[str]:
        return [pattern.name for pattern in expected if not result.counts[pattern.name]]

    marked_at = min((float(spot["at"]) for spot in marks if spot.get("at")), default=time.time())

    def blamed() -> set[str]:
        seconds = time.time() - marked_at
        came = [(pattern, result.counts[pattern.name]) for pattern in forbidden if result.counts[pattern.name]]
        return {pattern.name for pattern, count in came if count > allowed(pattern, seconds)}

    try:
        read()
        while missing() and not blamed() and clock() - begin < timeout:
            sleep(min(interval, max(0.0, timeout - (clock() - begin))))
            read()
        end = clock() + settle
        while clock() < end:
            sleep(min(interval, max(0.0, end - clock())))
            read()
        result.marks = [tail.mark() for tail in tails]
        if timeout or settle:
            # Nobody will read on from here to see the end of a line that has no line end yet.
            for index, tail in enumerate(tails):
                if rest := tail.unfinished():
                    numbers[index] += 1
                    look(index, rest)
    finally:
        for tail in tails:
            tail.close()

    result.missing = missing()
    result.usual = sorted({pattern.name for pattern in forbidden if result.counts[pattern.name]} - blamed())
    result.forbidden = [each for each in result.forbidden if each["name"] not in result.usual]
    result.gaps = [str(tail.source["path"]) for tail in tails if tail.gap]
    result.unwatched = [
        pattern.name for pattern in (*expected, *forbidden) if not any(pattern.applies(tail.source) for tail in tails)
    ]
    result.last_error_lines = [
        {**tails[index].source, "lines": [show(line) for line in lines]}
        for index, lines in last.items()
        if lines and tails[index].source.get("stream") in (None, "err")
    ]
    result.seconds = round(clock() - begin, 2)
    return result
