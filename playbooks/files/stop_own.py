"""Stop what runs for a sandbox, by the ids that it recorded itself. Arguments: its folder, and what: pm2, postgresql.

An id counts only while its process still is what was recorded: ids are used again, after a reboot for example.
"""

import os
import signal
import sys
import time
from pathlib import Path

sandbox = Path(os.path.realpath(sys.argv[1]))
pm2_home = sandbox / "pm2"
data = Path(os.path.realpath(sandbox / "postgresql")) / "data"


def recorded(file: Path) -> int:
    """Return the process id in the first line of a file, or 0."""
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def serves_pm2_home(pid: int) -> bool:
    """Tell whether a process was started with the sandbox's PM2_HOME."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return any(os.path.samefile(entry[9:], pm2_home) for entry in variables if entry.startswith(b"PM2_HOME="))
    except OSError:
        return False


def serves_data(pid: int) -> bool:
    """Tell whether a process works in the folder of the sandbox's database."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except OSError:
        return False


def running(pid: int) -> bool:
    """Tell whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stop(pids: list[int], how: signal.Signals) -> None:
    """Ask processes to end, wait, and end those that do not."""
    for pid, what in [*((pid, how) for pid in pids), *((pid, signal.SIGKILL) for pid in pids)]:
        if running(pid):
            os.kill(pid, what)
        deadline = time.monotonic() + 20
        while running(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    if pids:
        print("stopped", *pids)


if "pm2" in sys.argv[2:]:
    # Its daemon first, which ends the others itself; they follow, should it not have.
    files = [pm2_home / "pm2.pid", *sorted((pm2_home / "pids").glob("*.pid"))]
    stop([pid for pid in map(recorded, files) if pid and serves_pm2_home(pid)], signal.SIGTERM)
if "postgresql" in sys.argv[2:]:
    server = recorded(data / "postmaster.pid")
    # SIGINT is PostgreSQL's fast shutdown.
    stop([server] if server and serves_data(server) else [], signal.SIGINT)
