"""What a check is, and what it may say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..node_host.mask import mask
from ..node_host.problems import Problem
from .facts import Facts

OK, WRONG, NOTE, SKIPPED = "ok", "wrong", "note", "skipped"


class Unknown(str):
    """Why a check could not look."""


class Note(Problem):
    """What an operator should know, though nothing is wrong."""


def note(problem: Problem) -> Note:
    return Note(problem.code, problem.where, problem.problem, problem.remedy)


# All is well, and what was seen; or why it could not be seen; or what is wrong.
Said = str | Unknown | list[Problem]


class Line(NamedTuple):
    """One line of the diagnosis. `outcome`: ok, wrong, note or skipped."""

    check: str
    outcome: str
    found: str
    means: str = ""
    remedy: str = ""
    code: str = ""


@dataclass(frozen=True)
class Check:
    """`means`: why a problem that it finds matters."""

    name: str
    means: str
    rule: Callable[[Facts], Said]

    def lines(self, facts: Facts) -> Iterator[Line]:
        """One line, or one for each thing that is found."""
        said = self.rule(facts)
        if isinstance(said, str):
            yield Line(self.name, SKIPPED if isinstance(said, Unknown) else OK, mask(said))
            return
        for each in said:
            outcome = NOTE if isinstance(each, Note) else WRONG
            found = mask(f"{each.where}: {each.problem}")
            yield Line(self.name, outcome, found, self.means, mask(each.remedy), each.code)
