"""What auth_state_cutover does before it stops anything: the rehearsal with the app's own code, and the hold."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgrest_server
import pytest
from ansible.module_utils.baileys_auth.database import Database, connect
from ansible.module_utils.baileys_auth.names import Names
from ansible.module_utils.cutover import prepare, rehearsal
from ansible.module_utils.cutover.journal import Journal
from bot_host import COMPANY, Answer, BotHost, codes, good
from postgresql_server import Server, TestDatabase
from postgrest_server import Endpoint, key_of
from repositories import git

PHONE = "79686484488"


@pytest.fixture
def copied(bot_host: BotHost) -> BotHost:
    """The pre-copy was made; the app still runs on its files."""
    good(bot_host.state("database", authority="keep"))
    return bot_host


def hold(host: BotHost, *command: str, **more: Any) -> Answer:
    """The module up to the stop. There is no pm2: whatever would be stopped makes the test fail."""
    return host.call(
        "auth_state_cutover",
        host.arguments(
            destination="database",
            processes=["no-such-process"],
            app_dir=str(host.root / "ai-admin"),
            rehearsal_command=list(command),
            hold=True,
            **more,
        ),
    )


def says(host: BotHost, name: str, answer: dict[str, Any] | str, code: int = 0, errors: str = "") -> tuple[str, ...]:
    """An app's command that answers with this."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    script = host.root / name
    script.write_text(f"cat <<'END'\n{text}\nEND\necho {shlex.quote(errors)} >&2\nexit {code}\n")
    return ("sh", str(script), "{company_id}", "{store}", "{code_dir}")


def right(database: TestDatabase) -> dict[str, Any]:
    with connect(database.conninfo) as connection:
        return rehearsal.expected(Database(connection), COMPANY, Names())


def test_app_that_reads_the_copy_is_held_before_the_stop(copied: BotHost, database: TestDatabase) -> None:
    with copied.unchanged(database):
        answer = good(hold(copied, *says(copied, "app", {"noise": 1, **right(database)})))
    assert answer["held"]
    assert not answer["changed"]
    assert answer["rehearsed"] == {COMPANY: len(right(database)["keys"])}
    assert len(right(database)["keys"]) >= 5
    assert not (copied.state_dir / "journal.jsonl").exists()


def test_rows_that_no_file_can_hold_are_nothing_that_the_app_asks_for(copied: BotHost, database: TestDatabase) -> None:
    before = right(database)
    database.run(
        "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, 'notes', '1', '{}')", COMPANY
    )
    assert right(database) == before


def test_words_are_filled_in(copied: BotHost, database: TestDatabase) -> None:
    seen = copied.root / "seen"
    script = copied.root / "app"
    script.write_text(f"echo \"$@\" $PWD >> {seen}\necho '{json.dumps(right(database))}'\n")
    good(hold(copied, "sh", str(script), "{company_id}", "{store}", "{code_dir}"))
    app = copied.root / "ai-admin"
    assert seen.read_text().splitlines() == [f"{COMPANY} database {app} {app}"]


def changed(answer: dict[str, Any], key_type: str) -> dict[str, Any]:
    return {**answer, "keys": {**answer["keys"], key_type: {"count": 1, "sample": "0" * 64}}}


def without(answer: dict[str, Any], key_type: str) -> dict[str, Any]:
    return {**answer, "keys": {name: facts for name, facts in answer["keys"].items() if name != key_type}}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda answer: {**answer, "identity": "0" * 64}, "the identity"),
        (lambda answer: changed(answer, "session"), "another session"),
        (lambda answer: without(answer, "pre-key"), "no pre-key"),
    ],
)
def test_app_that_reads_something_else_is_found(copied: BotHost, database: TestDatabase, spoil: Any, said: str) -> None:
    with copied.unchanged(database):
        answer = hold(copied, *says(copied, "app", spoil(right(database))))
    assert codes(answer) == ["rehearsal"]
    assert said in answer["msg"]
    assert "was not stopped" in answer["msg"]


def test_library_may_convert_app_state_keys(copied: BotHost, database: TestDatabase) -> None:
    """Baileys reads them as protobuf messages, whose JSON is another one."""
    good(hold(copied, *says(copied, "app", changed(right(database), "app-state-sync-key"))))


def test_app_that_fails_is_quoted_without_its_secrets(copied: BotHost, database: TestDatabase) -> None:
    errors = f"no session of {PHONE} in postgresql://bot:hunter2hunter2@db/x"
    answer = hold(copied, *says(copied, "app", "", 1, errors))
    assert codes(answer) == ["rehearsal"]
    assert "ended with 1" in answer["msg"]
    assert "no session of 7968***4488" in answer["msg"]
    assert "hunter2" not in json.dumps(answer)
    assert PHONE not in json.dumps(answer)


