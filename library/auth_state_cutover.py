#!/usr/bin/python
"""Ansible module: the cut-over of a bot's login from store to store, in one journalled run on the target."""

from __future__ import annotations

from ansible.module_utils.baileys_auth import arguments, run
from ansible.module_utils.cutover import module as cutover

DOCUMENTATION = r"""
module: auth_state_cutover
short_description: Move a bot's login to the other store while it is stopped, in one journalled run
description:
  - Stops the processes that own the login, proves that nothing writes it any more, copies what changed and verifies
    the whole, puts the new release in place, switches the flag, starts the processes, waits until they answer on the
    new store with the same identity, and records that store as the authority.
  - The run is a process of its own on the target. It goes on when the connection or the controller goes away, and
    writes each step to a journal (C(journal.jsonl) in O(state_dir)) before the step that follows it.
  - When a step fails, it brings the app back by itself. Before the flag was switched it starts it as it was; after, it
    copies back what the app has written meanwhile.
  - What a killed run left is brought to an end by the next call, on the side that the flag names.
options:
  destination:
    description: The store that the app runs on afterwards.
    type: str
    required: true
    choices: [database, files]
  source:
    description:
      - Where the files come from when O(destination=files).
      - V(database), the database's state is written back to them. V(best), the same, or where the database cannot be
        reached the files as they are. V(files), the files as they are. V(backup), one verified backup (O(backup)).
      - V(files) and V(backup) may lose keys (O(accept_key_loss)).
    type: str
    choices: [database, best, files, backup]
    default: database
  backup:
    description: The name of the backup, or V(newest).
    type: str
    default: newest
  accept_key_loss:
    description: Allow O(source=files) and O(source=backup) to lose the keys that only the database holds.
    type: bool
    default: false
  backup_dir:
    description: Where backups are, and where a state that loses is archived.
    type: path
  lid_mapping_ttl_days:
    description: As of M(baileys_auth_state).
    type: float
    default: 7
  uptime_seconds:
    description: How long the processes must be up without a restart, watched after they answer.
    type: float
    default: 3
  health_timeout:
    description: Seconds to wait for its answer.
    type: float
    default: 30
  app_dir:
    description: The app's folder, from which O(rehearsal_command) runs.
    type: path
  rehearsal_command:
    description:
      - A command of the app's own that loads a login through the app's code, run for each company before anything is
        stopped, when O(destination=database). C({company_id}), C({store}) (V(database) or V(files)) and C({code_dir})
        (the code that runs after the cut-over) are put into its words.
      - Its last line is a JSON object with C(identity), as the health endpoint tells it, and C(keys), which has for
        each key type an object with C(sample), the SHA-256 of one key of the type, the first by its Baileys file name
        in byte order, as JSON with sorted keys, no blanks, and bytes in base64. It must write nothing.
      - An app that cannot read the copy is so found before it is stopped.
      - Without one, where O(env_file) names SUPABASE_URL and a key, the copy is read back over that REST endpoint
        with that key; where it names neither, a warning says that nothing was tried.
    type: list
    elements: str
    default: []
  rehearsal_timeout:
    description: Seconds that O(rehearsal_command) may take for one company.
    type: float
    default: 60
  hold:
    description: Do all that comes before the stop, and stop there.
    type: bool
    default: false
  copy_timeout:
    description:
      - Seconds that the copy may take with the app stopped. Then it is given up, and the app started again as it was.
    type: float
    default: 60
  log_files:
    description: Logs whose end is remembered before the stop, as M(log_watch) takes them.
    type: list
    elements: dict
    default: []
  release:
    description: A new commit to put in place while the app is stopped.
    type: dict
    suboptions:
      app_dir: {description: The checkout, type: path, required: true}
      commit_before: {description: The commit that is there, type: str, required: true}
      commit_after: {description: The commit to fast-forward to, already fetched, type: str, required: true}
      dependencies: {description: Whether O(release.staging) holds new node_modules, type: bool, required: true}
      staging: {description: Where the new node_modules were built, type: path, required: true}
      aside: {description: Where the old node_modules go, type: path, required: true}
      patch:
        description: Where changes to tracked files are saved before they are discarded.
        type: path
        required: true
      back:
        description: Go back to O(release.commit_before) and its dependencies, after an earlier call has gone forward.
        type: bool
        default: false
  release_aside:
    description: Where an earlier call kept the release of before (its O(release.aside)).
    type: path
  release_back:
    description: Go back to the release that an earlier call kept in O(release_aside).
    type: bool
    default: false
extends_documentation_fragment:
  - baileys_auth.app
  - baileys_auth.database
  - baileys_auth.files
  - baileys_auth.stores
attributes:
  check_mode:
    support: full
    description: Says what would be copied. Nothing is stopped.
  diff_mode:
    support: none
    description: M(baileys_auth_state) shows the copy.
  idempotent:
    support: none
    description: It always stops and starts the app. Call it only when something has to change.
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Cut over to the database
  auth_state_cutover:
    destination: database
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
    processes: [ai-admin-worker-v2, baileys-service]
    optional_processes: [baileys-service]

- name: Go back to files, with every key
  auth_state_cutover:
    destination: files
    conninfo: "{{ database_url }}"
    sessions_dir: /opt/ai-admin/baileys_sessions
    state_dir: /opt/ai-admin/.auth-state
    env_file: /opt/ai-admin/.env
    company_ids: ["962302"]
    processes: [ai-admin-worker-v2, baileys-service]
    optional_processes: [baileys-service]
"""

