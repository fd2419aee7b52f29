"""Whether a pattern is a regular expression, before it is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable


def not_regexes(patterns: Iterable[str]) -> list[str]:
    """Those that Python's re does not take, in their order."""
    return [pattern for pattern in patterns if not _compiles(pattern)]


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
