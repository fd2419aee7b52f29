#!/usr/bin/python
"""Processes that pm2 runs."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.node_host.pm2_states import Wanted, carry_out, look
from ansible.module_utils.node_host.problems import HostError

DOCUMENTATION = r"""
module: pm2_process
short_description: Look at, stop, start or restart processes under pm2, and see that they are really up
description:
  - Acts on processes that the pm2 daemon of the present user knows, by their numbers, several in one call.
  - Looking never starts a daemon. Where none runs (as for the wrong user, to whom pm2 shows an empty list),
    that is said.
  - After a start or restart it waits until each process has been online with the same pid and without a restart
    over a window, since pm2 itself says online and exits 0 while an application crash-loops.
  - After a stop it waits until the pids, and everything that descended from them, are gone.
  - pm2 is run with a clean environment (PATH, HOME, PM2_HOME, LANG), so that nothing of the caller's can be
    stored in pm2. The environment of a process is never returned nor logged.
options:
  names:
    description: The processes' names, in the order in which they are to be handled.
    type: list
    elements: str
    required: true
    aliases: [name]
  optional:
    description: Those of O(names) that need not exist. They are reported in RV(missing), which is no error.
    type: list
    elements: str
    default: []
  started:
    description: With O(state=info), whom the last run has started. An optional one that is stopped and not among them
      was stopped on purpose; without any, one that is stopped beside another that runs.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(info) only looks; what is wrong comes back as RV(problems), and does not fail.
      - V(started) starts what is stopped, and watches that it is up. A process that is up already is left alone.
      - V(restarted) is pm2's restart, always a change.
      - V(stopped) stops what runs. V(absent) stops and forgets.
    type: str
    choices: [info, started, restarted, stopped, absent]
    default: info
  drop_stored:
    description:
      - Variables that must not be in the environment that pm2 keeps for a process, where they would beat the .env
        file. Restart, stop and start, and C(--update-env) never remove one.
      - A process that has one is deleted and started again as it was recorded (script, arguments, folder, name,
        interpreter, mode, log files, limits, and its other variables) without them. Used by O(state=started)
        and O(state=restarted), also on a process that is online.
    type: list
    elements: str
    default: []
  flag:
    description: The one variable to look for in the environment that pm2 keeps, and in the running process's own.
    type: str
  ecosystem:
    description:
      - An ecosystem file with the definition of names that pm2 does not know yet; used by O(state=started).
        With it, a daemon is started where there is none.
    type: path
  save:
    description:
      - Run C(pm2 save) where what a reboot would bring back is no longer right, that is another list or status, a
        definition just changed, O(flag) in it, or a file that others may read. It stores the state of all processes;
        RV(unsaved) says of which it was another one. The file becomes 0600.
    type: bool
    default: false
  pm2_home:
    description: pm2's folder. Default is C(.pm2) in the present user's home folder.
    type: path
  executable:
    description: The pm2 command, a name or an absolute path.
    type: str
    default: pm2
  search_path:
    description: Folders put before PATH, for a pm2 and a node that a non-interactive shell does not find (nvm).
    type: list
    elements: path
    default: []
  window_seconds:
    description: How long a process has to be online, with the same pid and no restart, to count as up.
    type: float
    default: 5
  timeout:
    description: Seconds after a start within which every process has to be up, the window included.
    type: float
    default: 60
  stop_timeout:
    description: Seconds within which a stopped process and its descendants have to be gone.
    type: float
    default: 30
  max_crashes:
    description: So many restarts by pm2 during the watch are called a crash loop, without waiting for O(timeout).
    type: int
    default: 3
attributes:
  check_mode:
    description: Can run in check mode and say what would change, without changing it.
    support: full
  diff_mode:
    description: Shows each process's status before and after.
    support: full
  idempotent:
    description: All states but V(restarted) change nothing when there is nothing to do.
    support: partial
notes:
  - Linux only, as it reads C(/proc).
author:
  - AI Admin operations
"""

EXAMPLES = r"""
- name: Look at the processes before anything is changed
  pm2_process:
    names: [ai-admin-worker-v2, baileys-service]
    optional: [baileys-service]
    flag: USE_DATABASE_AUTH_STATE
  register: before

- name: Stop them, and wait until they are gone
  pm2_process:
    names: [ai-admin-worker-v2, baileys-service]
    optional: [baileys-service]
    state: stopped

- name: Start them, without a flag that pm2 keeps
  pm2_process:
    names: [ai-admin-worker-v2, baileys-service]
    optional: [baileys-service]
    state: started
    drop_stored: [USE_DATABASE_AUTH_STATE]
    window_seconds: 10
