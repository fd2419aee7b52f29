"""What is kept of each host of a fleet, and one that cannot be reached; tests/fleet has hosts with bots."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# deploy.yml, and the rollback behind it: `on_the_way` and `back` are what happens on each host.
PLAYS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.add_host: {name: "{{ item }}", groups: [fleet], ansible_connection: local}
      loop: [one, two, three, four]
- hosts: fleet
  gather_facts: false
  serial: SERIAL
  vars: {runbook_store: database, summary_headline: on the database}
  vars_files: [fleet.yml]
  tasks:
    - ansible.builtin.import_role: {name: fleet, tasks_from: go_on, rolespec_validate: false}
    - block:
        ON_THE_WAY
        - ansible.builtin.import_role: {name: fleet, tasks_from: done, rolespec_validate: false}
      rescue:
        - ansible.builtin.import_role: {name: fleet, tasks_from: stop, rolespec_validate: false}
- hosts: fleet
  gather_facts: false
  serial: SERIAL_BACK
  vars: {runbook_store: files, summary_headline: on its files, rollback_only: "{{ fleet_going_back }}"}
  vars_files: [fleet.yml]
  tasks:
    - ansible.builtin.import_role: {name: fleet, tasks_from: go_on, rolespec_validate: false}
    - when: inventory_hostname in rollback_only
      block:
        BACK
        - ansible.builtin.set_fact: {__cutover: {store: files}}
        - ansible.builtin.import_role: {name: fleet, tasks_from: done, rolespec_validate: false}
      rescue:
        - ansible.builtin.import_role: {name: fleet, tasks_from: stop, rolespec_validate: false}
- hosts: fleet
  gather_facts: false
  vars_files: [fleet.yml]
  tasks:
    END
"""


def plays(serial: str, on_the_way: str, serial_back: str, back: str, end: str) -> str:
    """Each part at the depth of the word that it replaces."""
    text = PLAYS
    parts = {"SERIAL_BACK": serial_back, "SERIAL": serial, "ON_THE_WAY": on_the_way, "BACK": back, "END": end}
    for word, part in parts.items():
        head, _, tail = text.partition(f" {word}\n")
        depth = len(head) - len(head.rstrip(" ")) + 1
        text = f"{head} {indent(part.strip(), ' ' * depth).lstrip()}\n{tail}"
    return text


# The second fails when it has been moved.
FAILED = plays(
    "1",
    """
- ansible.builtin.set_fact: {__cutover: {store: database}}
- name: Keep the job
  ansible.builtin.fail:
  when: inventory_hostname == 'two'
""",
    "1",
    """
- name: Preflight
  ansible.builtin.fail:
  when: inventory_hostname == refused
""",
    """
- block:
    - ansible.builtin.import_role: {name: fleet, tasks_from: end, rolespec_validate: false}
    - ansible.builtin.set_fact: {ended: well}
  rescue:
    - ansible.builtin.set_fact: {ended: "{{ ansible_failed_result.msg }}"}
- ansible.builtin.assert: {that: "ended is search(expected[inventory_hostname])"}
- ansible.builtin.assert: {that: fleet_failed == failed}
""",
)
VARIABLES = """
fleet_on_failure: rollback
cutover_at_rest: "{{ __cutover is defined }}"
preflight_moving: ["1"]
__preflight_lock: {}
"""
SECOND = 'two: failed at "Keep the job", when all else was done'


@pytest.mark.parametrize(
    ("refused", "failed", "expected"),
    [
        ("nobody", ["two"], {"one": "^well$", "two": f"{SECOND}; then on its files"}),
        ("one", ["one", "two"], {"one": "one: refused, and nothing of it was changed", "two": SECOND}),
    ],
)
def test_a_host_that_fails_when_it_was_moved_goes_back_too_and_has_failed(
    goes_well: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
    failed: list[str],
    expected: dict[str, str],
) -> None:
    monkeypatch.setenv("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))
    told = {"refused": refused, "failed": failed, "expected": {**expected, "three": "^well$", "four": "^well$"}}
    (tmp_path / "fleet.yml").write_text(VARIABLES)
    goes_well(FAILED, "-e", json.dumps(told))


# Of the second step one is moved, and the other lost on the way.
LOST_HOST = """
- ansible.builtin.ping:
  vars: {ansible_connection: ssh, ansible_ssh_executable: "{{ ssh }}"}
  when: inventory_hostname == HOST
"""
LOST = plays(
    "[1, 2, 1]",
    "- ansible.builtin.set_fact: {__preflight_lock: {}, __cutover: {store: database}}"
    + LOST_HOST.replace("HOST", "'three'"),
    "2",
    LOST_HOST.replace("HOST", "lost_going_back"),
    "- ansible.builtin.include_role: {name: fleet, tasks_from: end, rolespec_validate: false}",
)


@pytest.mark.parametrize("lost_going_back", ["nobody", "two"])
def test_a_host_that_is_lost_on_the_way_has_failed_and_the_others_go_back(
    paper: Any, tmp_path: Path, lost_going_back: str
) -> None:
    (tmp_path / "fleet.yml").write_text(VARIABLES.replace("__preflight_lock: {}\n", ""))
    (tmp_path / "lost.yml").write_text(LOST)
    told = {"ssh": f"{paper.root}/bin/ssh", "lost_going_back": lost_going_back}
    _code, said = paper.play(str(tmp_path / "lost.yml"), {}, "-e", json.dumps(told))
    lost = "the connection was lost on the way; where it stands says: ansible-playbook status.yml -l"
    for host, stands in {
        "one": "on its files",
        "two": "on its files" if lost_going_back == "nobody" else f"on the database; then {lost} two",
        "three": f"{lost} three",
        "four": "not begun, and left as it was",
    }.items():
        assert f"{host}: {stands}" in said, said[-3000:]
    assert (
        "The fleet stopped at three." if lost_going_back == "nobody" else "The fleet stopped at two, three."
    ) in said


def test_a_host_that_is_not_reached_stops_the_fleet_and_what_came_of_each_is_said(paper: Any) -> None:
    """It is the whole of its step: where every host of a step is lost, Ansible ends the run, and nobody goes back."""
    code, said = paper.play("deploy.yml", {"far": paper.far(), "near": paper.near()})
    assert code != 0
    assert "far: not reached, and left as it was" in said
    assert "near: not begun, and left as it was" in said
    assert "The fleet stopped at far" in said


def test_a_host_alone_is_unreachable_as_ansible_has_it(paper: Any) -> None:
    code, said = paper.play("deploy.yml", {"far": paper.far()})
    assert code == 4
    assert "No route to host" in said


def test_a_host_with_a_wrong_variable_is_refused_like_any_other(paper: Any) -> None:
    """It ends before anything of the host was looked at."""
    code, said = paper.play("deploy.yml", {"wrong": {**paper.near(), "company_ids": [".."]}, "near": paper.near()})
    assert code == 2
    assert "wrong: refused, and nothing of it was changed" in said
