"""What the module auth_state_watch does with its options."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..baileys_auth import arguments
from ..node_host import logs
from ..node_host.pm2_states import Wanted as Processes
from . import observe


def look(instance: AnsibleModule) -> dict[str, Any]:
    params = instance.params
    counted = [
        {**pattern, "name": name} for name in ("cleanup", "sent", "received", "unlinked") for pattern in params[name]
    ]
    seen, ledger = observe.observe(
        observe.Wanted(
            settings=arguments.settings(params, check_mode=True),
            companies=arguments.companies(params),
            conninfo=params["conninfo"],
            schema=params["schema"],
            env_file=params["env_file"],
            flag=params["flag"],
            processes=Processes(
                names=params["processes"],
                optional=params["optional_processes"],
                pm2_home=params["pm2_home"],
                flag=params["flag"],
            ),
            health_url=params["health_url"] or None,
            forbidden=logs.patterns(params["forbidden"]),
            counted=logs.patterns(counted),
            excluded=arguments.excluded(params),
        )
    )
    return {"seen": seen, "ledger": ledger}
