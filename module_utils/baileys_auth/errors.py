"""What can be wrong with an auth state, said so that an operator can act on it."""

from __future__ import annotations

from collections.abc import Iterable

from ..node_host.problems import HostError, Problem

__all__ = ["AuthStateError", "Problem"]


class AuthStateError(HostError):
    """One or more problems that make the work impossible; nothing was changed."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        super().__init__(*([problems] if isinstance(problems, Problem) else problems))
