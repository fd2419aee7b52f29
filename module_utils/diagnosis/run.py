"""What the module auth_state_diagnose does with its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..baileys_auth import arguments
from ..baileys_auth.transfer import Settings
from ..node_host import logs
from ..node_host.pm2_states import Wanted as Processes
from ..node_host.problems import HostError
from . import check, checks
from .facts import Limits
from .look import Wanted, look


def diagnose(instance: AnsibleModule) -> dict[str, Any]:
    """The lines of the diagnosis; it never fails for what it finds."""
    params = instance.params
    settings = _settings(params)
    wanted = Wanted(
        settings=settings,
        companies=_companies(params),
        excluded=arguments.excluded(params),
        conninfo=params["conninfo"],
        schema=params["schema"],
        app_dir=Path(params["app_dir"]),
        env_file=params["env_file"],
        flag=params["flag"],
        processes=Processes.owners(params),
        health_url=params["health_url"] or "",
        forbidden=logs.patterns(params["forbidden"]),
        unlinked=logs.patterns(params["unlinked"]),
        limits=Limits(params["free_mb"], params["free_inodes"], params["latency_ms"], params["cleanup_hours"]),
        cron_paths=params["cron_paths"],
        watch_seconds=params["watch_seconds"],
    )
    lines = checks.diagnose(look(wanted))
    counts = {
        outcome: sum(line.outcome == outcome for line in lines) for outcome in (check.WRONG, check.NOTE, check.SKIPPED)
    }
    return {
        "lines": [line._asdict() for line in lines],
        "checks": len(checks.CHECKS),
        "healthy": not counts[check.WRONG],
        "counts": counts,
    }


def _settings(params: dict[str, Any]) -> Settings:
    """As every module's; where .env cannot be read, which is a finding, the flag counts as not set."""
    try:
        return arguments.settings(params, check_mode=True)
    except HostError:
        return arguments.settings({**params, "env_file": os.devnull}, check_mode=True)


def _companies(params: dict[str, Any]) -> list[str]:
    """Those named; none where the sessions folder, which would tell them, cannot be read: that is a finding."""
    try:
        return arguments.companies(params)
    except HostError:
        if params["company_ids"]:
            raise
        return []
