"""What is wrong on a host, in a form that an operator can act on."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what, where, and what to type or change. All texts are already masked."""

    code: str
    where: str
    problem: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """The shape of every ``problems`` entry: ``{code, where, problem, remedy}``."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. {self.remedy}"


class HostError(Exception):
    """Base of this package's errors; carries one or more of them, so that no caller has to parse a message."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in problems))

    def as_dicts(self) -> list[dict[str, str]]:
        return [problem.as_dict() for problem in self.problems]
