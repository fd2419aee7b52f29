"""A program of this machine that a test needs: installed where it may be, else the test fails with the line to type."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def provided(package: str, *names: str) -> str:
    """The path of the program, under the first of its names that is here."""
    line = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    if not _found(names) and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], line):
            subprocess.run(command, env=quiet, capture_output=True, check=False)
    program = _found(names)
    if program is None:
        pytest.fail(f"There is no {names[0]}, which this test needs; type: sudo {' '.join(line)}")
    return program


def _found(names: tuple[str, ...]) -> str | None:
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)
