"""One flag in a .env file, read exactly as the npm package ``dotenv`` reads it (checked against 17.2 and 18.0).

What differs from a line-based reading, and is kept here: the last of several assignments wins; a value in
quotes may span lines, so that ``FLAG=x`` inside of it is text; ``KEY: value`` and ``export KEY=value`` are
assignments; the quote that opens a value may even stand on the line after ``KEY=``.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .problems import HostError, Problem

# JavaScript's \s, \w, ^ and $ are not Python's: spelled out.
_SPACE = "[\\t\\n\\x0b\\x0c \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]"
_BREAKS = "\\n\\u2028\\u2029"
_ASSIGNMENT = re.compile(
    rf"(?:\A|(?<=[{_BREAKS}])){_SPACE}*(?P<export>export{_SPACE}+)?(?P<key>[A-Za-z0-9_.-]+)"
    rf"(?:{_SPACE}*=|:{_SPACE})"
    rf"(?P<value>{_SPACE}*'(?:\\'|[^'])*'|{_SPACE}*\"(?:\\\"|[^\"])*\"|{_SPACE}*`(?:\\`|[^`])*`|[^#\n]+)?"
    rf"{_SPACE}*(?:#[^{_BREAKS}]*)?(?=[{_BREAKS}]|\Z)"
)
_SPACES = "\t\n\x0b\x0c \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_QUOTED = re.compile(rf"(?:\A|(?<=[{_BREAKS}]))(['\"`])([\s\S]*)\1(?=[{_BREAKS}]|\Z)")

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A flag's value needs no more, and nothing here means anything to dotenv, to a shell or to systemd.
VALUE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


class DotenvError(HostError):
    """The file cannot be read or changed safely; nothing was changed."""


def _error(code: str, where: object, problem: str, remedy: str) -> DotenvError:
    return DotenvError(Problem(code, str(where), problem, remedy))


@dataclass(frozen=True)
class Assignment:
    """One assignment: the key, its value as dotenv gives it, and where it is in the text that ``parse`` got."""

    key: str
    value: str
    exported: bool
    start: int  # of the key's first character
    value_start: int  # just behind the "=" or ":"
    value_end: int


def parse(text: str) -> list[Assignment]:
    """All assignments in the file's order, duplicates included. ``text`` must have ``\\n`` line ends only."""
    found = []
    for match in _ASSIGNMENT.finditer(text):
        raw = match["value"] or ""
        value = raw.strip(_SPACES)
        double_quoted = value.startswith('"')
        value = _QUOTED.sub(r"\2", value)
        if double_quoted:
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        begin = match.start("value") if match["value"] is not None else _after_separator(text, match.end("key"))
        found.append(
            Assignment(match["key"], value, bool(match["export"]), match.start("key"), begin, begin + len(raw))
        )
    return found


def _after_separator(text: str, position: int) -> int:
    """The index behind the ``=`` (or ``:``) that follows a key ending at ``position``."""
    while text[position] not in "=:":
        position += 1
    return position + 1


def values(text: str) -> dict[str, str]:
    """What dotenv would put into the environment. Any line ends."""
    return {item.key: item.value for item in parse(_unix(text))}


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class Edit:
    """A planned change of one flag. ``removed`` counts the duplicates that go; ``*_line`` are for a diff."""

    text: str
    before: str | None
    after: str | None
    duplicates: int
    before_lines: tuple[str, ...]
    after_lines: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return self.before_lines != self.after_lines


def check_flag(name: str, value: str | None) -> None:
    """Refuse a name or value that .env readers could take for anything else than one plain assignment."""
    if not NAME.fullmatch(name):
        raise _error(
            "env_flag_name",
            name[:40].encode("ascii", "backslashreplace").decode(),
            "is no name of an environment variable",
            "Use letters, digits and _, not starting with a digit",
        )
    if value is not None and not VALUE.fullmatch(value):
        raise _error(
            "env_flag_value",
            name,
            "the value is empty or holds a character that .env readers do not agree on",
            "Use letters, digits and any of _ . / : @ % + , -",
        )


def plan(text: str, name: str, value: str | None) -> Edit:
    """The text with exactly one assignment of ``name`` (none when ``value`` is None); the rest is untouched.

    The effective assignment (the last one) keeps its place, its ``export`` and the comment behind it; the
    others' lines go. A flag that is already right, and there once, is left as it is spelled. The result is
    read again: every other variable must have the value that it had, else DotenvError, nothing changed.
    """
    check_flag(name, value)
    unix, origin = _with_origins(text)
    items = parse(unix)
    mine = [item for item in items if item.key == name]
    before = mine[-1].value if mine else None
    duplicates = max(0, len(mine) - 1)
    before_lines = tuple(_line(unix, item) for item in mine)
    if before == value and len(mine) == (value is not None):
        return Edit(text, before, value, duplicates, before_lines, before_lines)

    result = text
    for item in reversed(mine):
        if item is mine[-1] and value is not None:
            first, last, new = item.start, item.value_end, f"{name}={value}{_pad(unix, item)}"
        else:
            (first, last), new = _line_span(unix, item), ""
        result = result[: origin[first]] + new + result[origin[last] :]
    if value is not None and not mine:
        newline = "\r\n" if text.rfind("\r\n") + 1 == text.rfind("\n") > 0 else "\n"
        joint = newline if result and not result.endswith(("\n", "\r")) else ""
        result += f"{joint}{name}={value}{newline}"

    again = parse(_unix(result))
    now = [item for item in again if item.key == name]
    if _pairs(again, name) != _pairs(items, name) or [item.value for item in now] != [value] * (value is not None):
        raise _error(
            "env_not_plain",
            name,
            "the lines around it (quotes that span lines?) do not allow to change it alone",
            f"Put {name}={value or ''} on a line of its own by hand",
        )
    after_lines = tuple(_line(_unix(result), item) for item in now)
    return Edit(result, before, value, duplicates, before_lines, after_lines)