@pytest.mark.parametrize("text", ["", "loaded", '{"identity": "x"}', "[1]"])
def test_answer_that_is_none_is_refused(copied: BotHost, text: str) -> None:
    answer = hold(copied, *says(copied, "app", text))
    assert codes(answer) == ["rehearsal"]
    assert "not the JSON" in answer["msg"]


def test_command_that_hangs_ends_in_time(copied: BotHost) -> None:
    answer = hold(copied, sys.executable, "-c", "import time; time.sleep(60)", rehearsal_timeout=0.5)
    assert codes(answer) == ["rehearsal"]
    assert "did not end within 0.5 s" in answer["msg"]


def test_command_that_is_not_there_is_named(copied: BotHost) -> None:
    answer = hold(copied, "/no/such/program")
    assert codes(answer) == ["rehearsal"]
    assert "No such file" in answer["msg"]


def release(host: BotHost, tmp_path: Path) -> dict[str, Any]:
    return {
        "app_dir": str(host.root / "ai-admin"),
        "commit_before": "a" * 40,
        "commit_after": "b" * 40,
        "dependencies": False,
        "staging": str(tmp_path / "staging"),
        "aside": str(tmp_path / "aside"),
        "patch": str(tmp_path / "patch"),
    }


def test_code_that_lost_its_way_to_files_is_said(copied: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    """The new code reads the database, and files no more."""
    staged = tmp_path / "staging"
    staged.mkdir()
    answer = json.dumps(right(database))
    (staged / "load").write_text(f"[ \"$2\" = database ] && echo '{answer}' || {{ echo unknown store >&2; exit 1; }}\n")
    told = good(hold(copied, "sh", "{code_dir}/load", "{company_id}", "{store}", release=release(copied, tmp_path)))
    assert told["held"]
    assert warned(told, "unknown store")
    assert warned(told, "rollback_release=true")


def test_rollback_of_code_without_files_wants_the_release_before(copied: BotHost, tmp_path: Path) -> None:
    aside, app = tmp_path / "aside", tmp_path / "app"
    aside.mkdir()
    app.mkdir()
    git(app, "init", "--quiet")
    git(app, "commit", "--quiet", "--allow-empty", "--message", "it reads no files")
    facts = {**release(copied, tmp_path), "files_mode": False, "commit_after": git(app, "rev-parse", "HEAD")}
    (aside / "release.json").write_text(json.dumps(facts))
    copied.migrate()
    back = copied.arguments(
        destination="files", processes=["none"], app_dir=str(app), release_aside=str(aside), hold=True
    )
    answer = copied.call("auth_state_cutover", back)
    assert codes(answer) == ["files_mode_lost"]
    assert "rollback_release=true" in answer["msg"]
    # Of another code, pulled by hand, nobody knows it.
    git(app, "commit", "--quiet", "--allow-empty", "--message", "it reads them again")
    assert good(copied.call("auth_state_cutover", back))["held"]


@pytest.mark.parametrize("destination", ["files", "database"])
def test_app_whose_row_is_gone_is_not_stopped(copied: BotHost, database: TestDatabase, destination: str) -> None:
    """It has the login in its memory alone: started again, on whichever code, it would make a new one."""
    copied.migrate()
    database.run("DELETE FROM whatsapp_auth")
    answer = copied.call("auth_state_cutover", copied.arguments(destination=destination, processes=["none"]))
    assert codes(answer) == ["row_missing"]
    assert "Nothing was stopped" in answer["msg"]


def test_app_whose_keys_are_gone_is_not_stopped_for_the_way_back(copied: BotHost, database: TestDatabase) -> None:
    copied.migrate()
    database.run("DELETE FROM whatsapp_keys WHERE key_type = 'session'")
    answer = copied.call("auth_state_cutover", copied.arguments(destination="files", processes=["none"]))
    assert codes(answer) == ["rows_gone"]
    chosen = copied.arguments(destination="files", processes=["none"], conflict="database", hold=True)
    assert good(copied.call("auth_state_cutover", chosen))["held"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE whatsapp_auth SET creds = jsonb_set(creds, '{registrationId}', '1')", "identity_changed"),
        ("UPDATE whatsapp_keys SET key_type = 'lid' WHERE key_type = 'lid-mapping'", "rows_foreign"),
    ],
)
def test_app_is_not_stopped_for_a_way_back_that_the_copy_would_refuse(
    copied: BotHost, database: TestDatabase, change: str, code: str
) -> None:
    copied.migrate()
    database.run(change)
    arguments = copied.arguments(destination="files", processes=["none"])
    with copied.unchanged(database):
        answer = copied.call("auth_state_cutover", arguments)
        assert codes(answer) == [code], answer
    assert not Journal(copied.state_dir).path.exists()