RETURN = r"""
steps:
  description: The steps that were done, in order, with their seconds.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "stop", "seconds": 0.41}, {"name": "rest", "seconds": 0.07}]
held:
  description: That the run ended before the stop, as asked by O(hold).
  returned: O(hold)
  type: bool
  sample: true
rehearsed:
  description: By company, how many key types the app's own code read as they were copied; null without a command.
  returned: success, but not in check mode
  type: dict
  sample: {"962302": 10}
read_back:
  description: The companies whose rows the app's own key sees over REST; null where that was not tried.
  returned: success, but not in check mode
  type: list
  elements: str
  sample: ["962302"]
freeze_seconds:
  description: From the stop of the owners to their answer on the new store.
  returned: success
  type: float
  sample: 1.93
store:
  description: The store that the app runs on now.
  returned: always
  type: str
  sample: database
companies:
  description: The copy of each company, as M(baileys_auth_state) returns it.
  returned: always
  type: dict
  sample: {}
commit:
  description: The commit that was put in place; null when the code stayed.
  returned: success
  type: str
  sample: 4dae843834587e2d2b7c
mark:
  description: Where each log ended before the stop, for M(log_watch).
  returned: success
  type: list
  elements: dict
  sample: []
processes:
  description: The processes after the start.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "ai-admin-worker-v2", "pid": 4711, "status": "online"}]
saved:
  description:
    - Null, unless C(pm2 save) was run, because the saved list held the flag or others could read it. Then what else
      that changed in the list, process by process.
  returned: success
  type: list
  elements: dict
  sample: null
recovered:
  description: The killed run that was brought to an end first, and on which store the app was left.
  returned: when there was one
  type: dict
  sample: {"run": "5f0c4d0a6f3c", "to": "database", "doing": "copy", "store": "files"}
untouched:
  description: Whether the run failed before it had stopped anything.
  returned: when a step failed
  type: bool
  sample: false
reverted:
  description: What was done after a step had failed.
  returned: failed
  type: str
  sample: the app was started again on the files, as before; the flag was not switched
broken:
  description: Whether that failed as well, so that somebody has to look.
  returned: failed
  type: bool
  sample: false
problems:
  description: What failed.
  returned: failed
  type: list
  elements: dict
  sample: []
"""

RELEASE_OPTIONS = {
    "app_dir": {"type": "path", "required": True},
    "commit_before": {"type": "str", "required": True},
    "commit_after": {"type": "str", "required": True},
    "dependencies": {"type": "bool", "required": True},
    "staging": {"type": "path", "required": True},
    "aside": {"type": "path", "required": True},
    "patch": {"type": "path", "required": True},
    "back": {"type": "bool", "default": False},
}
OPTIONS = {
    "destination": {"type": "str", "required": True, "choices": ["database", "files"]},
    "source": {"type": "str", "choices": ["database", "best", "files", "backup"], "default": "database"},
    "backup": {"type": "str", "default": "newest"},
    "accept_key_loss": {"type": "bool", "default": False},
    "backup_dir": {"type": "path"},
    "lid_mapping_ttl_days": {"type": "float", "default": 7.0},
    "uptime_seconds": {"type": "float", "default": 3.0},
    "health_timeout": {"type": "float", "default": 30.0},
    "copy_timeout": {"type": "float", "default": 60.0},
    "log_files": {"type": "list", "elements": "dict", "default": []},
    "app_dir": {"type": "path"},
    "rehearsal_command": {"type": "list", "elements": "str", "default": []},
    "rehearsal_timeout": {"type": "float", "default": 60.0},
    "hold": {"type": "bool", "default": False},
    "release": {"type": "dict", "options": RELEASE_OPTIONS},
    "release_aside": {"type": "path"},
    "release_back": {"type": "bool", "default": False},
}


def main() -> None:
    run.module({**OPTIONS, **arguments.BOT_OPTIONS}, cutover.carry_out)


if __name__ == "__main__":
    main()