"""

RETURN = r"""
processes:
  description: The named processes, after what was done. In check mode, as they are.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name, type: str, returned: always, sample: ai-admin-worker-v2}
    pm_id: {description: Its number in pm2, type: int, returned: always, sample: 0}
    pid: {description: Its process id; null when it does not run, type: int, returned: always, sample: 6268}
    status: {description: pm2's word, type: str, returned: always, sample: online}
    restart_time: {description: Restarts that pm2 counted, type: int, returned: always, sample: 3}
    uptime_ms: {description: Milliseconds since its last start, type: int, returned: always, sample: 5100}
    exec_mode: {description: fork or cluster, type: str, returned: always, sample: fork}
    watch: {description: Whether pm2 restarts it when files change, type: bool, returned: always, sample: false}
    cron_restart: {description: When pm2 restarts it by the clock, type: str, returned: always, sample: null}
    autorestart: {description: Whether pm2 starts it again when it ends, type: bool, returned: always, sample: true}
    out_log_path: {description: Log of its stdout, type: str, returned: always, sample: /home/app/.pm2/logs/w-out.log}
    err_log_path: {description: Log of its stderr, type: str, returned: always, sample: /home/app/.pm2/logs/w-error.log}
    cwd: {description: Its folder, type: str, returned: always, sample: /opt/ai-admin}
    script: {description: What it runs, type: str, returned: always, sample: /opt/ai-admin/src/worker.js}
    kill_timeout: {description: Milliseconds from SIGINT to SIGKILL, type: int, returned: always, sample: 1600}
    memory: {description: Resident bytes, type: int, returned: always, sample: 51871744}
    stored_flag: {description: Whether pm2 keeps O(flag) for it, type: bool, returned: always, sample: false}
    stored_flag_value:
      {description: The kept value; C(<hidden>) when it is no plain switch, type: str, returned: always, sample: null}
    process_flag_value:
      description: The value in the environment that the running process was started with. dotenv sets a variable
        only where this is null.
      type: str
      returned: always
      sample: null
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The process, type: str, returned: always, sample: ai-admin-worker-v2}
    action:
      description: One of none, missing, start, restart, stop, recreate, delete, define (started from O(ecosystem)).
      type: str
      returned: always
      sample: restart
up:
  description: How each process came up, as watched over the window.
  returned: O(state) is started or restarted, and not in check mode
  type: list
  elements: dict
  contains:
    name: {description: The process, type: str, returned: always, sample: ai-admin-worker-v2}
    pm_id: {description: Its number in pm2, type: int, returned: always, sample: 0}
    pid: {description: Its process id, type: int, returned: always, sample: 6300}
    status: {description: pm2's word, type: str, returned: always, sample: online}
    restarts_before: {description: pm2's count before, type: int, returned: always, sample: 3}
    restarts_after: {description: pm2's count after, type: int, returned: always, sample: 4}
    uptime_ms: {description: Milliseconds since its last start, type: int, returned: always, sample: 5100}
    crashes: {description: Restarts seen during the watch, type: int, returned: always, sample: 0}
    up: {description: Whether it was online over the whole window, type: bool, returned: always, sample: true}
missing:
  description: Names that pm2 does not know.
  returned: success
  type: list
  elements: str
  sample: [baileys-service]
pending:
  description:
    - Those of them that a run which was killed has deleted, and that the next start starts anew. Looked for with
      O(state=info) alone.
  returned: success
  type: list
  elements: str
  sample: []
resting:
  description: Optional ones that were stopped on purpose, see O(started). Looked for with O(state=info) alone.
  returned: success
  type: list
  elements: str
  sample: []
problems:
  description: What is wrong, each with its remedy. Empty when nothing is.
  returned: always
  type: list
  elements: dict
  sample:
    - code: pm2_no_daemon
      where: pm2 of user root in /root/.pm2
      problem: no pm2 daemon is running there
      remedy: If another user runs the application, connect or become that user, or correct pm2_home
observations:
  description: What should be known though it stops nothing, in the shape of RV(problems).
  returned: O(state=info)
  type: list
  elements: dict
  sample: []
unsaved:
  description: What C(pm2 save) would change in the list that a reboot brings back, or has just changed in it.
  returned: success
  type: list
  elements: dict
  sample: [{name: other-app, saved: online, now: null}]
saved:
  description: Whether C(pm2 save) was run, or in check mode would be.
  returned: success
  type: bool
  sample: false
daemon:
  description: The pm2 daemon; null when none runs.
  returned: success
  type: dict
  sample: {pid: 4711, home: /home/app/.pm2, user: app}
seconds:
  description: How long it took, the window included.
  returned: success
  type: float
  sample: 6.2
"""


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True, "aliases": ["name"]},
            "optional": {"type": "list", "elements": "str", "default": []},
            "started": {"type": "list", "elements": "str", "default": []},
            "state": {
                "type": "str",
                "choices": ["info", "started", "restarted", "stopped", "absent"],
                "default": "info",
            },
            "drop_stored": {"type": "list", "elements": "str", "default": []},
            "flag": {"type": "str"},
            "ecosystem": {"type": "path"},
            "save": {"type": "bool", "default": False},
            "pm2_home": {"type": "path"},
            "executable": {"type": "str", "default": "pm2"},
            "search_path": {"type": "list", "elements": "path", "default": []},
            "window_seconds": {"type": "float", "default": 5},
            "timeout": {"type": "float", "default": 60},
            "stop_timeout": {"type": "float", "default": 30},
            "max_crashes": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    try:
        wanted = Wanted(**module.params)
        result = look(wanted) if wanted.state == "info" else carry_out(wanted, module.check_mode)
    except HostError as error:
        module.fail_json(msg=str(error), problems=error.as_dicts())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
