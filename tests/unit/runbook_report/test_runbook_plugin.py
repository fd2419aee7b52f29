"""The callback plugin in real runs of ansible-playbook: what it prints, what it writes, and that it fails nothing."""

from __future__ import annotations

import codecs
import importlib.util
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
COMMAND = str(Path(sys.executable).with_name("ansible-playbook"))
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - {name: Start of the runbook, runbook_step: {did: a play of the tests, outcome: unchanged}}
    - {name: Wait a moment, ansible.builtin.command: sleep 0, changed_when: false}
    - {name: Waited, runbook_step: {did: for 79686484488}, tags: [always]}
    - name: Hand it over
      runbook_report:
        headline: it went well
    - {name: Only when asked, runbook_step: {did: never}, tags: [never, asked]}
"""
NO_RUNBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - {name: Say, ansible.builtin.debug: {msg: hello}}
"""


@dataclass
class Player:
    """Plays a small playbook of its own, with this project's settings."""

    folder: Path

    def command(self, play: str, *arguments: str) -> list[str]:
        (self.folder / "play.yml").write_text(play)
        return [COMMAND, str(self.folder / "play.yml"), "-i", "localhost,", "-c", "local", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        own = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "RUNBOOK_REPORTS_DIR": str(self.folder / "reports")}
        return os.environ | own | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "TERM": "xterm"} | more

    def play(self, play: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command, settings = self.command(play, *arguments), self.environment(**environment)
        return subprocess.run(command, env=settings, cwd=self.folder, capture_output=True, text=True, check=False)

    def reports(self, folder: str = "reports") -> list[Path]:
        return sorted((self.folder / folder).glob("*.html"))


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)


def test_each_runbook_begins_with_a_list_of_its_own(player: Player) -> None:
    """Facts outlive the play: the way back of a fleet is another runbook than the deploy before it."""
    again = "    - {name: Again, runbook_step: {did: another, first: true}}\n"
    count = "    - ansible.builtin.assert: {that: ansible_facts.runbook_steps | length == 1}\n"
    done = player.play(f"{PLAY}- hosts: localhost\n  gather_facts: false\n  tasks:\n{again}{count}")
    assert done.returncode == 0, done.stdout


def test_a_run_ends_with_the_path_of_its_report(player: Player) -> None:
    done = player.play(PLAY)
    assert done.returncode == 0, done.stderr
    (report,) = player.reports()
    assert done.stdout.rstrip().splitlines()[-1] == f"Report: {report}"
    assert "\x1b" not in done.stdout
    shown = report.read_text()
    assert "it went well" in shown
    assert "7968***4488" in shown
    assert "79686484488" not in shown
    assert "not reached" not in shown  # also not what another tag would have done


def test_a_run_without_the_runbook_has_none(player: Player) -> None:
    done = player.play(NO_RUNBOOK)
    assert done.returncode == 0
    assert "Report:" not in done.stdout
    assert not player.reports()


def test_the_variable_goes_before_the_setting(player: Player) -> None:
    place = "{{ playbook_dir }}/named"
    done = player.play(PLAY, "-e", f"runbook_reports_dir='{place}'")
    assert done.returncode == 0
    assert not player.reports()
    assert len(player.reports("named")) == 1


def test_so_many_reports_are_kept_the_variable_before_the_setting(player: Player) -> None:
    given = ("-e", "runbook_reports_keep=1")
    for setting, more, kept in (("0", (), 1), ("0", (), 2), ("1", (), 1), ("0", (), 2), ("0", given, 1)):
        assert player.play(PLAY, *more, RUNBOOK_REPORTS_KEEP=setting).returncode == 0
        assert len(player.reports()) == kept


def test_a_report_that_cannot_be_written_is_a_warning_that_says_why(player: Player) -> None:
    (player.folder / "reports").write_text("a file where the folder should be")
    done = player.play(PLAY)
    assert done.returncode == 0
    said = " ".join(done.stderr.split())
    assert said.count("There is no report of this run. FileExistsError") == 1
    assert "localhost : ok=4" in " ".join(done.stdout.split())


