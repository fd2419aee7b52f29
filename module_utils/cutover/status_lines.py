"""Where a host stands, in the cells of a table for people: one line for each login."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "company", "store", "since", "app says", "flag", "commit", "files", "rows", "lock", "last run", "last check",
)  # fmt: skip
_UNKNOWN = "?"


def cells(answer: dict[str, Any]) -> list[list[str]]:
    """`answer`: what the module auth_state_status knows."""
    lock, check = answer["lock"], answer["last_check"]
    of_host = [
        f"held since {_minute(lock['since'])}" if lock else "free",
        _last_run(answer["last_run"]),
        f"{check['verdict']} {_minute(check['at'])}" if check else "none",
    ]
    return [
        [
            company,
            facts["store"] or _UNKNOWN,
            _minute(facts["since"]) if facts["since"] else "never moved",
            facts["app"] or "no answer",
            answer["flag"],
            (answer["commit"] or _UNKNOWN)[:12],
            str(facts["files"]),
            _UNKNOWN if facts["rows"] is None else str(facts["rows"]),
            *of_host,
        ]
        for company, facts in answer["companies"].items()
    ]


def _last_run(run: dict[str, Any] | None) -> str:
    if run is None:
        return "none"
    playbook, when = run.get("playbook", _UNKNOWN), _minute(run["at"])
    return f"{playbook} {run['outcome'] or 'began'} {when}"


def _minute(time: str | None) -> str:
    """`2026-11-24T22:10:00+00:00` as `2026-11-24 22:10`; all times are UTC."""
    return time[:16].replace("T", " ") if time else _UNKNOWN
