"""The ledger of one pass as it would be after eight days of daily passes, sealed with the controller's own key.

Arguments: the monitor's folder on the controller, the host. Standard input: the ledger of the one pass.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

# The first makes the project's modules importable.
import conftest  # noqa: F401 - for that
import ledgers
from ansible.module_utils.watch.keeper import Keeper
from ansible.module_utils.watch.ledger import Chain, digest

folder, host = Path(sys.argv[1]), sys.argv[2]
(today,) = map(json.loads, sys.stdin.read().splitlines())
now = datetime.fromisoformat(today["at"])
since = now - timedelta(days=8)
moved = {**today["cut_over"], "since": dict.fromkeys(today["cut_over"]["since"], since.isoformat())}
bare = {name: today[name] for name in today if name not in ("number", "previous", "seal", "host")}

keeper, chain, lines = Keeper(folder, host), Chain(), []
for at in ledgers.times(since, now):
    entry = {**bare, "at": at.isoformat(timespec="seconds"), "cut_over": moved}
    lines.append(keeper.seal({**entry, "seen": {**bare["seen"], "since": moved["since"]}}, chain))
    keeper.written(lines[-1])
    chain = Chain(last=digest(lines[-1]), count=len(lines))
print("\n".join(lines))
