#!/usr/bin/python
"""Log files, from a mark on."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.node_host import logs
from ansible.module_utils.node_host.log_rates import Usual
from ansible.module_utils.node_host.problems import HostError

DOCUMENTATION = r"""
module: log_watch
short_description: Mark where log files end, then wait for and against lines written since
description:
  - With O(state=marked) it remembers where each file ends. With O(state=matched) it reads what was written since,
    waits until every expected pattern was seen, and then some time longer for forbidden ones.
  - A line from before the mark never counts. Rotation between and during the calls is followed, by rename as by
    copying and emptying, gzip included; a file that is not there yet is waited for.
  - Lines are compared without colour codes, emoji and control characters, each run of blanks folded to one. They are
    returned masked, without phone numbers, key material, tokens and connection URLs.
  - Reads only what was written since the mark, in pieces.
options:
  state:
    description: What to do.
    type: str
    choices: [marked, matched]
    required: true
  files:
    description: The files to mark. Required when O(state=marked).
    type: list
    elements: dict
    suboptions:
      path:
        description: The file; it may be missing.
        type: path
        required: true
      process:
        description: The name of the process that writes it, which a pattern may ask for.
        type: str
      stream:
        description: Which of its streams it is.
        type: str
        choices: [out, err]
  from_start:
    description: With O(state=marked), mark the files' beginnings instead of their ends.
    type: bool
    default: false
  mark:
    description: RV(mark) of an earlier call. Required when O(state=matched).
    type: list
    elements: dict
  expected:
    description: What has to be seen. See O(forbidden) for the fields.
    type: list
    elements: dict
    default: []
    suboptions: &pattern
      text:
        description: Found anywhere in a line, case ignored. Emoji and colours in it do not matter.
        type: str
      regex:
        description: A regular expression of Python's, searched in the cleaned line. Either this or the text.
        type: str
      name:
        description: What to call it in results. Default is the text or regular expression.
        type: str
      process:
        description: Only in files of this process.
        type: str
      stream:
        description: Only in files of this stream.
        type: str
        choices: [out, err]
      forgivable:
        description: With O(compare_before), whether it is forgiven where it is no more frequent than before.
        type: bool
        default: true
  forbidden:
    description: What must not be seen.
    type: list
    elements: dict
    default: []
    suboptions: *pattern
  timeout:
    description: Seconds to wait for what is expected. A forbidden line ends this wait. 0 looks once.
    type: float
    default: 30
  settle:
    description: Seconds to go on looking for forbidden lines afterwards.
    type: float
    default: 2
  compare_before:
    description:
      - Compare forbidden lines with how often they were written before the mark, so that what was there already is not
        blamed on what happened at the mark. Those that were as frequent come back as RV(usual) and do not fail.
      - The rate comes from the last 4 MiB before the mark, by the times in the lines, else by the age of the file.
        Where neither tells, nothing is forgiven.
    type: bool
    default: false
  report_only:
    description: Do not fail on what is missing or forbidden. The caller judges by RV(missing), RV(forbidden_found).
    type: bool
    default: false
attributes:
  check_mode:
    description: Marks as usual. With O(state=matched) it looks once, waits for nothing, and fails on nothing, since in
      check mode nothing was restarted that could have written the lines.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
  idempotent:
    description: Never changes anything.
    support: full
author:
  - AI Admin operations
"""

EXAMPLES = r"""
- name: Remember where the logs end
  log_watch:
    state: marked
    files:
      - {path: /home/app/.pm2/logs/ai-admin-worker-v2-out.log, process: ai-admin-worker-v2, stream: out}
      - {path: /home/app/.pm2/logs/ai-admin-worker-v2-error.log, process: ai-admin-worker-v2, stream: err}
  register: logs

- name: Wait for the runbook's lines
  log_watch:
    state: matched
    mark: "{{ logs.mark }}"
    expected:
      - text: Using database auth state for company 962302
      - text: Starting automatic cleanup
        process: ai-admin-worker-v2
    forbidden:
      - {name: stale ratchet, regex: "Bad MAC|Invalid PreKey ID"}
    timeout: 60
"""

RETURN = r"""
mark:
  description: Where each file is marked now, to be given to the next call. Behind the last whole line that was read.
  returned: success
  type: list
  elements: dict
  sample: [{path: /home/app/w-out.log, process: w, stream: out, inode: 1234, offset: 5678, fingerprint: 9f86d081}]