def test_what_it_cannot_follow_is_said_once() -> None:
    """A defect of its own: here, events of a run that never began."""

    class Display:
        verbosity, said = 0, []

        def warning(self, text: str) -> None:
            self.said.append(text)

    spec = importlib.util.spec_from_file_location("runbook_plugin", PROJECT / "callback_plugins" / "runbook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plugin = module.CallbackModule(display=Display())
    for _ in range(3):
        plugin.v2_playbook_on_stats(None)
    assert [text.partition(".")[0] for text in Display.said] == ["There is no report of this run"]


def test_values_of_extra_variables_are_not_shown(player: Player) -> None:
    player.play(PLAY, "-e", "favourite=correct-horse", "--skip-tags", "whatever")
    (report,) = player.reports()
    shown = report.read_text()
    assert "correct-horse" not in shown
    assert "favourite" in shown
    assert "--skip-tags whatever" in shown


def test_a_killed_run_leaves_a_page_that_says_so(player: Player) -> None:
    process = subprocess.Popen(
        player.command(PLAY.replace("sleep 0", "sleep 60")),
        env=player.environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while not player.reports() and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    (report,) = player.reports()
    assert "this run has not ended" in report.read_text()


class Screen:
    """What is seen on a terminal after what was written to it: the few movements that a checklist makes."""

    def __init__(self) -> None:
        self.lines, self.row, self.column = [""], 0, 0
        self._decoder, self._rest = codecs.getincrementaldecoder("utf-8")("replace"), ""

    def write(self, written: bytes) -> None:
        text = self._rest + self._decoder.decode(written)
        self._rest = re.search(r"(\x1b(\[[\d;]*)?)?\Z", text)[0]  # a movement that is not whole yet
        text = text.removesuffix(self._rest)
        for piece in re.findall(r"\x1b\[(?:\d*)(?:;\d+)*[A-Za-z]|.", text, re.S):
            if piece == "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif piece == "\r":
                self.column = 0
            elif piece.endswith("A") and piece.startswith("\x1b"):
                self.row -= int(piece[2:-1])
            elif piece == "\x1b[J":
                self.lines = [*self.lines[: self.row], self.lines[self.row][: self.column]]
            elif piece == "\x1b[K":
                self.lines[self.row] = self.lines[self.row][: self.column]
            elif not piece.startswith("\x1b"):
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + piece + line[self.column + 1 :]
                self.column += 1


def on_a_terminal(player: Player, play: str) -> tuple[list[list[str]], list[str]]:
    """The screens in between, each time something was written, and the last one."""
    leader, follower = pty.openpty()
    settings = player.environment(COLUMNS="100", LINES="30")
    with subprocess.Popen(player.command(play), env=settings, stdout=follower, stderr=follower) as process:
        os.close(follower)
        screen, between = Screen(), []
        while select.select([leader], [], [], 60)[0]:
            try:
                read = os.read(leader, 65536)
            except OSError:  # how a terminal says that nobody writes any more
                break
            screen.write(read)
            between.append([line.rstrip() for line in screen.lines])
    os.close(leader)
    assert process.returncode == 0
    return between, between[-1]


def test_on_a_terminal_the_runbook_stays_below_with_the_time_of_what_runs(player: Player) -> None:
    between, end = on_a_terminal(player, PLAY.replace("sleep 0", "sleep 2.2"))
    checklist = [" ✓ Start of the runbook: a play of the tests", " ▸ Wait a moment  1 s", " ○ Waited"]
    assert any(lines[-3:] == checklist for lines in between), between[-5:]
    assert not [line for line in end if line.startswith((" ▸", " ○"))], end
    # What passes above it is what it is without a terminal, whole and in order.
    plain = player.play(PLAY).stdout
    timeless = [re.sub(r"Report: .*", "Report:", line).rstrip() for line in end if line.strip()]
    assert [line.rstrip("*") for line in timeless] == [
        re.sub(r"Report: .*", "Report:", line).rstrip().rstrip("*") for line in plain.splitlines() if line.strip()
    ]


def test_warnings_do_not_run_into_the_checklist(player: Player) -> None:
    warns = PLAY.replace("ansible.builtin.command: sleep 0, changed_when: false", "ansible.builtin.debug: {msg: x}")
    warns = warns.replace("gather_facts: false", "gather_facts: false\n  vars: {reserved: 1, environment: 2}")
    _between, end = on_a_terminal(player, warns)
    assert any(line.startswith("[WARNING]") for line in end), end
    assert not any(re.search(r"\S +[▸○] ", line) for line in end)
