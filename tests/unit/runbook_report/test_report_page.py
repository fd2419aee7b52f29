"""What stands on the page, as text. What it looks like is asked of a browser (tests/sandbox)."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from ansible.module_utils.node_host.mask import mask
from runbook_report import page
from runbook_report.run import Run
from stories import deployed, failed_install, fleet, killed, lost, monitored, wrong_host

RUNS = {
    "deployed": (deployed().close(), "good"),
    "failed": (failed_install().close("sandbox"), "bad"),
    "wrong": (wrong_host().close("sandbox"), "bad"),
    "lost": (lost().close("sandbox"), "bad"),
    "killed": (killed().run, "open"),
    "monitored": (monitored().close(), "good"),
    "bad pass": (monitored(bad=(11,)).close(), "bad"),
    "fleet": (fleet(), "bad"),
}


def text(run: Run) -> str:
    """What a reader reads, blanks folded."""
    body = re.sub(r"(?s)^.*<body>|<[^>]+>", " ", page.render(run))
    return " ".join(html.unescape(body).split())


@pytest.mark.parametrize("name", RUNS)
def test_the_verdict_is_on_top(name: str) -> None:
    run, verdict = RUNS[name]
    shown = page.render(run)
    assert f'<header class="verdict {verdict}">' in shown
    assert f"<title>{page.WORDS[verdict]}: " in shown


@pytest.mark.parametrize("name", RUNS)
def test_a_page_needs_nothing_else_and_runs_nothing(name: str) -> None:
    shown = page.render(RUNS[name][0])
    assert "default-src 'none'" in shown
    assert not re.search(
        r"<(script|img|link|iframe|object|embed|form|base)\b|\son\w+=|javascript:|url\(|@import", shown
    )
    assert re.findall(r'(?:href|src)="([^#"][^"]*)"', shown) == []


@pytest.mark.parametrize("name", RUNS)
def test_masking_harms_no_markup(name: str) -> None:
    """Nothing of the page's own looks like a secret: masked once more, it stays what it is."""
    shown = page.render(RUNS[name][0])
    assert mask(shown) == shown


def test_a_deploy_tells_what_came_of_it() -> None:
    shown = text(RUNS["deployed"][0])
    for words in (
        "company 962302 runs on the database",
        "login of company 962302, app /opt/ai-admin",
        "The bot was down for 2.0 s",
        "The run took 15.0 s",
        "Run by operator@desk",
        "With commit 0a1b2c3d4e5f",
        "Preflight passed 2.0 s ready: company 962302 is on files (337 files, 0 rows)",
        "While the bot was down: 2.0 s",
        "store files database",
        "pre-key 14 14",
        "Using database auth state for company 962302",
        "ansible-playbook rollback.yml -l sandbox",
        "options --limit sandbox",
    ):
        assert words in shown
    assert "What failed" not in shown


def test_a_failure_tells_what_was_done_and_where_the_bot_stands() -> None:
    shown = text(RUNS["failed"][0])
    for words in (
        "Failed at “Install its dependencies there”",
        "The bot was not touched: it runs as before, on files.",
        "npm error code ETARGET",
        "What was done about it Nothing had to be taken back.",
        "Backup created not reached",
    ):
        assert words in shown


def test_findings_are_told_with_what_to_do() -> None:
    shown = text(RUNS["wrong"][0])
    assert "Nothing was changed: 2 things have to be put right first" in shown
    assert "Tracked files were changed: src/worker.js /opt/ai-admin Commit them" in shown


def test_problems_of_a_module_are_findings() -> None:
    told = deployed()
    problem = {"code": "x", "where": "pm2", "problem": "It does not run", "remedy": "Install it"}
    told.fails("Look at the processes", msg="pm2: It does not run. Install it", problems=[problem])
    assert "It does not run pm2 Install it" in text(told.close("sandbox"))


def test_a_lost_host_and_a_killed_run_say_what_to_do() -> None:
    assert "finishes or reverts by itself" in text(RUNS["lost"][0])
    shown = text(RUNS["killed"][0])
    assert "this run has not ended" in shown
    assert "run the same command again" in shown
    assert "Last heard after 10.0 s" in shown


def test_a_cut_over_that_failed_tells_how_the_bot_was_brought_back() -> None:
    told = deployed().cut_over(freeze_seconds=0, reverted="the app was started again on the files, as before")
    assert "Then the app was started again on the files, as before." in text(told.run)


def test_what_the_logs_lack_and_must_not_hold_is_told_with_their_end() -> None:
    line = {
        "line": "Bad MAC",
        "path": "/l/w-error.log",
        "process": "worker",
        "stream": "err",
        "number": 9,
        "time": None,
    }
    end = [{"path": "/l/w-error.log", "lines": ["Error: boom", "at x.js:1"]}]
    told = deployed().log_lines(forbidden_found=[line], missing=["Starting automatic cleanup"], last_error_lines=end)
    shown = text(told.run)
    for words in ("err, line 9 Bad MAC", "not seen: Starting automatic cleanup", "Error: boom at x.js:1"):
        assert words in shown