found:
  description: The expected lines, at most five for each pattern and file.
  returned: O(state=matched)
  type: list
  elements: dict
  contains: &line
    name: {description: The pattern, type: str, returned: always, sample: Using database auth state}
    path: {description: The file, type: str, returned: always, sample: /home/app/.pm2/logs/w-out.log}
    process: {description: The process, type: str, returned: always, sample: baileys-service}
    stream: {description: out or err, type: str, returned: always, sample: out}
    line:
      description: The line, cleaned and masked.
      type: str
      returned: always
      sample: Using database auth state for company 962302
    time: {description: The time written in it if any, type: str, returned: always, sample: "2025-10-07T12:00:00"}
    number: {description: Its number since the mark, type: int, returned: always, sample: 12}
forbidden_found:
  description: The forbidden lines, in the same shape.
  returned: O(state=matched)
  type: list
  elements: dict
  contains: *line
usual:
  description: Names of forbidden patterns that were written, but no more often than before the mark.
  returned: O(state=matched)
  type: list
  elements: str
  sample: []
missing:
  description: Names of expected patterns that were not seen.
  returned: O(state=matched)
  type: list
  elements: str
  sample: [Starting automatic cleanup]
counts:
  description: How many lines each pattern matched.
  returned: O(state=matched)
  type: dict
  sample: {Using database auth state: 1, stale ratchet: 0}
last_error_lines:
  description: The last lines since the mark of each error log (or file of an unnamed stream), cleaned and masked.
  returned: O(state=matched)
  type: list
  elements: dict
  sample: [{path: /home/app/.pm2/logs/w-error.log, process: w, stream: err, lines: ["Error: boom"]}]
gaps:
  description: Files that were rotated or emptied so that lines since the mark could not be found any more.
  returned: O(state=matched)
  type: list
  elements: str
  sample: []
unwatched:
  description: Names of patterns that none of the marked files can match, as their process or stream is not among them.
  returned: O(state=matched)
  type: list
  elements: str
  sample: []
lines:
  description: How many lines were read.
  returned: O(state=matched)
  type: int
  sample: 42
seconds:
  description: How long it took.
  returned: O(state=matched)
  type: float
  sample: 6.1
problems:
  description: What was wrong, each with its remedy.
  returned: failure
  type: list
  elements: dict
  sample:
    - code: log_missing
      where: logs of ai-admin-worker-v2
      problem: '"Starting automatic cleanup" was not written within 30 s'
      remedy: Check that the flag is on and that the process was restarted
"""

STREAM = {"type": "str", "choices": ["out", "err"]}
PATTERN = {
    "text": {"type": "str"},
    "regex": {"type": "str"},
    "name": {"type": "str"},
    "process": {"type": "str"},
    "stream": STREAM,
    "forgivable": {"type": "bool", "default": True},
}
FILE = {"path": {"type": "path", "required": True}, "process": {"type": "str"}, "stream": STREAM}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["marked", "matched"], "required": True},
            "files": {"type": "list", "elements": "dict", "options": FILE},
            "from_start": {"type": "bool", "default": False},
            "mark": {"type": "list", "elements": "dict"},
            "expected": {"type": "list", "elements": "dict", "default": [], "options": PATTERN},
            "forbidden": {"type": "list", "elements": "dict", "default": [], "options": PATTERN},
            "timeout": {"type": "float", "default": 30},
            "settle": {"type": "float", "default": 2},
            "compare_before": {"type": "bool", "default": False},
            "report_only": {"type": "bool", "default": False},
        },
        required_if=[("state", "marked", ["files"]), ("state", "matched", ["mark"])],
        supports_check_mode=True,
    )
    params, once = module.params, module.check_mode
    try:
        if params["state"] == "marked":
            marks = [logs.mark(file, params["from_start"]) for file in params["files"]]
            module.exit_json(changed=False, mark=marks)
        forbidden = logs.patterns(params["forbidden"])
        usual = Usual(params["mark"], forbidden) if params["compare_before"] else None
        seen = logs.watch(
            params["mark"],
            logs.patterns(params["expected"]),
            forbidden,
            0 if once else params["timeout"],
            0 if once else params["settle"],
            **({"allowed": usual.allows} if usual else {}),
        )
    except HostError as error:
        module.fail_json(msg=str(error), problems=error.as_dicts())
    result = seen.as_dict()
    problems = [] if once or params["report_only"] else logs.judge(seen, params["timeout"])
    if problems:
        text = "\n".join(str(problem) for problem in problems)
        module.fail_json(msg=text, problems=[problem.as_dict() for problem in problems], **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
