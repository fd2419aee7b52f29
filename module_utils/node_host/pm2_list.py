"""What pm2 says about its processes, reduced to what is needed. The environment never leaves this module,
but for the value of one flag, and inside a definition that is written to a private file only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# A flag's value may be shown when it can be nothing but a switch; anything else might be a secret.
_SWITCH = re.compile(r"(?:true|false|yes|no|on|off|enabled|disabled|files?|database|[01]?)", re.IGNORECASE)

_UPPER = re.compile(r"[A-Z][A-Z0-9_]*")

# Variables that pm2 itself puts into a process's environment; they are no part of its definition.
_OF_PM2 = frozenset(
    {"unique_id", "PM2_USAGE", "PM2_JSON_PROCESSING", "PM2_HOME", "PM2_DISCRETE_MODE", "NODE_APP_INSTANCE", "pm_id"}
)

# Start options that pm2 keeps under the name by which it takes them (its lib/API/schema.json), …
_SAME_NAME = (
    "name", "namespace", "args", "node_args", "exec_interpreter", "exec_mode", "instances", "log_type",
    "log_date_format", "time", "merge_logs", "disable_logs", "max_memory_restart", "kill_timeout",
    "kill_retry_time", "listen_timeout", "wait_ready", "shutdown_with_message", "treekill", "autostart",
    "autorestart", "stop_exit_codes", "max_restarts", "min_uptime", "restart_delay", "exp_backoff_restart_delay",
    "cron_restart", "watch", "ignore_watch", "watch_options", "watch_delay", "source_map_support",
    "disable_source_map_support", "instance_var", "increment_var", "filter_env", "vizion", "pmx", "automation",
    "uid", "gid", "port", "trace", "disable_trace", "deep_monitoring", "event_loop_inspector", "v8", "io",
)  # fmt: skip
# … and those that it keeps under another one.
_RENAMED = {
    "pm_exec_path": "script",
    "pm_cwd": "cwd",
    "pm_out_log_path": "out_file",
    "pm_err_log_path": "error_file",
    "pm_log_path": "log_file",
    "pm_pid_path": "pid_file",
}


@dataclass(frozen=True)
class Process:
    """One entry of pm2's list (a process in cluster mode has one per instance), without its environment."""

    name: str
    pm_id: int
    pid: int | None  # None: does not run
    status: str  # online, launching, stopping, stopped, errored, waiting restart
    restart_time: int  # restarts that pm2 counted; stop and start do not count
    started_ms: int  # Unix time in milliseconds of the last start
    exec_mode: str  # fork or cluster
    watch: bool
    cron_restart: str | None
    autorestart: bool
    out_log_path: str | None
    err_log_path: str | None
    cwd: str | None
    script: str | None
    kill_timeout: int  # milliseconds between SIGINT and SIGKILL
    memory: int  # bytes, resident
    stored_flag: bool  # the flag asked for is in the environment that pm2 keeps for this process
    stored_flag_value: str | None
    stored: tuple[str, ...] = ()  # which of the names to drop are in that environment
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # never shown: the environment

    def uptime_ms(self, now: float) -> int:
        """Milliseconds since the last start; 0 when it does not run. ``now`` is Unix time in seconds."""
        return max(0, int(now * 1000) - self.started_ms) if self.pid else 0

    def public(self, now: float) -> dict[str, Any]:
        """The fields that may be shown."""
        hidden = {"raw", "started_ms", "stored"}
        shown = {name: value for name, value in vars(self).items() if name not in hidden}
        return {**shown, "uptime_ms": self.uptime_ms(now)}


def parse_jlist(output: str, flag: str | None = None, drop: Iterable[str] = ()) -> list[Process]:
    """The processes in the output of ``pm2 jlist``, in which the JSON may stand behind other lines.

    ``flag``: the one variable that is looked at. ``drop``: names to be found in the stored environments.
    Raises ValueError (without any of the output, which holds environments) when there is no list in it.
    """
    names = tuple(drop)
    return [_process(entry, flag, names) for entry in _entries(output)]


