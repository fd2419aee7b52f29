"""Which machine this is, and since which start of it: the two ids that Linux gives."""

from __future__ import annotations

from pathlib import Path

_MACHINE = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def machine_id() -> str:
    """The same after each start; empty where there is none, as in some containers."""
    return next(filter(None, map(_text, _MACHINE)), "")


def boot_id() -> str:
    """Another one after each start."""
    return _text(_BOOT)


def pid_namespace() -> str:
    """Process ids mean something only within it: a container has its own."""
    try:
        return str(_PID_NAMESPACE.readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
