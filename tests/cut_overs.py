"""The steps of a cut-over in this process, on a host whose bot is at rest."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.baileys_auth.names import Names
from ansible.module_utils.baileys_auth.transfer import Settings
from ansible.module_utils.cutover.journal import Journal
from ansible.module_utils.cutover.rest import Rest
from ansible.module_utils.cutover.run import CutOver, Plan
from ansible.module_utils.node_host.pm2_states import Wanted
from bot_host import FLAG, BotHost

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


def cut_over(host: BotHost, to: str, source: str, **more: Any) -> CutOver:
    """At rest on the other store, about to copy. There is no pm2: these processes are never looked for."""
    options = {"accept_key_loss": more.pop("accept_key_loss", False)}
    conninfo = more.pop("conninfo", host.conninfo)
    flag_store = more.pop("flag_store", "files" if to == "database" else "database")
    looks = more.pop("looks", True)
    names, folders = Names(), (host.sessions, host.state_dir, host.backups)
    settings = Settings(*folders, host.name, flag_store, names, time.time(), **options)
    cut = CutOver(
        Plan(
            to=to, source=source, companies=host.company_ids, settings=settings, conninfo=conninfo, schema="public",
            env_file=str(host.env_file), flag=FLAG, processes=Wanted(["app"]), log_files=[], uptime_seconds=0,
            health_url=None, health_timeout=0, **more,
        ),
        Journal(host.state_dir),
        "a1",
    )  # fmt: skip
    cut._at_rest = Rest(settings, host.company_ids, [])
    cut._listings = cut._at_rest.look() if looks else {}
    return cut