def test_every_host_of_a_fleet_is_told() -> None:
    shown = text(RUNS["fleet"][0])
    assert "3 hosts: 1 failed, 1 not reached, 1 done" in shown
    assert "host-a company 962302 runs on the database 2.0 s 15.0 s" in shown
    assert "host-c Not reached: nothing was looked at or changed" in shown


def test_a_monitor_draws_each_figure() -> None:
    shown = page.render(RUNS["monitored"][0])
    assert shown.count("<svg") == 6
    assert 'aria-label="latency: from 0 ms to 4.1 ms, last 4.1 ms"' in shown
    assert "12 passes, 2 of them bad" in text(RUNS["monitored"][0])


def test_check_mode_is_never_called_done() -> None:
    told = deployed()
    told.run.check_mode = True
    assert '<header class="verdict planned">' in page.render(told.close())


def test_a_lost_host_is_lost_before_the_run_has_ended() -> None:
    told = lost()
    assert page.verdict_of(told.run.hosts["sandbox"], told.run) == "bad"


def test_a_run_that_only_looked_is_not_called_done() -> None:
    told = killed()
    host = told.run.hosts["sandbox"]
    host.steps = [step for step in host.steps if step.outcome == "unchanged"]
    assert page.verdict_of(host, told.close()) == "same"


HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}{% raw %}"


def everywhere(words: str) -> Run:
    """The same words wherever a run may bring some."""
    told = deployed()
    told.step(words, words)
    line = {"line": words, "path": words, "process": words, "stream": words, "number": words, "time": words}
    told.log_lines(forbidden_found=[line], missing=[words], last_error_lines=[{"path": words, "lines": [words]}])
    told.cut_over(steps=[{"name": words, "seconds": 1.0}], reverted=words, recovered={"store": words})
    told.fails(words, msg=words, problems=[{"where": words, "problem": words, "remedy": words}])
    told.hand_over(
        headline=words,
        changes=[{"what": words, "before": words, "after": words}],
        tables=[{"title": words, "columns": [words, words], "rows": [[words, words]]}],
        checks=[{"expected": words, "found": words, "outcome": "done"}],
        findings=[{"where": words, "problem": words, "remedy": words}],
        notes=[words],
        failure={"task": words, "message": words, "done": words, "stands": words},
        next=[{"say": words, "type": words}],
        passes=[{"at": "2026-11-24T22:40:00Z", "good": False, "says": words, "figures": {words: 1}}],
    )
    told.run.facts[words] = words
    told.run.playbook = words
    told.run.plan([words], {words: words})
    return told.close("sandbox")


def test_hostile_text_is_only_text() -> None:
    shown = page.render(everywhere(HOSTILE))
    assert "<script" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;") > 30
    assert "49" not in re.sub(r"[\d.]+%|[\d.]+,[\d.]+", "", html.unescape(shown)).replace(HOSTILE, "")


@pytest.mark.parametrize(
    "secret",
    [
        "79686484488",
        "+7 (968) 648-44-88",
        "postgresql://bot:hunter2@db:5432/bot",
        "password=hunter2hunter2",
        '{"password": "hunter2hunter2"}',
        "q83vEjRWeJASNFZ4kBI0VniQEjRWeJASNFZ4kBI0Vng=",
        "Bearer abcdefgh12345",
    ],
)
def test_no_secret_is_on_the_page(secret: str) -> None:
    """Also where whoever handed it over should have masked it; in a number as well."""
    shown = html.unescape(page.render(everywhere(f"before {secret} after")))
    assert secret not in shown
    assert "hunter2" not in shown


def test_a_number_is_masked_too() -> None:
    told = deployed().hand_over(tables=[{"title": "x", "columns": ["a"], "rows": [[79686484488]]}])
    assert "79686484488" not in page.render(told.run)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.001, "< 0.01 s"), (0.41, "0.41 s"), (12.34, "12.3 s"), (245, "4 min 05 s")]
)
def test_seconds_are_written_for_people(value: float | None, shown: str) -> None:
    assert page.seconds(value) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-11-25T01:40:00+03:00", "24 Nov 2026, 22:40:00"),
        ("2026-11-24T22:40:00", "24 Nov 2026, 22:40:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_are_written_for_people(written: str, shown: str) -> None:
    assert page.stamp(written) == shown


@pytest.mark.parametrize("name", RUNS)
def test_every_mark_has_a_word_for_those_who_do_not_see_it(name: str) -> None:
    shown = page.render(RUNS[name][0])
    assert (
        shown.count('class="mark ') == len(re.findall(r'class="mark \w+" role="img" aria-label="\w[^"]*"', shown)) > 0
    )


@pytest.mark.parametrize("colour", ["ink", "soft", "good", "bad"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: int, colour: str) -> None:
    """By the measure of WCAG, level AA."""
    css = (Path(page.__file__).parent / "templates" / "report.css").read_text()
    colours = dict(re.findall(r"--(\w+): #(\w+)", re.findall(r":root \{(.*?)\}", css, re.S)[scheme]))

    def light(name: str) -> float:
        digits = colours[name] if len(colours[name]) == 6 else "".join(each * 2 for each in colours[name])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted([light(colour), light("card")])
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
