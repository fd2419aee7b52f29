"""What one command costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CLOCK = Path(__file__).with_name("clock.py")


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall clock and of the processor, and the largest memory of one process in MiB."""

    seconds: float
    processor: float
    peak_mib: float

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.seconds + other.seconds, self.processor + other.processor, max(self.peak_mib, other.peak_mib))


def run(
    argv: Sequence[str | Path], *, stdin: Path | None = None, env: dict[str, str] | None = None
) -> tuple[Cost, str]:
    """(what it cost, its standard output). Raises RuntimeError when it fails: a failure has no time."""
    with tempfile.NamedTemporaryFile() as sink:
        clock = [sys.executable, "-ISE", str(_CLOCK), str(stdin or os.devnull), sink.name, *map(str, argv)]
        done = subprocess.run(clock, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        output = Path(sink.name).read_text()
    if found.pop("status") != 0:
        raise RuntimeError(f"{Path(argv[0]).name} failed: {output[-2000:]}{done.stderr[-2000:]}")
    return Cost(**found), output