def test_way_back_to_the_database_is_not_refused_for_what_a_way_there_has_to_show(
    copied: BotHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what the bot has run on a moment ago: neither its speed nor the new code says anything of that."""
    copied.migrate()
    monkeypatch.setattr(prepare, "_SLOW", 0)
    fails = ("sh", "-c", "exit 1")
    assert codes(hold(copied, *fails)) == ["database_slow"]
    assert good(hold(copied, *fails, source="best"))["held"]


def back_without_a_release(host: BotHost, folder: Path) -> Answer:
    """The way back with the release before, of which none is kept."""
    where = {"app_dir": str(host.root / "ai-admin"), "release_aside": str(folder / "none")}
    given = host.arguments(destination="files", processes=["none"], release_back=True, **where)
    return host.call("auth_state_cutover", given)


def test_release_that_was_never_kept_is_refused(copied: BotHost, tmp_path: Path) -> None:
    copied.flag("database")
    answer = back_without_a_release(copied, tmp_path)
    assert codes(answer) == ["no_release_before"]


def test_killed_run_gets_its_end_though_no_release_was_kept(copied: BotHost, tmp_path: Path) -> None:
    """It may have left the app down: whoever goes no further brings it up, whatever it is that he is refused for."""
    journal = Journal(copied.state_dir)
    journal.begin("a1", {"to": "files"})
    entry = json.loads(journal.path.read_text())
    journal.path.write_text(json.dumps({**entry, "started": 0}) + "\n")  # of a process that is no more
    copied.flag("database")
    answer = back_without_a_release(copied, tmp_path)
    # There is no pm2 to bring it up with.
    assert answer["recovered"]["run"] == "a1"
    assert "no_release_before" in codes(answer)
    assert answer["reverted"] == "a run was killed, and the app could not be started again"


# Without a command: over REST, with the key of .env


@pytest.fixture
def endpoint(postgresql: Server, database: TestDatabase) -> Iterator[Endpoint]:
    with postgrest_server.running(postgresql.url(database.name, admin=True)) as found:
        yield found


def settings(host: BotHost, url: str, key: str) -> None:
    host.env_file.write_text(f"{host.env_file.read_text()}SUPABASE_URL={url}\nSUPABASE_KEY={key}\n")


def warned(answer: Answer, words: str) -> bool:
    """Ansible keeps the warnings of this process, so those of other tests may be among them."""
    return any(words in each["event"]["msg"] for each in answer.get("warnings", []))


def test_copy_is_read_back_with_the_apps_own_key(copied: BotHost, database: TestDatabase, endpoint: Endpoint) -> None:
    settings(copied, endpoint.url, key_of("service_role"))
    with copied.unchanged(database):
        answer = good(hold(copied))
    assert answer["read_back"] == [COMPANY]
    assert answer["rehearsed"] is None
    assert not warned(answer, "is set, and .env names no")
    assert len(endpoint.asked) > 5


def test_key_that_sees_no_row_is_found_before_the_stop(
    copied: BotHost, database: TestDatabase, endpoint: Endpoint
) -> None:
    settings(copied, endpoint.url, key_of("anon"))
    with copied.unchanged(database):
        answer = hold(copied)
    assert codes(answer) == ["rest_permission"]
    assert key_of("anon") not in json.dumps(answer)
    assert endpoint.url not in json.dumps(answer)


def test_key_that_only_sees_them_because_everybody_does_is_said(
    copied: BotHost, fresh_database: TestDatabase, postgresql: Server
) -> None:
    copied.conninfo = fresh_database.conninfo
    good(copied.state("database", authority="keep", conflict="files"))
    fresh_database.run("GRANT SELECT ON whatsapp_auth, whatsapp_keys TO anon")
    for table in ("whatsapp_auth", "whatsapp_keys"):
        fresh_database.run(f"CREATE POLICY everybody ON {table} FOR ALL USING (true)")
    with postgrest_server.running(postgresql.url(fresh_database.name, admin=True)) as endpoint:
        settings(copied, endpoint.url, key_of("anon"))
        answer = good(hold(copied))
    assert answer["read_back"] == [COMPANY]
    assert warned(answer, "schema_harden")


def test_half_of_the_settings_is_refused(copied: BotHost) -> None:
    copied.env_file.write_text(f"{copied.env_file.read_text()}SUPABASE_URL=https://project.supabase.co\n")
    assert codes(hold(copied)) == ["rest_half_set"]


def test_nothing_to_try_with_is_said(copied: BotHost) -> None:
    answer = good(hold(copied))
    assert answer["read_back"] is None
    assert warned(answer, "is set, and .env names no SUPABASE_URL")
