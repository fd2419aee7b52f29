"""Runs a module as Ansible does on a target; at one step of the journal it dies, and its host with it, or it waits.

Standard input: {"arguments", "pm2_home", "point": null or {"step", "moment", "to", "wait", "alone"}}.
`moment`: `begins`, the step is in the journal, and nothing of it is done; or `ends`, all of it is done, and not in the
journal. `alone`: its host lives on. `wait`: a path; `<path>.reached` is made there, and the run goes on once there is
`<path>.go`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path += [str(PROJECT / "library"), str(PROJECT / "tests/sandbox"), str(Path(__file__).parent)]

import ansible.module_utils  # noqa: E402 (found only now)
from ansible.module_utils.testing import patch_module_args  # noqa: E402

ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.cutover.journal import Journal  # noqa: E402
from host import kill_everything  # noqa: E402

given = json.load(sys.stdin)
point, module_pid = given["point"], os.getpid()
write = Journal.write


def write_or_die(self: Journal, run_id: str, event: str, **facts: Any) -> None:
    here = point and facts.get("step") == point["step"] and facts.get("to") == point["to"]
    if here and (event, point["moment"]) == ("done", "ends"):
        stop_here()
    write(self, run_id, event, **facts)
    if here and (event, point["moment"]) == ("doing", "begins"):
        stop_here()


def stop_here() -> None:
    if point.get("wait"):
        Path(f"{point['wait']}.reached").touch()
        while not Path(f"{point['wait']}.go").exists():
            time.sleep(0.01)
        return
    if not point.get("alone"):
        kill_everything(Path(given["pm2_home"]))
    os.kill(module_pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


Journal.write = write_or_die
with patch_module_args(given["arguments"]):
    importlib.import_module(sys.argv[1]).main()
