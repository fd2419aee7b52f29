"""deploy.yml and rollback.yml, listed, read as the runbook: its steps in its order, each under its tags."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

PREFLIGHT = """
[always]
fleet : Leave the hosts that follow alone when one has failed
[always, preflight]
preflight : Start of the runbook
preflight : Look at the variables of every role
preflight : Stop here when a variable is missing or wrong
preflight : Look at the lock, and at the run that holds it
preflight : Stop here when this host is not reached
preflight : Look at the app - its tools, its code and the remote's, the disk, its settings
preflight : Look at the processes
preflight : Look at the database
preflight : Look at the login
preflight : Look at the backup
preflight : Decide what this run has to do
preflight : Look at what this rollback would lose
preflight : Put together what stands in its way
preflight : Start the bot again when a killed run has left it stopped and this one goes no further
preflight : Hand what is wrong to the report
preflight : Stop here when anything is wrong
preflight : Preflight passed
"""

TAKE = """\
lock : Take the lock of this host, and begin its record
lock : Lock of a dead run taken over
"""
# The lock is given back in an `always`, which is not listed.
SUMMARY = """\
[always, summary]
summary : Hand what came of it to the report
summary : Summary
[always]
fleet : Remember that this host is done
"""

# The plays that follow say where each host of a fleet stands; deploy.yml first brings hosts back, when told to.
END = """
[always]
status : Look at logins, app, lock, record and journal
status : Where each host stands
fleet : Say what this run came to on each host
fleet : End in an error where this host has failed
"""

DEPLOY = f"""{PREFLIGHT}\
[backup, code, cutover, migrate, schema]
{TAKE}\
[code, cutover]
release : Keep our own folder out of the repository
release : Make the folder for the staging
release : Pull the newest commit of the branch, without checking it out
release : Look whether the new commit is a fast-forward
release : Stop when this host has commits that the remote does not have
release : See whether the lock file has changed, and whether the commit brings what is this host's own
release : Stop when the commit tracks a login or a .env
release : Let git look at the files anew
release : See whether a file of this host's is in the way of the commit
release : Stop when one is in the way
release : Lay out the commit beside the running app
release : Install its dependencies there
release : Newest code and dependencies ready
[cutover, migrate, schema]
auth_state : Apply the SQL migration
auth_state : SQL migration applied
[backup, cutover, migrate]
auth_state : Back up the files
auth_state : Backup created
[cutover, migrate]
auth_state : Copy the files to the database
auth_state : Record a login that was moved by hand as of this host
auth_state : Credentials migrated
auth_state : All keys migrated
[cutover]
cutover : Stop, copy what changed and verify it, put the new code in place, set the flag, start
cutover : Copy loaded by the app's own code
cutover : Held before the stop
cutover : Services stopped
cutover : Verification passed
cutover : Newest code and dependencies in place
cutover : Flag set in .env
cutover : Services up
[cutover, logs]
health : Wait for the expected log lines, since the restart only
health : Log lines as expected
health : Ask the bot which store it uses
health : Stop when the bot uses another store, or another login
health : Bot runs on its store, with the same identity
[smoke]
health : Send the test message through MCP, and wait for its answer
health : Test message answered
[database]
health : Read the rows by type, the statistics and the files
health : Fail when the bot has written to the other store, or the test message has changed nothing
health : Look at the processes once more
health : Fail when a process has exited or restarted since the cut-over
health : Stop when the database does not hold what the runbook expects in it
health : Database and files checked
[cutover]
release : Clear the staging of the new commit
release : Remove what earlier deploys kept aside
[cutover, monitor]
monitor : Keep the job in the controller's crontab
monitor : Monitor scheduled
{SUMMARY}"""

ROLLBACK = f"""
[always]
End here when no host has to go back
{PREFLIGHT.split("[always]", 1)[1].lstrip()}\
[cutover]
{TAKE}\
cutover : Stop, copy what changed and verify it, put the new code in place, set the flag, start
cutover : Copy loaded by the app's own code
cutover : Held before the stop
cutover : Services stopped
cutover : Verification passed
cutover : Newest code and dependencies in place
cutover : Flag set in .env
cutover : Services up
[cutover, logs]
health : Wait for the expected log lines, since the restart only
health : Log lines as expected
health : Ask the bot which store it uses
health : Stop when the bot uses another store, or another login
health : Bot runs on its store, with the same identity
[smoke]
health : Send the test message through MCP, and wait for its answer
health : Test message answered
[stores]
health : Read the rows by type, the statistics and the files
health : Fail when the bot has written to the other store, or the test message has changed nothing
health : Look at the processes once more
health : Fail when a process has exited or restarted since the cut-over
health : Stop when the database does not hold what the runbook expects in it
health : Database and files checked
{SUMMARY}"""


def listed(playbook: str) -> list[str]:
    """What ``--list-tasks`` lists, play by play, a line of tags wherever they change; how psycopg comes is left out."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "--list-tasks"]
    output = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    return [_tasks(play) for play in output.split("\n  play #")[1:]]


def _tasks(play: str) -> str:
    lines, last = [], ""
    for task, tags in re.findall(r"^      (\S.*?)\tTAGS: (\[.*\])$", play, re.M):
        if task.startswith("psycopg :"):
            continue
        lines += [tags] if tags != last else []
        lines.append(task)
        last = tags
    return "\n".join(["", *lines, ""])


@pytest.mark.parametrize(
    ("playbook", "plays"), [("deploy.yml", [DEPLOY, ROLLBACK, END]), ("rollback.yml", [ROLLBACK, END])]
)
def test_list_tasks_reads_as_the_runbook(playbook: str, plays: list[str]) -> None:
    assert listed(playbook) == plays
