"""What is taken from pm2's list, and what is planned from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.node_host import pm2
from ansible.module_utils.node_host.pm2_list import (
    Process,
    definition,
    parse_jlist,
    saved_processes,
    show_switch,
)

FLAG = "USE_DATABASE_AUTH_STATE"


def entry(name: str = "bot", **env: Any) -> dict[str, Any]:
    """One entry as pm2 7.0.4 prints it (shortened)."""
    own = {"PATH": "/bin", "DATABASE_URL": "postgresql://bot:pw@db/bot", "bot": {}, "unique_id": "u"}
    own |= env.pop("env", {})
    return {
        "pid": env.pop("pid", 100),
        "name": name,
        "pm_id": env.pop("pm_id", 0),
        "monit": {"memory": 1000, "cpu": 0},
        "pm2_env": {
            **own, "name": name, "status": "online", "restart_time": 2, "pm_uptime": 1000, "exec_mode": "fork_mode",
            "watch": False, "pm_exec_path": "/app/w.js", "pm_cwd": "/app", "pm_out_log_path": "/l/w-out-0.log",
            "pm_err_log_path": "/l/w-error-0.log", "kill_timeout": 3000, "merge_logs": False, "env": own, **env,
        },
    }  # fmt: skip


def processes(*entries: dict[str, Any], drop: tuple[str, ...] = ()) -> list[Process]:
    return parse_jlist(json.dumps(entries), FLAG, drop)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "\x1b[32m[PM2] \x1b[39mSpawning PM2 daemon with pm2_home=/x\n[PM2] PM2 Successfully daemonized\n",
        ">>>> In-memory PM2 is out-of-date, do:\n>>>> $ pm2 update\nIn memory PM2 version: 5.3.0\n",
        "[1] warning\n[]\n",
        '[{"level": 1}]\n',
    ],
)
def test_the_list_may_stand_behind_other_lines(before: str) -> None:
    [process] = parse_jlist(before + json.dumps([entry()]))
    assert (process.name, process.pid, process.status, process.restart_time) == ("bot", 100, "online", 2)
    assert (process.exec_mode, process.kill_timeout, process.memory) == ("fork", 3000, 1000)
    assert parse_jlist(f"{before}[]\n") == [] or "level" in before


@pytest.mark.parametrize("output", ["", "[PM2][ERROR] no", '[{"pm2_env": {"A": "postgresql://a:b@c"', "{}", "[1]"])
def test_no_list_is_an_error_that_quotes_nothing(output: str) -> None:
    with pytest.raises(ValueError, match=r"^no process list in the output of pm2 jlist$"):
        parse_jlist(output)


def test_nothing_of_the_environment_is_shown() -> None:
    [process] = processes(entry(env={FLAG: "true"}))
    shown = json.dumps(process.public(now=6.0)) + repr(process)
    assert "postgresql" not in shown
    assert "DATABASE_URL" not in shown
    assert process.public(now=6.0)["uptime_ms"] == 5000
    assert (process.stored_flag, process.stored_flag_value) == (True, "true")


def test_a_stopped_process_has_no_pid_and_no_uptime() -> None:
    [process] = processes(entry(pid=0, status="stopped"))
    assert process.pid is None
    assert process.uptime_ms(now=9.0) == 0


def test_a_flag_beside_pm2s_own_fields_is_stored_too() -> None:
    """Older pm2 put what --update-env adds there only; it is what the process gets."""
    odd = entry()
    odd["pm2_env"][FLAG] = "false"
    [process] = processes(odd, drop=(FLAG, "OTHER"))
    assert process.stored_flag_value == "false"
    assert process.stored == (FLAG,)


@pytest.mark.parametrize(("value", "text"), [(False, "false"), (True, "true"), (0, "0")])
def test_a_flag_without_quotes_in_the_ecosystem_file_is_stored_too(value: object, text: str) -> None:
    [process] = processes(entry(env={FLAG: value, "OTHER": True}), drop=(FLAG,))
    assert (process.stored_flag_value, process.stored) == (text, (FLAG,))
    assert definition(process, [FLAG])["env"]["OTHER"] == "true"
    assert saved_processes(json.dumps([process.raw]), FLAG)["bot"]["stored_flag"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("true", "true"), ("0", "0"), ("", ""), ("database", "database"), (None, None), ("hunter2", "<hidden>"),
     ("postgresql://a:b@c", "<hidden>"), ("true\n", "<hidden>"), ("12", "<hidden>")],
)  # fmt: skip
def test_only_switches_are_shown(value: str | None, shown: str | None) -> None:
    assert show_switch(value) == shown


def test_the_definition_starts_the_same_without_what_is_dropped() -> None:
    [process] = processes(
        entry(env={FLAG: "true", "OWN": "1"}, env_production={FLAG: "true", "LEVEL": "2"}, args=["a b"], max_restarts=5)
    )
    made = definition(process, [FLAG])
    assert made["env"] == {"PATH": "/bin", "DATABASE_URL": "postgresql://bot:pw@db/bot", "OWN": "1"}
    assert made["env_production"] == {"LEVEL": "2"}
    assert (made["name"], made["script"], made["cwd"], made["args"]) == ("bot", "/app/w.js", "/app", ["a b"])
    assert (made["out_file"], made["error_file"], made["merge_logs"]) == ("/l/w-out-0.log", "/l/w-error-0.log", True)
    assert (made["exec_mode"], made["kill_timeout"], made["max_restarts"]) == ("fork", 3000, 5)
    assert "status" not in made
    assert FLAG not in json.dumps(made)


def test_the_saved_list() -> None:
    dump = json.dumps([entry(env={FLAG: "true"})["pm2_env"], entry("other", status="stopped")["pm2_env"]])
    assert saved_processes(dump, FLAG) == {
        "bot": {"status": "online", "stored_flag": True},
        "other": {"status": "stopped", "stored_flag": False},
    }
    with pytest.raises(ValueError, match="no list"):
        saved_processes("{}")


ONLINE, STOPPED = entry(pm_id=3), entry(pm_id=3, pid=0, status="stopped")
ERRORED = entry(pm_id=3, pid=0, status="errored")
WAITING = entry(pm_id=3, pid=0, status="waiting restart")
STORED = entry(pm_id=3, env={FLAG: "true"})


@pytest.mark.parametrize(
    ("state", "known", "action"),
    [
        ("started", ONLINE, "none"), ("started", STOPPED, "start"), ("started", ERRORED, "start"),
        ("started", WAITING, "none"), ("started", STORED, "recreate"), ("restarted", ONLINE, "restart"),
        ("restarted", STOPPED, "restart"), ("restarted", STORED, "recreate"), ("stopped", ONLINE, "stop"),
        ("stopped", STOPPED, "none"), ("stopped", ERRORED, "none"), ("stopped", WAITING, "stop"),
        ("stopped", STORED, "stop"), ("absent", STOPPED, "delete"),
    ],
)  # fmt: skip
def test_plan(state: str, known: dict[str, Any], action: str) -> None:
    steps = pm2.plan(processes(known, entry("other", pm_id=4), drop=(FLAG,)), ["bot", "new"], state, ["old"])
    assert steps[0].action == action
    assert steps[0].pm_ids == ((3,) if action != "none" else ())
    assert steps[1] == pm2.Step("new", "missing")


def test_plan_starts_what_only_a_definition_knows() -> None:
    assert pm2.plan([], ["bot"], "started", ["bot"]) == [pm2.Step("bot", "define")]
    assert pm2.plan([], ["bot"], "stopped", ["bot"]) == [pm2.Step("bot", "missing")]


def test_inspect() -> None:
    loud = entry(watch=["src"], cron_restart="0 3 * * *", exec_mode="cluster_mode")
    known = processes(loud, entry("quiet", cron_restart=0))
    assert [(p.code, p.where) for p in pm2.inspect(known, ["quiet", "bot", "gone", "maybe"], ["maybe"])] == [
        ("pm2_watch", "pm2 process bot"),
        ("pm2_cron_restart", "pm2 process bot"),
        ("pm2_cluster_mode", "pm2 process bot"),
        ("pm2_process_unknown", "pm2 process gone"),
    ]


def test_two_processes_of_one_name_are_as_bad_as_cluster_mode() -> None:
    assert [p.code for p in pm2.inspect(processes(entry(), entry(pm_id=1)), ["bot"])] == ["pm2_cluster_mode"]


@pytest.mark.parametrize(
    ("statuses", "optional", "owners", "resting"),
    [
        ({"worker": "online", "service": "stopped"}, ["service"], [], ["service"]),
        ({"worker": "online", "service": "stopped"}, [], [], []),
        ({"worker": "online", "service": "errored"}, ["service"], [], []),
        ({"worker": "stopped", "service": "stopped"}, ["service"], [], []),
        # The last run has started it, or has not.
        ({"worker": "online", "service": "stopped"}, ["service"], ["worker", "service"], []),
        ({"worker": "errored", "service": "stopped"}, ["service"], ["worker"], ["service"]),
    ],
)
def test_one_that_was_stopped_on_purpose(
    statuses: dict[str, str], optional: list[str], owners: list[str], resting: list[str]
) -> None:
    known = processes(*(entry(name, pm_id=number, status=statuses[name]) for number, name in enumerate(statuses)))
    assert pm2.resting(known, optional, owners) == resting


def test_notes() -> None:
    kept = saved_processes(json.dumps([STORED["pm2_env"]]), FLAG)
    saved = {"path": "/home/bot/.pm2/dump.pm2", "present": True, "mode": "0600", "processes": kept}
    assert [n.code for n in pm2.notes(processes(STORED), ["bot"], saved)] == ["pm2_flag_stored", "pm2_flag_saved"]
    assert [n.code for n in pm2.notes(processes(ERRORED), ["bot"], saved)] == ["pm2_not_online", "pm2_flag_saved"]
    assert pm2.notes(processes(STORED), ["other"], saved) == []
    nothing = {"present": False, "mode": None, "processes": {}}
    assert [n.code for n in pm2.notes(processes(ONLINE), ["bot"], nothing)] == ["pm2_not_saved"]
    readable = {**saved, "mode": "0644"}
    (note,) = pm2.notes([], ["bot"], readable)
    assert (note.code, note.remedy) == ("pm2_dump_readable", "chmod 600 /home/bot/.pm2/dump.pm2")


def test_unsaved_compares_what_a_reboot_brings_back() -> None:
    saved = {"processes": {"bot": {"status": "online"}, "gone": {"status": "online"}, "rests": {"status": "stopped"}}}
    now = processes(entry(status="launching"), entry("rests"), entry("new"))
    assert pm2.unsaved(now, saved) == [
        {"name": "gone", "saved": "online", "now": None},
        {"name": "new", "saved": None, "now": "online"},
        {"name": "rests", "saved": "stopped", "now": "online"},
    ]
