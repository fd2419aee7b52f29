#!/usr/bin/python
"""Ansible module: what is wrong with a bot's login, its stores and its processes. Reads only."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run
from ansible.module_utils.diagnosis.run import diagnose
from ansible.module_utils.node_host.cron_jobs import PATHS

DOCUMENTATION = r"""
module: auth_state_diagnose
short_description: Say what is wrong with a bot's login, its stores and its processes
description:
  - One check for each trouble of the runbook's own table, and for each that such rollouts have met. Each says what was
    found, what that means, and what to type.
  - Reads only, and does not fail for what it finds; RV(healthy) tells.
  - What cannot be looked at, such as a database that is down, is a finding, and the rest is told all the same.
options:
  app_dir:
    description: The app's checkout.
    type: path
    required: true
  backup_dir:
    description: Where backups are. Beside O(sessions_dir) by default.
    type: path
  forbidden:
    description: Lines that a good app does not log, as M(log_watch) takes them.
    type: list
    elements: dict
    default: []
  unlinked:
    description: Lines that say that the phone was unlinked.
    type: list
    elements: dict
    default: []
  watch_seconds:
    description: So long the processes are watched for a crash loop.
    type: float
    default: 6
  free_mb:
    description: Space in MiB below which the disk counts as full.
    type: int
    default: 500
  free_inodes:
    description: Inodes below which the disk counts as full.
    type: int
    default: 20000
  latency_ms:
    description: Milliseconds of one round trip above which the database counts as slow.
    type: float
    default: 1000
  cleanup_hours:
    description: The period of the cleanup. A key that expired longer ago and is still there says that it does not run.
    type: float
    default: 6
  cron_paths:
    description: Files and folders of cron. What this user may not read is left out; its own crontab is always read.
    type: list
    elements: path
    default: [/etc/crontab, /etc/cron.d, /etc/cron.hourly, /etc/cron.daily, /etc/cron.weekly, /var/spool/cron/crontabs,
              /var/spool/cron]
extends_documentation_fragment:
  - baileys_auth.app
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
  - baileys_auth.reads_only
author: The project's maintainers
"""

EXAMPLES = r"""
- name: See what is wrong
  auth_state_diagnose:
    app_dir: /opt/ai-admin
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
    processes: [ai-admin-worker-v2, baileys-service]
    optional_processes: [baileys-service]
  register: diagnosis
"""

RETURN = r"""
lines:
  description: One for each check, or for each thing that it found.
  returned: success
  type: list
  elements: dict
  contains:
    check: {description: The check's name, type: str, sample: flag-in-pm2}
    outcome: {description: "One of ok, note, wrong, skipped", type: str, sample: wrong}
    found: {description: What was found, type: str, sample: "pm2 process baileys-service: pm2 keeps the flag for it"}
    means: {description: What that means. Empty where all is well, type: str, sample: a change of .env does nothing}
    remedy: {description: What to type. Empty where all is well, type: str, sample: ansible-playbook deploy.yml}
    code: {description: A stable name of what was found. Empty where all is well, type: str, sample: pm2_flag_stored}
checks:
  description: How many checks there are.
  returned: success
  type: int
  sample: 30
healthy:
  description: Whether nothing is wrong. Notes do not count.
  returned: success
  type: bool
  sample: true
counts:
  description: How many things are wrong, how many are worth knowing, and how many checks could not look.
  returned: success
  type: dict
  sample: {"wrong": 0, "note": 2, "skipped": 1}
"""

PATTERNS = {"type": "list", "elements": "dict", "default": []}
OPTIONS = {
    "app_dir": {"type": "path", "required": True},
    "backup_dir": {"type": "path"},
    "forbidden": PATTERNS,
    "unlinked": PATTERNS,
    "watch_seconds": {"type": "float", "default": 6.0},
    "free_mb": {"type": "int", "default": 500},
    "free_inodes": {"type": "int", "default": 20_000},
    "latency_ms": {"type": "float", "default": 1000.0},
    "cleanup_hours": {"type": "float", "default": 6.0},
    "cron_paths": {"type": "list", "elements": "path", "default": list(PATHS)},
}


def main() -> None:
    run.module({**OPTIONS, **arguments.BOT_OPTIONS}, diagnose)


if __name__ == "__main__":
    main()
