"""Run one command and print what it cost, as JSON: wall seconds, processor seconds, peak memory in MiB.

A program of its own, and a small one: a child inherits the peak memory of the process that starts it.
Arguments: file for standard input, file for standard output, command.
"""

import json
import os
import sys
import time

source, sink, *command = sys.argv[1:]
start = time.perf_counter()
child = os.posix_spawn(
    command[0],
    command,
    os.environ,
    file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, source, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, sink, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ],
)
_, status, usage = os.wait4(child, 0)
print(
    json.dumps(
        {
            "seconds": time.perf_counter() - start,
            "processor": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024,
            "status": os.waitstatus_to_exitcode(status),
        }
    )
)
