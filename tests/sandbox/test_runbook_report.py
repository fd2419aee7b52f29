"""Reports of real runs, opened in a browser. Those of the tests before these are taken where they are; else they run.

What an onlooker sees is measured after layout: bars in proportion to the durations, what failed first, nothing cut off.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import ansible_runner
import pytest
from browser import Browser, provide
from driver import PROJECT, Sandbox
from secret_words import found_in, secrets_of
from test_runbook import FAILS_AFTER_THE_SWITCH, NEVER_PRINTED

GREEN, RED = "rgb(26, 127, 66)", "rgb(192, 50, 43)"
TIMELINES = """
return all("ol.timeline").map((list) => all("li:not(.axis)", list).map((line) => ({
  name: line.querySelector(".name").textContent,
  shown: shown(line),
  took: line.querySelector(".took").textContent,
  track: line.querySelector(".track") && box(line.querySelector(".track")).width,
  bars: all(".bar", line).map((bar) => ({ left: box(bar).left - box(bar.parentElement).left, width: box(bar).width,
                                          colour: view.getComputedStyle(bar).backgroundColor })),
})));
"""


@pytest.fixture(scope="session")
def browser() -> Browser:
    return provide()


@pytest.fixture(scope="module")
def failed(sandbox: Sandbox) -> Path:
    """Of a deploy that failed after the switch, and brought the bot back."""
    return report_with(sandbox, NEVER_PRINTED, "bad", FAILS_AFTER_THE_SWITCH)


@pytest.fixture(scope="module")
def deployed(sandbox: Sandbox, failed: Path) -> Path:
    """Of a deploy that went through, with a cut-over. After the one that failed: that one would have nothing to do."""
    del failed
    return report_with(sandbox, "While the bot was down", "good", ())


def report_with(sandbox: Sandbox, words: str, verdict: str, arguments: tuple[str, ...]) -> Path:
    """The report of a deploy that shows these words: of one that ran already, or of one that runs now."""

    def there() -> Iterator[Path]:
        for path in sorted((sandbox.root / "reports").glob("*-deploy*.html")):
            text = path.read_text()
            if words in text and f'<header class="verdict {verdict}">' in text:
                yield path

    if not (found := next(there(), None)):
        if sandbox.health()["store"] == "database":
            assert sandbox.play("rollback.yml").rc == 0
        sandbox.play("deploy.yml", *arguments)
        found = next(there())
    return found


def seconds(text: str) -> float:
    found = re.fullmatch(r"(?:(\d+) min )?(?:< )?([\d.]+) s", text)
    assert found, text
    return int(found[1] or 0) * 60 + float(found[2])


def test_the_run_says_where_its_report_is_and_only_its_owner_reads_it(sandbox: Sandbox, deployed: Path) -> None:
    assert any(f"Report: {deployed}" in output for output in sandbox.outputs)
    assert oct(deployed.stat().st_mode & 0o777) == "0o600"
    assert oct(deployed.parent.stat().st_mode & 0o777) == "0o700"


def test_a_deploy_says_at_a_glance_that_it_went_through(browser: Browser, deployed: Path) -> None:
    seen = browser.look(
        deployed,
        """
        const title = page.querySelector("h1"), mark = title.querySelector(".mark");
        return { title: title.textContent.trim(), bottom: box(title).bottom, shown: shown(title),
                 size: parseFloat(view.getComputedStyle(title).fontSize), mark: mark.getAttribute("aria-label"),
                 colour: view.getComputedStyle(mark).backgroundColor,
                 tiles: all(".tiles > div").map((tile) => tile.innerText.split(/\\n+/)) };
        """,
    )
    assert seen["shown"]
    assert seen["bottom"] < 150
    assert seen["size"] > 20
    assert "company 962302 runs on the database" in seen["title"]
    assert (seen["mark"], seen["colour"]) == ("done", GREEN)
    tiles = dict(seen["tiles"])
    assert 0 < seconds(tiles["The bot was down for"]) < seconds(tiles["The run took"])
    assert "@" in tiles["Run by"]
    # A commit whose digits could be a phone number is shown as one would be.
    assert re.match(r"[0-9a-f*]{7}", tiles["With commit"])


def test_the_bars_stand_in_proportion_to_the_durations(browser: Browser, deployed: Path) -> None:
    runbook, journal = browser.look(deployed, TIMELINES)
    for timeline in (runbook, journal):
        assert all(line["shown"] for line in timeline)
        timed = [line for line in timeline if line["took"]]
        assert len(timed) > 5
        whole, end = sum(seconds(line["took"]) for line in timed), 0.0
        for line in timed:
            bar = line["bars"][0]
            assert bar["width"] == pytest.approx(line["track"] * seconds(line["took"]) / whole, rel=0.1, abs=4), line
            assert bar["left"] == pytest.approx(end, abs=4), "each begins where the one before ends"
            end = bar["left"] + bar["width"]
        assert end <= timed[0]["track"] + 4
    wanted = ["Preflight passed", "Backup created", "Verification passed", "Flag set in .env", "Test message answered"]
    assert [line["name"] for line in runbook if line["name"] in wanted] == wanted


def test_the_freeze_is_the_part_of_the_cut_over_with_the_bot_down(browser: Browser, deployed: Path) -> None:
    runbook, journal = browser.look(deployed, TIMELINES)
    (stopped,) = [line for line in runbook if line["name"] == "Services stopped"]
    cut_over, freeze = stopped["bars"]
    assert cut_over["left"] - 1 <= freeze["left"]
    assert freeze["left"] + freeze["width"] <= cut_over["left"] + cut_over["width"] + 3
    assert freeze["colour"] != cut_over["colour"]
    down = {line["name"] for line in journal if line["bars"][0]["colour"] == freeze["colour"]}
    assert {"Owners stopped", "Flag switched", "Started again"} <= down
    assert "Recorded which store owns the login" not in down


def test_before_and_after_by_key_type(browser: Browser, deployed: Path) -> None:
    cells_of = "(row) => all('th, td', row).map((cell) => cell.innerText)"
    rows = browser.look(deployed, f"return all('.columns tr').filter(shown).map({cells_of});")
    cells = {row[0]: row[1:] for row in rows}
    assert cells["store"] == ["files", "database"]
    assert cells["creds"][:2] == ["1", "1"]
    before, after, left_out = (int(cell) for cell in cells["lid-mapping"])
    assert before == after + left_out
    assert left_out > 0


def test_log_lines_are_shown_where_they_stand(browser: Browser, deployed: Path) -> None:
    lines = browser.look(deployed, "return all('td.log').filter(shown).map((cell) => cell.parentElement.innerText);")
    found = [line for line in lines if "Using database auth state for company 962302" in line]
    assert found
    assert all(re.search(r"out, line \d+", line) for line in found)


def test_a_failure_is_what_one_sees_first(browser: Browser, failed: Path) -> None:
    seen = browser.look(
        failed,
        """
        const failure = page.querySelector(".failure"), line = page.querySelector("li.failed");
        const bar = line.querySelector(".bar");
        return { title: page.querySelector("h1").textContent.trim(), stands: page.querySelector(".stands").innerText,
                 failure: failure.innerText, above: box(failure).top < box(page.querySelector("ol.timeline")).top,
                 shown: shown(line) && shown(failure), name: line.querySelector(".name").innerText,
                 colour: view.getComputedStyle(bar).backgroundColor, width: box(bar).width };
        """,
    )
    assert "Failed at “Wait for the expected log lines, since the restart only”" in seen["title"]
    assert "it is up again on the files" in " ".join(seen["stands"].split())
    assert NEVER_PRINTED in seen["failure"]
    assert "What was done about it" in seen["failure"]
    assert seen["above"]
    assert seen["shown"]
    assert seen["name"] == "Wait for the expected log lines, since the restart only"
    assert (seen["colour"], seen["width"] > 3) == (RED, True)


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_nothing_is_cut_off_at_any_width(browser: Browser, deployed: Path, failed: Path, width: int) -> None:
    for page in (deployed, failed):
        wider, over = browser.look(
            page,
            """
            const edge = page.documentElement.clientWidth;
            const over = all("main *").filter((each) => shown(each) && box(each).right > edge + 1);
            return [page.documentElement.scrollWidth - edge, over.map((each) => each.outerHTML.slice(0, 200))];
            """,
            width,
        )
        assert (wider, over) == (0, [])


def test_a_page_runs_nothing_even_where_text_got_in_as_markup(browser: Browser, deployed: Path, tmp_path: Path) -> None:
    """The second defence. (The first, that no text gets in as markup, is shown by the tests of the rendering.)"""
    markup = "<script>parent.ran = 1</script><img src=x onerror='parent.ran = 1'>"
    text = deployed.read_text().replace("Using database auth state", markup)
    policy = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
    for name, shown, ran in (("with.html", text, False), ("without.html", policy.sub("", text), True)):
        (tmp_path / name).write_text(shown)
        assert browser.look(tmp_path / name, "return [window.ran === 1, all('script').length > 0];") == [ran, True]


def test_ansible_runner_leaves_a_report_too(sandbox: Sandbox, deployed: Path, tmp_path: Path) -> None:
    """With nothing left to do, which is what it says."""
    before = set(deployed.parent.iterdir())
    run = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(PROJECT),
        inventory=str(PROJECT / "inventory" / "sandbox"),
        playbook="deploy.yml" if sandbox.health()["store"] == "database" else "rollback.yml",
        envvars={"SANDBOX": str(sandbox.root), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        quiet=True,
    )
    output = run.stdout.read()
    assert run.rc == 0, output[-3000:]
    (report,) = set(deployed.parent.iterdir()) - before
    assert f"Report: {report}" in output
    assert '<header class="verdict same">' in report.read_text()


def test_no_report_holds_a_secret(sandbox: Sandbox, deployed: Path, failed: Path, copy_of_login: Path) -> None:
    reports = sorted((sandbox.root / "reports").iterdir())
    assert {deployed, failed} <= set(reports)
    text = "\n".join(path.read_text() for path in reports)
    secrets = secrets_of(sandbox, copy_of_login)
    assert len(secrets) > 300
    assert found_in(text, secrets) == []