def _entries(output: str) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    empty = False
    # Notices stand before the list, and some of them begin with "[" as well ("[PM2] …").
    for match in re.finditer(r"\[(?=\s*[{\]])", output):
        try:
            value, end = decoder.raw_decode(output, match.start())
        except ValueError:
            continue
        if value and all(isinstance(entry, dict) and "pm2_env" in entry for entry in value):
            return value
        empty = empty or (value == [] and not output[end:].strip())
    if empty:
        return []
    raise ValueError("no process list in the output of pm2 jlist")


def _process(entry: dict[str, Any], flag: str | None, drop: tuple[str, ...]) -> Process:
    env = entry["pm2_env"]
    stored = _stored_environment(env)
    value = stored.get(flag) if flag else None
    return Process(
        name=str(entry.get("name", env.get("name"))),
        pm_id=int(entry.get("pm_id", env.get("pm_id", -1))),
        pid=entry.get("pid") or None,
        status=str(env.get("status", "unknown")),
        restart_time=int(env.get("restart_time") or 0),
        started_ms=int(env.get("pm_uptime") or 0),
        exec_mode=str(env.get("exec_mode", "")).replace("_mode", ""),
        watch=bool(env.get("watch")),
        cron_restart=str(env["cron_restart"]) if env.get("cron_restart") else None,
        autorestart=env.get("autorestart") is not False,
        out_log_path=env.get("pm_out_log_path"),
        err_log_path=env.get("pm_err_log_path"),
        cwd=env.get("pm_cwd"),
        script=env.get("pm_exec_path"),
        kill_timeout=int(env.get("kill_timeout") or 1600),
        memory=int((entry.get("monit") or {}).get("memory") or 0),
        stored_flag=value is not None,
        stored_flag_value=show_switch(value),
        stored=tuple(name for name in drop if name in stored),
        raw=env,
    )


def show_switch(value: str | None) -> str | None:
    """A flag's value where it is a plain switch, else ``<hidden>``: a wrong name must not print a secret."""
    return value if value is None or _SWITCH.fullmatch(value) else "<hidden>"


def _stored_environment(env: dict[str, Any]) -> dict[str, str]:
    """What pm2 gives the process at each start: ``env``, and variables beside pm2's own (lower-case) fields."""
    skipped = _OF_PM2 | {str(env.get("name"))}
    variables = dict(env.get("env") or {})
    variables |= {name: value for name, value in env.items() if _UPPER.fullmatch(name)}
    variables |= {name: env[name] for name in variables if isinstance(env.get(name), str)}
    # An ecosystem file may have numbers and booleans without quotes; the process gets their text.
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in variables.items()
        if name not in skipped and isinstance(value, (str, int, float))
    }


def definition(process: Process, drop: Iterable[str]) -> dict[str, Any]:
    """The process as an ecosystem entry that starts it again as it is, its stored environment minus ``drop``.

    It holds the environment: write it to a private file only.
    """
    env, dropped = process.raw, set(drop)
    entry = {name: env[name] for name in _SAME_NAME if env.get(name) is not None}
    entry |= {new: env[old] for old, new in _RENAMED.items() if env.get(old)}
    entry["exec_mode"] = process.exec_mode
    if entry.get("instances", 1) == 1:
        entry["merge_logs"] = True  # without it, the new pm_id would get into the names of the log files
    entry["env"] = {name: value for name, value in _stored_environment(env).items() if name not in dropped}
    for name, value in env.items():
        if name.startswith("env_") and isinstance(value, dict):
            entry[name] = {key: item for key, item in value.items() if key not in dropped}
    return entry


def saved_processes(dump: str, flag: str | None = None) -> dict[str, dict[str, Any]]:
    """pm2's saved list (``dump.pm2``, what ``pm2 resurrect`` starts): ``{name: {status, stored_flag}}``.

    Raises ValueError when it is no such list.
    """
    entries = json.loads(dump)
    if not isinstance(entries, list):
        raise ValueError("pm2's saved list is no list")
    return {
        str(env.get("name")): {
            "status": str(env.get("status", "unknown")),
            "stored_flag": bool(flag) and flag in _stored_environment(env),
        }
        for env in entries
        if isinstance(env, dict)
    }
