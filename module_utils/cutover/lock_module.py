"""What the module auth_state_lock does with its options: take the lock and begin the record, or end both, or look."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..node_host.problems import HostError, Problem
from .journal import Journal
from .lock import Holder, Lock
from .record import KILLED, Record

Answer = dict[str, Any]


def carry_out(instance: AnsibleModule) -> Answer:
    """Raises HostError when another run has the lock."""
    params = instance.params
    host = _Host(Path(params["state_dir"]), params["gone"])
    facts = params["facts"] or {}
    if params["state"] == "taken":
        return host.take(Holder(**params["holder"]), facts, check_mode=instance.check_mode)
    if params["state"] == "released":
        return host.release(params["run"], params["outcome"], facts, check_mode=instance.check_mode)
    return host.look()


class _Host:
    """`gone`: a run that is dead, by what the controller knows or the operator says."""

    def __init__(self, state_dir: Path, gone: str | None) -> None:
        self.lock, self.record, self.journal = Lock(state_dir), Record(state_dir), Journal(state_dir)
        self.gone = gone

    def look(self) -> Answer:
        present, last = self.lock.holder(), self.record.last()
        return {
            "holder": asdict(present) if present else None,
            "record": last.as_dict() if last else None,
            "left_undone": self.journal.left_undone(),
            "owners": sorted(self.journal.owners()),
            "problems": [each.as_dict() for each in self.refusals(present)],
        }

    def take(self, holder: Holder, facts: Answer, *, check_mode: bool) -> Answer:
        present = self.lock.holder()
        answer = {"changed": True, "run": holder.run, "holder": asdict(present) if present else None}
        refusals = self.refusals(present)
        if refusals:
            return {**answer, "changed": False, "failed": True, "problems": [each.as_dict() for each in refusals]}
        if present is not None:
            answer["taken_over"] = f"the lock of {present}, which {self.came_to()}"
        if check_mode:
            return answer
        if not self.lock.take(holder, present.run if present else None):
            raise HostError(_held(self.lock.holder() or holder))  # another was faster
        if present is not None:
            self.record.end(present.run, KILLED, {"said": self.came_to()})
        self.record.begin(holder, facts)
        return answer

    def release(self, run: str, outcome: str, facts: Answer, *, check_mode: bool) -> Answer:
        present = self.lock.holder()
        if present is None or present.run != run:
            return {"changed": False, "run": run}
        if not check_mode:
            # First the record: a run that is killed between the two has said what it came to.
            self.record.end(run, outcome, facts)
            self.lock.release(run)
        return {"changed": True, "run": run}

    def refusals(self, present: Holder | None) -> list[Problem]:
        """Why the lock cannot be taken."""
        run = self.journal.unfinished()
        if run is not None and run.alive():
            return [self.journal.under_way()]
        return [] if present is None or present.run == self.gone else [_held(present)]

    def came_to(self) -> str:
        """What the journal says of a run that is dead, for people."""
        run = self.journal.unfinished()
        return f"was {run.cut_off()}" if run else "left no cut-over without its end"


def _held(holder: Holder) -> Problem:
    return Problem(
        "locked",
        "the lock of this host",
        f"it is held by {holder}. Two runs at once could leave one login in two stores",
        "Wait until that run has ended. If it is dead, add -e lock_takeover=true: the journal is read first, and a run"
        " that still cuts over is left alone",
    )