def _with_origins(text: str) -> tuple[str, list[int]]:
    """The text with ``\\n`` line ends, and for each of its characters (and its end) the index in the original."""
    parts = [
        (match.group().replace("\r\n", "\n").replace("\r", "\n"), match.start())
        for match in re.finditer(r"\r\n|[\s\S]", text)
    ]
    return "".join(char for char, _ in parts), [start for _, start in parts] + [len(text)]


def _pairs(items: list[Assignment], without: str) -> list[tuple[str, str]]:
    return [(item.key, item.value) for item in items if item.key != without]


def _pad(text: str, item: Assignment) -> str:
    """The blanks that an unquoted value swallowed in front of a comment: ``A=1  # why`` keeps its two."""
    raw = text[item.value_start : item.value_end]
    blanks = raw[len(raw.rstrip(" \t")) :]
    return blanks if text[item.value_end : item.value_end + 1] == "#" else ""


def _line_span(text: str, item: Assignment) -> tuple[int, int]:
    """From the start of the line that the key is on, to behind the line end that follows the value."""
    first = text.rfind("\n", 0, item.start) + 1
    last = text.find("\n", max(item.start, item.value_end))
    return first, len(text) if last < 0 else last + 1


def _line(text: str, item: Assignment) -> str:
    first, last = _line_span(text, item)
    return text[first:last].rstrip("\n")


# ---------------------------------------------------------------------------------------------- the file


def read(path: str | os.PathLike[str]) -> str:
    """The file's text; bytes that are no UTF-8 survive a round trip. DotenvError when it cannot be read."""
    try:
        return _decode(Path(path).read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None


def effective(path: str | os.PathLike[str], name: str) -> tuple[str | None, int]:
    """The value that dotenv gives ``name`` (None: not set), and how many assignments of it there are."""
    mine = [item for item in parse(_unix(read(path))) if item.key == name]
    return (mine[-1].value if mine else None), len(mine)


def is_on(value: str | None) -> bool:
    """Whether a flag of this value is on: the one word that every app takes for it, and that `write_flag` writes."""
    return value == "true"


def is_unclear(value: str | None) -> bool:
    """Whether one app takes a flag of this value for on, and another for off."""
    return not is_on(value) and (value or "").strip().lower() == "true"


def write_flag(path: str | os.PathLike[str], name: str, value: str | None, *, dry_run: bool = False) -> Edit:
    """Set (or with None remove) one flag in a file, atomically. Mode, owner and extended attributes are kept.

    A symlink is followed: the file that it names is replaced, the link stays. DotenvError: nothing changed.
    """
    real = Path(os.path.realpath(path))
    try:
        status = real.stat()
        raw = real.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise _error("env_no_file", path, "is not a regular file", "Give the path of the application's .env")
    try:
        edit = plan(_decode(raw), name, value)
    except DotenvError as error:
        raise DotenvError(
            *(Problem(f.code, f"{path} ({f.where})", f.problem, f.remedy) for f in error.problems)
        ) from None
    if edit.changed and not dry_run:
        try:
            _replace(real, edit.text.encode("utf-8", "surrogateescape"), status)
        except OSError as error:
            raise _error(
                "env_not_written",
                path,
                f"could not be replaced ({error.strerror}); it is as it was",
                "The user needs write access to its folder, and to be its owner (or root)",
            ) from None
    return edit


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _unreadable(path: object, error: OSError) -> DotenvError:
    return _error(
        "env_unreadable",
        path,
        f"cannot be read ({error.strerror})",
        "Check the path, and that the user who runs this may read it",
    )


def _replace(real: Path, content: bytes, status: os.stat_result) -> None:
    """Write beside, make durable, swap by rename. The temporary file is never wider than 0600 with content."""
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.fstat(out.fileno()).st_gid):
                os.fchown(out.fileno(), status.st_uid, status.st_gid)
            _copy_attributes(real, out.fileno())
            os.fchmod(out.fileno(), stat.S_IMODE(status.st_mode))
            os.fsync(out.fileno())
        current = real.stat()
        if (current.st_ino, current.st_size, current.st_mtime_ns) != (
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
        ):
            raise OSError(0, "somebody else changed it meanwhile", str(real))
        os.replace(name, real)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_attributes(source: Path, target: int) -> None:
    """POSIX ACLs and SELinux labels are extended attributes; a filesystem without them is fine."""
    with suppress(OSError):
        for attribute in os.listxattr(source):
            with suppress(OSError):
                os.setxattr(target, attribute, os.getxattr(source, attribute))
