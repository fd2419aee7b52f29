"""The page of a run: one file of HTML that needs nothing else, and runs no script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from ansible.module_utils.node_host.mask import mask
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import plot, timeline
from .run import Host, Run

# How it went, the gravest first. A page is what its gravest host is.
VERDICTS = ("bad", "open", "waiting", "planned", "good", "same")
WORDS = {
    "bad": "failed",
    "open": "under way, or cut off",
    "waiting": "not reached",
    "planned": "check mode",
    "good": "done",
    "same": "nothing to do",
}
MARKS = {
    "done": "✓",
    "unchanged": "✓",
    "planned": "…",
    "skipped": "-",
    "missing": "✗",
    "failed": "✗",
    "running": "▸",
    "awaited": "○",
}


# What a play may hand over; what it did not is None.
SAID = ("headline", "good", "changes", "tables", "checks", "findings", "notes", "failure", "next", "passes")


@dataclass
class HostView:
    """What the page shows of a host."""

    host: Host
    said: dict[str, Any]
    verdict: str
    headline: str
    stands: str
    timeline: timeline.Timeline
    cut_overs: list[tuple[Any, timeline.Timeline]]
    charts: list[plot.Chart]

    @property
    def freeze_seconds(self) -> float | None:
        """How long the bot was down in all: once more where it was brought back."""
        return sum(cut.freeze_seconds or 0 for cut, _line in self.cut_overs) or None


def render(run: Run) -> str:
    """The page, as it stands now. Each text is masked and escaped where it is put in, and the whole masked again."""
    hosts = [_view(host, run) for host in list(run.hosts.values())]
    gravest = min((view.verdict for view in hosts), key=VERDICTS.index, default="open")
    template = _templates().get_template("report.html.j2")
    return mask(template.render(run=run, hosts=hosts, verdict=gravest, headline=_headline(run, hosts, gravest)))


def _view(host: Host, run: Run) -> HostView:
    verdict = verdict_of(host, run)
    return HostView(
        host,
        dict.fromkeys(SAID) | host.said,
        verdict,
        _host_headline(host, run, verdict),
        _stands(host, verdict),
        timeline.of_host(host),
        [(cut, timeline.of_cut_over(cut)) for cut in host.cut_overs],
        plot.charts(host.said.get("passes") or []),
    )


def verdict_of(host: Host, run: Run) -> str:
    """One of VERDICTS."""
    if host.name in run.failed_hosts or host.lost or host.said.get("good") is False:
        return "bad"
    if run.ended is None and host.tasks:
        return "open"
    if not host.tasks:
        return "waiting"
    if run.check_mode:
        return "planned"
    return "good" if host.said.get("good") or any(step.outcome == "done" for step in host.steps) else "same"


def _host_headline(host: Host, run: Run, verdict: str) -> str:
    if verdict == "bad" and host.failures and "headline" not in host.said:
        return f"{'Lost' if host.lost else 'Failed'} at “{host.failures[0].task}”"
    if verdict == "open":
        return "Under way, or cut off: this run has not ended"
    if verdict == "waiting":
        return "Not reached: nothing was looked at or changed"
    return host.said.get("headline") or f"{run.playbook} went through"


def _stands(host: Host, verdict: str) -> str:
    """Where the bot stands, for a run that did not go through."""
    if host.said.get("failure"):
        return host.said["failure"]["stands"]
    if host.lost:
        return (
            "The host did not answer any more. A cut-over that is under way there finishes or reverts by itself. "
            "Run the same command again once the host answers: it starts from where the host stands."
        )
    if verdict == "open":
        return (
            "The page was last written at the time below. If nothing runs any more, the run was killed: "
            "run the same command again, it starts from where the host stands."
        )
    return ""


def _headline(run: Run, hosts: list[HostView], gravest: str) -> str:
    if len(hosts) == 1:
        return hosts[0].headline
    counts = {verdict: sum(view.verdict == verdict for view in hosts) for verdict in VERDICTS}
    return f"{len(hosts)} hosts: " + ", ".join(f"{counts[each]} {WORDS[each]}" for each in VERDICTS if counts[each])


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_masked,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"marks": MARKS, "words": WORDS, "chart": {"width": plot.WIDTH, "height": plot.HEIGHT}}
    environment.filters |= {"seconds": seconds, "clock": clock, "moment": moment, "stamp": stamp}
    return environment


def _masked(value: Any) -> Any:
    """What is put into the page, before it is escaped; markup of the templates' own is both already."""
    return value if isinstance(value, Markup) else mask(str(value))


def seconds(value: float | None) -> str:
    """A duration as it is read: 0.41 s, 12.3 s, 4 min 05 s."""
    if value is None:
        return ""
    if value < 0.01:
        return "< 0.01 s"
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02} s"


def stamp(text: str) -> str:
    """A time as a machine wrote it, for people; what is no such time stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.astimezone(timezone.utc) if at.tzinfo else at:%d %b %Y, %H:%M:%S}"


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)


def clock(at: float) -> str:
    return f"{moment(at):%H:%M:%S}"
