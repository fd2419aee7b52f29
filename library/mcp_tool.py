#!/usr/bin/python
"""Tools of an MCP server."""

from __future__ import annotations

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.node_host import mcp_call
from ansible.module_utils.node_host.mask import mask_value
from ansible.module_utils.node_host.problems import HostError

DOCUMENTATION = r"""
module: mcp_tool
short_description: Call tools of an MCP server and judge the answers
description:
  - Calls one tool or several, in order, over one connection to an MCP server, which it starts (stdio) or
    which runs already (streamable HTTP), and fails unless each answer is a good one.
  - An answer that says V(No response received) is a failure unless told otherwise, though it is ordinary text to MCP.
  - A server that hangs ends in time; one that was started is gone afterwards, its children too.
  - Phone numbers and key material in the answers are masked; arguments are masked in the invocation, and O(env)
    and O(headers) are not shown at all.
options:
  command:
    description: The server's command, for stdio. Either this or O(url).
    type: str
  args:
    description: Its arguments.
    type: list
    elements: str
    default: []
  env:
    description: Variables for it, beside PATH, HOME, LOGNAME, SHELL, TERM and USER, which are all it gets else.
    type: dict
    default: {}
  chdir:
    description: The folder to start it in.
    type: path
  url:
    description: The address of a running server, for streamable HTTP.
    type: str
  headers:
    description: HTTP headers for it, as for authorization.
    type: dict
    default: {}
  calls:
    description: The calls, in order. The first without a good answer ends it.
    type: list
    elements: dict
    required: true
    suboptions:
      tool:
        description: The tool's name.
        type: str
        required: true
      arguments:
        description: Its arguments.
        type: dict
        default: {}
      good:
        description: Regular expressions, case ignored. With any given, one has to be found in the answer.
        type: list
        elements: str
        default: []
      bad:
        description: Regular expressions, case ignored. One found in the answer makes it a failure.
        type: list
        elements: str
        default: [No response received]
      wait:
        description: Seconds during which the tool is called again until the answer is a good one. 0 is one call.
        type: float
        default: 0
      interval:
        description: Seconds between these calls.
        type: float
        default: 1
      fresh:
        description: Make the same call once before all others, and take its answer for an old one afterwards.
        type: bool
        default: false
  timeout:
    description: Seconds for everything, the start of the server included.
    type: float
    default: 60
attributes:
  check_mode:
    description: Calls nothing in check mode, and says so.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
  idempotent:
    description: A tool call has whatever effect the tool has.
    support: none
requirements:
  - mcp (PyPI) 2 or newer, for the Python that runs the module; delegate it to localhost
author:
  - AI Admin operations
"""

EXAMPLES = r"""
- name: Send a message and wait for its answer
  mcp_tool:
    command: node
    args: [/opt/whatsapp-mcp/server.js]
    timeout: 90
    calls:
      - tool: send_message
        arguments:
          phone: "{{ smoke_phone }}"
          message: Test of the database auth state
      - tool: get_last_response
        arguments:
          phone: "{{ smoke_phone }}"
        wait: 60
        fresh: true
  delegate_to: localhost
"""

RETURN = r"""
ok:
  description: Whether every call got a good answer.
  returned: always
  type: bool
  sample: true
text:
  description: The last answer, masked.
  returned: always
  type: str
  sample: "Sent to 7968***4488"
results:
  description: Each call that was made.
  returned: always
  type: list
  elements: dict
  contains:
    tool: {description: The tool, type: str, returned: always, sample: get_last_response}
    ok: {description: Whether the answer was good, type: bool, returned: always, sample: true}
    text: {description: The answer of the last attempt, masked, type: str, returned: always, sample: Hello}
    attempts: {description: How often it was called, type: int, returned: always, sample: 3}
    seconds: {description: From the first attempt to the last answer, type: float, returned: always, sample: 2.1}
    reason: {description: Why the answer is no good one, type: str, returned: always, sample: null}
problems:
  description: What was wrong, each with its remedy.
  returned: failure
  type: list
  elements: dict
  sample:
    - code: mcp_bad_answer
      where: MCP server node, tool get_last_response
      problem: the answer matches 'No response received', which is a failure
      remedy: Look at the bot's error log; if messages do not go out at all, roll back
"""

CALL = {
    "tool": {"type": "str", "required": True},
    "arguments": {"type": "dict", "default": {}},
    "good": {"type": "list", "elements": "str", "default": []},
    "bad": {"type": "list", "elements": "str", "default": [mcp_call.NO_ANSWER]},
    "wait": {"type": "float", "default": 0},
    "interval": {"type": "float", "default": 1},
    "fresh": {"type": "bool", "default": False},
}


def main():
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "str"},
            "args": {"type": "list", "elements": "str", "default": []},
            "env": {"type": "dict", "default": {}},
            "chdir": {"type": "path"},
            "url": {"type": "str"},
            "headers": {"type": "dict", "default": {}},
            "calls": {"type": "list", "elements": "dict", "required": True, "options": CALL},
            "timeout": {"type": "float", "default": 60},
        },
        mutually_exclusive=[("command", "url")],
        required_one_of=[("command", "url")],
        supports_check_mode=True,
        # Keeps the arguments out of syslog. no_log on options would blank each short argument ("1") in all output.
        no_log=True,
    )
    params = module.params
    env = {name: str(value) for name, value in params["env"].items()}
    headers = {name: str(value) for name, value in params["headers"].items()}
    server = mcp_call.Server(params["command"], params["args"], env, params["chdir"], params["url"], headers)
    calls = [mcp_call.Call(**call) for call in params["calls"]]
    hidden = {"env": sorted(env), "headers": sorted(headers)}
    common = {"invocation": {"module_args": mask_value({**params, **hidden}, server.secrets())}, "changed": False}
    try:
        if module.check_mode:
            mcp_call.check(server, calls)
            module.exit_json(
                ok=True,
                text=f"check mode: {', '.join(call.tool for call in calls)} not called",
                results=[],
                skipped=True,
                **common,
            )
        results = mcp_call.run(server, calls, params["timeout"])
    except HostError as error:
        done = [asdict(result) for result in getattr(error, "results", [])]
        text = done[-1]["text"] if done else ""
        module.fail_json(msg=str(error), ok=False, text=text, results=done, problems=error.as_dicts(), **common)
    module.exit_json(ok=True, text=results[-1].text, results=[asdict(result) for result in results], **common)


if __name__ == "__main__":
    main()
