"""What it takes to make one store equal to the other, from digests alone: no store, no Ansible.

`source` is the store that is right (the authority), `destination` the one to be made equal, and `base` what
both held after the last transfer (the manifest). The same plan serves check mode and the real run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .names import Key

Digests = Mapping[Key, bytes]


@dataclass
class Plan:
    """The keys by what happens to them in the destination, and those somebody else changed there."""

    added: set[Key] = field(default_factory=set)
    changed: set[Key] = field(default_factory=set)
    removed: set[Key] = field(default_factory=set)
    unchanged: set[Key] = field(default_factory=set)
    left_out: set[Key] = field(default_factory=set)
    conflicts: set[Key] = field(default_factory=set)

    @property
    def changes(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def by_type(self) -> dict[str, dict[str, int]]:
        """Counts: {key type: {added, changed, removed, unchanged, left_out}}."""
        actions = ("added", "changed", "removed", "unchanged", "left_out")
        counts = {action: count_by_type(getattr(self, action)) for action in actions}
        types = sorted(set().union(*counts.values()))
        return {name: {action: counts[action].get(name, 0) for action in actions} for name in types}


def count_by_type(keys: Collection[Key]) -> dict[str, int]:
    return dict(sorted(Counter(key.type for key in keys).items()))


def make_plan(
    source: Digests,
    destination: Digests,
    base: Digests | None,
    left_out: Collection[Key] = (),
    not_missed: Collection[Key] = (),
) -> Plan:
    """The plan that makes `destination` equal to `source`.

    `left_out`: keys the TTL rule keeps out of this plan, in whichever store they are.
    `not_missed`: keys whose absence from the destination is no change there (their TTL removed them).
    A conflict is a key that differs in the destination from both the base and the source: somebody wrote it
    there after the last transfer, or nobody knows who did.
    """
    plan = Plan(left_out=set(left_out))
    if source == destination:  # most runs
        plan.unchanged = set(source)
        return plan
    known = base if base is not None else {}
    for key, value in source.items():
        there = destination.get(key)
        if there == value:
            plan.unchanged.add(key)
            continue
        (plan.added if there is None else plan.changed).add(key)
        if there != known.get(key) and not (there is None and key in not_missed):
            plan.conflicts.add(key)
    for key, there in destination.items():
        if key in source or key in plan.left_out:
            continue
        plan.removed.add(key)
        if there != known.get(key):
            plan.conflicts.add(key)
    return plan
