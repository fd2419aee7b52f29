"""baileys_auth_state, files to the database: what moves, what a second run finds, what check mode says."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import auth_states
import pytest
from ansible.module_utils.baileys_auth import lid_mapping
from bot_host import COMPANY, BotHost, codes, good, total
from postgresql_server import Server, TestDatabase

DAY = 86_400
TTL = 7 * DAY


# First, second, changed


def test_first_run_moves_every_key_value_for_value(bot_host: BotHost, database: TestDatabase) -> None:
    answer = good(bot_host.state())
    assert answer["changed"] is True
    facts = answer["companies"][COMPANY]
    assert facts["verified"] is True
    rows = database.rows()
    assert facts["keys"] == len(rows) - 1
    files = bot_host.values()
    names = {(kind, key): auth_name(kind, key) for kind, key in rows}
    assert {names[key]: json.loads(text) for key, text in rows.items()} == {
        name: value for name, value in files.items() if name in names.values()
    }
    missing = set(files) - set(names.values())
    assert missing
    assert all(name.startswith("lid-mapping-") for name in missing)
    assert total(answer, "left_out") == len(missing)
    assert total(answer, "added") == len(rows)
    kinds = database.run("SELECT DISTINCT key_type, jsonb_typeof(value) FROM whatsapp_keys WHERE key_type IN"
                         " ('lid-mapping', 'device-list', 'session', 'identity-key') ORDER BY 1")  # fmt: skip
    assert kinds == [
        ("device-list", "array"),
        ("identity-key", "object"),
        ("lid-mapping", "string"),
        ("session", "object"),
    ]


def auth_name(kind: str, key: str) -> str:
    """Baileys' own rule, written out again here."""
    return "creds.json" if kind == "creds" else f"{kind}-{key}.json".replace("/", "__").replace(":", "-")


def test_second_run_changes_nothing(bot_host: BotHost, database: TestDatabase) -> None:
    first = good(bot_host.state())
    with bot_host.unchanged(database):
        second = good(bot_host.state())
    assert second["changed"] is False
    assert second["companies"][COMPANY]["digest"] == first["companies"][COMPANY]["digest"]
    assert second["companies"][COMPANY]["verified"] is True
    assert total(second, "added") == total(second, "changed") == total(second, "removed") == 0
    assert total(second, "left_out") == total(first, "left_out")


def test_changed_added_and_removed_files_follow(bot_host: BotHost, database: TestDatabase) -> None:
    good(bot_host.state())
    session = bot_host.folder / "session-102765710000001_1.1.json"
    value = json.loads(session.read_text())
    value["version"] = "v2"
    session.write_text(json.dumps(value))
    bot_host.write("pre-key-11", {"public": {"type": "Buffer", "data": "AA=="}})
    (bot_host.folder / "pre-key-1.json").unlink()
    answer = good(bot_host.state())
    actions = answer["companies"][COMPANY]["actions"]
    assert actions["session"]["changed"] == 1
    assert (actions["pre-key"]["added"], actions["pre-key"]["removed"]) == (1, 1)
    assert (total(answer, "added"), total(answer, "changed"), total(answer, "removed")) == (1, 1, 1)
    rows = database.rows()
    assert json.loads(rows["session", "102765710000001_1.1"]) == value
    assert ("pre-key", "1") not in rows
    assert ("pre-key", "11") in rows
    assert good(bot_host.state())["changed"] is False


def test_same_size_and_mtime_do_not_hide_a_change(bot_host: BotHost, database: TestDatabase) -> None:
    path = bot_host.write("pre-key-5", {"public": "aaaa"})
    good(bot_host.state())
    time.sleep(0.15)  # past the clock tick, so that the manifest trusts the stat
    good(bot_host.state())
    status = path.stat()
    path.write_text(path.read_text().replace("aaaa", "bbbb"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    good(bot_host.state())
    assert json.loads(database.rows()["pre-key", "5"]) == {"public": "bbbb"}


def test_unchanged_files_are_not_read_again(bot_host: BotHost, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.module_utils.baileys_auth.folder import Folder

    time.sleep(0.15)
    good(bot_host.state())
    read = []
    original = Folder.read_bytes
    monkeypatch.setattr(Folder, "read_bytes", lambda self, name, size: read.append(name) or original(self, name, size))
    good(bot_host.state())
    assert set(read) <= {"creds.json", "tctoken-__index.json"}


# Check mode, diff


def test_check_mode_says_what_the_run_then_does(bot_host: BotHost, database: TestDatabase) -> None:
    def same(check: dict, real: dict) -> None:
        for name in ("actions", "keys", "digest", "identity", "store"):
            assert check["companies"][COMPANY][name] == real["companies"][COMPANY][name]
        assert check["changed"] == real["changed"]
        assert check["diff"] == real["diff"]

    with bot_host.unchanged(database):
        check = good(bot_host.state(check=True))
    assert check["companies"][COMPANY]["verified"] is False
    assert not bot_host.state_dir.exists()
    same(check, good(bot_host.state()))
    bot_host.write("pre-key-12", {})
    (bot_host.folder / "pre-key-2.json").unlink()
    with bot_host.unchanged(database):
        check = good(bot_host.state(check=True))
    same(check, good(bot_host.state()))
    with bot_host.unchanged(database):
        check = good(bot_host.state(check=True))
    same(check, good(bot_host.state()))


def test_diff_counts_by_type_and_shows_no_number(bot_host: BotHost) -> None:
    answer = good(bot_host.state())
    after = answer["diff"]["after"].splitlines()
    assert f"company {COMPANY} pre-key: 10 in the database" in after
    assert f"company {COMPANY} pre-key: 0 in the database" in answer["diff"]["before"].splitlines()
    text = json.dumps(answer)
    for name in bot_host.values():
        for word in name.removesuffix(".json").replace("_", "-").replace("@", "-").split("-"):
            assert not (word.isdigit() and len(word) > 6 and word in text), word


def test_output_holds_no_secret(bot_host: BotHost, postgresql: Server) -> None:
    text = json.dumps([bot_host.state(), bot_host.state(), bot_host.info(), bot_host.backup()])
    assert postgresql.password not in text
    for name, value in bot_host.values().items():
        for secret in base64_strings(value):
            assert secret not in text, name


def base64_strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for each in value.values() for found in base64_strings(each)]
    if isinstance(value, list):
        return [found for each in value for found in base64_strings(each)]
    return [value] if isinstance(value, str) and len(value) >= 16 and value.endswith("=") else []


# The TTL rule


def mapping(host: BotHost, number: str, lid: str, age_days: float) -> None:
    host.write(f"lid-mapping-{number}", lid, age_days)
    host.write(f"lid-mapping-{lid}_reverse", number, age_days)


def expiries(database: TestDatabase) -> dict[str, float | None]:
    return dict(
        database.run(
            "SELECT key_id, extract(epoch FROM expires_at)::float8 FROM whatsapp_keys WHERE key_type = 'lid-mapping'"
        )
    )


def test_ttl_seven_days_by_mtime_pairs_together(bot_host: BotHost, database: TestDatabase) -> None:
    mapping(bot_host, "79110000001", "555000000000001", 6.9)
    mapping(bot_host, "79110000002", "555000000000002", 7.1)
    bot_host.write("lid-mapping-79110000003", "555000000000003", 8)  # half of it old, half of it young:
    bot_host.write("lid-mapping-555000000000003_reverse", "79110000003", 1)
    good(bot_host.state())
    found = expiries(database)
    young = (bot_host.folder / "lid-mapping-79110000001.json").stat().st_mtime + TTL
    assert found["79110000001"] == pytest.approx(young, abs=0.01)
    assert found["555000000000001_reverse"] == pytest.approx(young, abs=1)
    assert "79110000002" not in found
    assert "555000000000002_reverse" not in found
    assert found["79110000003"] == found["555000000000003_reverse"] == pytest.approx(time.time() + 6 * DAY, abs=60)
    # A user with a session: for ever.
    assert {found[key] for key in found if key.startswith("7900")} == {None}
    assert len([key for key in found if key.startswith("7900")]) == 4


def test_only_lid_mappings_expire(bot_host: BotHost, database: TestDatabase) -> None:
    for path in bot_host.folder.iterdir():
        os.utime(path, (0, 0))
    good(bot_host.state())
    assert database.run("SELECT DISTINCT key_type FROM whatsapp_keys WHERE expires_at IS NOT NULL") == []
    assert database.count() > 40


def test_ttl_zero_keeps_all_for_ever(bot_host: BotHost, database: TestDatabase) -> None:
    answer = good(bot_host.state(lid_mapping_ttl_days=0))
    assert total(answer, "left_out") == 0
    assert len(database.rows()) == len(bot_host.contents())
    assert set(expiries(database).values()) == {None}


def test_a_mapping_that_ages_later_is_no_change(bot_host: BotHost, database: TestDatabase) -> None:
    mapping(bot_host, "79110000009", "555000000000009", 6.9)
    good(bot_host.state())
    with bot_host.unchanged(database):
        answer = good(bot_host.state(lid_mapping_ttl_days=6.5))
    assert answer["changed"] is False
    # The app's cleanup deletes it: still no change, and no conflict.
    database.run("DELETE FROM whatsapp_keys WHERE key_id LIKE '%000000009%' AND key_type = 'lid-mapping'")
    answer = good(bot_host.state(lid_mapping_ttl_days=6.5))
    assert answer["changed"] is False


def test_mapping_left_out_moves_when_its_user_gets_a_session(bot_host: BotHost, database: TestDatabase) -> None:
    mapping(bot_host, "79110000007", "555000000000007", 30)
    good(bot_host.state())
    assert "79110000007" not in expiries(database)
    bot_host.write("session-555000000000007_1.0", {"version": "v1"})
    answer = good(bot_host.state())
    assert answer["companies"][COMPANY]["actions"]["lid-mapping"]["added"] == 2
    found = expiries(database)
    assert found["79110000007"] is None
    assert found["555000000000007_reverse"] is None
    assert good(bot_host.state())["changed"] is False


def test_mapping_with_an_expiry_lives_on_when_its_user_gets_a_session(
    bot_host: BotHost, database: TestDatabase
) -> None:
    mapping(bot_host, "79110000008", "555000000000008", 3)
    time.sleep(0.15)
    good(bot_host.state())
    assert expiries(database)["79110000008"] is not None
    bot_host.write("session-79110000008.0", {"version": "v1"})
    answer = good(bot_host.state())
    assert answer["companies"][COMPANY]["actions"]["lid-mapping"]["changed"] == 2
    assert expiries(database)["79110000008"] is None
    assert expiries(database)["555000000000008_reverse"] is None
    assert good(bot_host.state())["changed"] is False


def test_a_ttl_that_somebody_put_on_other_keys_is_taken_off(bot_host: BotHost, database: TestDatabase) -> None:
    time.sleep(0.15)
    good(bot_host.state())
    database.run("UPDATE whatsapp_keys SET expires_at = now() + interval '1 day' WHERE key_type = 'pre-key'")
    answer = good(bot_host.state())
    assert answer["companies"][COMPANY]["actions"]["pre-key"]["changed"] == 10
    assert database.run("SELECT count(*) FROM whatsapp_keys WHERE expires_at IS NOT NULL AND key_type = 'pre-key'") == [
        (0,)
    ]
    assert good(bot_host.state())["changed"] is False


@pytest.mark.parametrize("change", ["nothing", "session", "ttl", "age", "row"])
def test_the_last_copy_judges_anew_what_has_changed_since_the_pre_copy(
    bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """And nothing else: the app is stopped meanwhile."""
    judged: list[int] = []
    judge = lid_mapping.judge
    monkeypatch.setattr(lid_mapping, "judge", lambda *given: judged.append(1) or judge(*given))
    mapping(bot_host, "79110000007", "555000000000007", 30)
    time.sleep(0.2)  # what was written just now is read again
    good(bot_host.state())
    rows, options = len(database.rows()), {}
    if change == "session":
        bot_host.write("session-555000000000007_1.0", {"version": "v1"})
    elif change == "ttl":
        options = {"lid_mapping_ttl_days": 0}
    elif change == "age":
        mapping(bot_host, "79110000007", "555000000000007", 1)
    elif change == "row":
        database.run(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)"
            f" VALUES ('{COMPANY}', 'lid-mapping', '79110000007', '\"555000000000007\"')"
        )
    good(bot_host.state(authority="move", **options))
    assert len(judged) == (1 if change == "nothing" else 2)
    found = expiries(database)
    if change in ("nothing", "row"):
        assert "555000000000007_reverse" not in found
        assert len(database.rows()) == rows + (change == "row")
    elif change == "age":
        assert found["79110000007"] == pytest.approx(time.time() + 6 * DAY, abs=60)
    else:
        assert (found["79110000007"], found["555000000000007_reverse"]) == (None, None)


def test_the_last_copy_judges_by_the_time_of_the_pre_copy(bot_host: BotHost, database: TestDatabase) -> None:
    """One "now" per rollout: a mapping that passes its seventh day between the two copies is treated alike by both."""
    mapping(bot_host, "79110000006", "555000000000006", 7 - 1.2 / DAY)
    good(bot_host.state())
    assert "79110000006" in expiries(database)
    time.sleep(1.3)
    assert good(bot_host.state(authority="move"))["changed"] is False
    database.run("SELECT cleanup_expired_whatsapp_keys()")
    assert "79110000006" not in expiries(database)
    assert total(good(bot_host.state(authority="move")), "added") == 2
    assert "79110000006" in expiries(database)


# Several companies in one call


def test_many_companies_one_bad(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1001", number="79990000002")
    bot_host.make(60, "1002", number="79990000003")
    (bot_host.company("1001") / "creds.json").write_text('{"noiseKey":')
    bot_host.company_ids = [COMPANY, "company_1001", "1002"]
    answer = bot_host.state()
    assert codes(answer) == ["torn"]
    assert "company_1001" in answer["problems"][0]["where"]
    assert set(answer["companies"]) == {COMPANY, "1002"}
    assert answer["changed"] is True
    assert {company for (company,) in database.run("SELECT company_id FROM whatsapp_auth")} == {COMPANY, "1002"}


def test_a_disk_error_of_one_company_does_not_stop_the_others(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1002", number="79990000003")
    manifests = bot_host.state_dir / "manifests"
    (manifests / f"company_{COMPANY}.json.next").mkdir(parents=True)
    (manifests / f"company_{COMPANY}.json.next" / "in the way").touch()
    bot_host.company_ids = [COMPANY, "1002"]
    answer = bot_host.state()
    assert codes(answer) == ["disk"]
    assert set(answer["companies"]) == {"1002"}
    assert database.run("SELECT company_id FROM whatsapp_auth") == [("1002",)]


def test_all_companies_found_but_the_excluded(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.make(60, "1001", number="79990000002")
    bot_host.make(60, "1002", number="79990000003")
    bot_host.company_ids = []
    good(bot_host.state(excluded=["company_1001"]))
    assert database.run("SELECT company_id FROM whatsapp_auth ORDER BY 1") == [("1002",), (COMPANY,)]


@pytest.mark.parametrize("check", [True, False])
def test_one_account_under_two_companies(bot_host: BotHost, database: TestDatabase, check: bool) -> None:
    bot_host.make(60, "1001")  # the same number
    bot_host.company_ids = [COMPANY, "1001"]
    answer = bot_host.state(check=check)
    assert codes(answer) == ["login_twice"]
    assert set(answer["companies"]) == {COMPANY}


def test_two_spellings_of_one_company(bot_host: BotHost, database: TestDatabase) -> None:
    with bot_host.unchanged(database):
        answer = bot_host.state(company_ids=[COMPANY, f"company_{COMPANY}"])
        assert codes(answer) == ["company_twice"]
    database.run("INSERT INTO whatsapp_auth (company_id, creds) VALUES (%s, '{}')", f"company_{COMPANY}")
    with bot_host.unchanged(database):
        assert codes(bot_host.state()) == ["login_twice"]


@pytest.mark.parametrize("company", ["../x", "a/b", "", ".", "-rf", "company_company_1", "1 2", "x" * 65, "1\n2"])
def test_hostile_company_ids(bot_host: BotHost, database: TestDatabase, company: str) -> None:
    with bot_host.unchanged(database):
        assert codes(bot_host.state(company_ids=[company])) == ["company_id"]


# Key types


def test_unknown_files_are_named_and_an_option_names_their_type(bot_host: BotHost, database: TestDatabase) -> None:
    bot_host.write("new-thing-a/b:c", {"x": 1})
    bot_host.write("new-thing-2", "text")
    (bot_host.folder / "README").touch()
    with bot_host.unchanged(database):
        answer = bot_host.state()
        assert codes(answer) == ["unknown_files"]
        for name in ("new-thing-a__b-c.json", "new-thing-2.json", "README"):
            assert name in answer["msg"]
        answer = bot_host.state(key_types=["new-thing"])
        assert codes(answer) == ["unknown_files"]
        assert "README" in answer["msg"]
        assert "new-thing-2" not in answer["msg"]
    (bot_host.folder / "README").unlink()
    good(bot_host.state(key_types=["new-thing"]))
    rows = database.rows()
    assert rows["new-thing", "2"] == '"text"'
    assert rows["new-thing", "a__b-c"] == '{"x": 1}'


@pytest.mark.parametrize("name", ["Upper", "a b", "../x", "creds", "", "a--b", "-a"])
def test_key_types_that_are_none(bot_host: BotHost, name: str) -> None:
    assert codes(bot_host.state(key_types=[name])) == ["key_types"]


# Everything wrong at once


def test_every_bad_file_is_named_at_once(bot_host: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    folder = bot_host.folder
    (folder / "unknown.json").write_text("{}")
    (folder / "pre-key-20.json").symlink_to(tmp_path / "elsewhere")
    (folder / "pre-key-21.json").mkdir()
    os.mkfifo(folder / "pre-key-22.json")
    (folder / "pre-key-23.json").write_text('{"public":')
    (folder / "pre-key-24.json").write_text("")
    (folder / "pre-key-25.json").write_bytes(bytes(300))
    (folder / "pre-key-26.json").write_text('{"a":"\\u0000"}')
    (folder / "pre-key-27.json").write_text('{"a":"\\ud83d"}')
    (folder / "pre-key-28.json").write_text('{"a":9007199254740993}')
    (folder / "pre-key-29.json").write_text('"text"')
    (folder / "lid-mapping-79110000001.json").write_text("102765716062358")
    (folder / os.fsdecode(b"pre-key-\xff.json")).write_text("{}")
    (folder / "pre-key-3\x1b.json").write_text("{}")
    (folder / "creds.json").unlink()
    for name in ("pre-key-1.json.tmp", "creds.json.bak", ".DS_Store", "creds.backup.json"):
        (folder / name).write_text("left over")
    with bot_host.unchanged(database):
        answer = bot_host.state()
    found = codes(answer)
    assert found.count("creds_missing") == 1
    assert found.count("unknown_files") == 1
    assert found.count("foreign") == 5
    assert found.count("torn") == 3
    assert found.count("value_refused") == 5
    text = json.dumps(answer["problems"])
    for number in range(20, 30):
        assert f"pre-key-{number}.json" in text
    assert "left over" not in text
    assert "DS_Store" not in text
    assert "79110000001" not in json.dumps(answer)


PUBLIC = '"signedIdentityKey":{"public":{"data":%s}}'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "creds_missing"),
        ("", "torn"),
        ('{"noiseKey":{"private":', "torn"),
        ("\0" * 200, "torn"),
        ("{}", "creds_foreign"),
        ("[]", "value_refused"),
        ('"creds"', "value_refused"),
        ('{"registrationId":"7",' + PUBLIC % '"AA=="' + "}", "creds_foreign"),
        ('{"registrationId":7,' + PUBLIC % '{"a":1}' + "}", "creds_foreign"),
        ('{"registrationId":7,"signedIdentityKey":[]}', "creds_foreign"),
    ],
)
def test_bad_creds(bot_host: BotHost, database: TestDatabase, text: str | None, code: str) -> None:
    path = bot_host.folder / "creds.json"
    path.unlink() if text is None else path.write_text(text)
    with bot_host.unchanged(database):
        assert code in codes(bot_host.state())


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 5, True])
def test_creds_of_strange_types_end_in_a_named_error_or_move(bot_host: BotHost, value: Any) -> None:
    creds = bot_host.values()["creds.json"]
    bot_host.write("creds", {**creds, "me": {"id": value}, "nextPreKeyId": value, "myAppStateKeyId": value})
    answer = bot_host.state()
    assert codes(answer) == ["inconsistent"]
    bot_host.write("creds", {**creds, "me": {"id": value}, "nextPreKeyId": value})
    good(bot_host.state())
    good(bot_host.info())


def test_missing_app_state_key_is_an_error(bot_host: BotHost, database: TestDatabase) -> None:
    (bot_host.folder / "app-state-sync-key-AAA__AK+__.json").unlink()
    with bot_host.unchanged(database):
        assert codes(bot_host.state()) == ["inconsistent"]


def test_warnings_for_what_baileys_tolerates(bot_host: BotHost) -> None:
    (bot_host.folder / "pre-key-10.json").unlink()
    next(bot_host.folder.glob("lid-mapping-7900*")).unlink()
    next(bot_host.folder.glob("tctoken-10*")).unlink()
    text = json.dumps(good(bot_host.state())["warnings"])
    assert "the newest pre-key" in text
    assert "1 of " in text
    assert "tctoken" in text
    time.sleep(0.12)
    good(bot_host.state())
    assert "tctoken" in json.dumps(good(bot_host.state())["warnings"])  # also when no file was read for its value
    findings = " ".join(good(bot_host.info())["findings"])
    assert "the newest pre-key" in findings
    assert "tctoken" in findings


def test_folder_missing_or_foreign(bot_host: BotHost, database: TestDatabase, tmp_path: Path) -> None:
    assert codes(bot_host.state(company_ids=["404"])) == ["folder_missing"]
    bot_host.company("405").symlink_to(bot_host.folder)
    assert codes(bot_host.state(company_ids=["405"])) == ["folder_foreign"]
    bot_host.company("406").write_text("a file")
    assert codes(bot_host.state(company_ids=["406"])) == ["folder_foreign"]


def test_a_file_that_is_being_written_is_read_again(bot_host: BotHost, database: TestDatabase) -> None:
    """Half a file, whole 0.1 s later: what Baileys' writing in place looks like."""
    import threading

    path = bot_host.folder / "session-102765710000001_1.1.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    timer = threading.Timer(0.12, path.write_text, [whole])
    timer.start()
    try:
        good(bot_host.state())
    finally:
        timer.join()
    assert json.loads(database.rows()["session", "102765710000001_1.1"]) == json.loads(whole)


def test_a_file_that_goes_away_while_the_folder_is_listed(
    bot_host: BotHost, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Baileys deletes a pre-key that was used: it is listed, and gone when it is looked at."""
    victim = bot_host.folder / "pre-key-3.json"
    original = os.scandir

    class Vanishing:
        def __init__(self, real: Any) -> None:
            self.real = real

        def __enter__(self) -> Any:
            entries = list(self.real.__enter__())
            victim.unlink(missing_ok=True)
            return iter(entries)

        def __exit__(self, *error: Any) -> None:
            self.real.__exit__(*error)

    from ansible.module_utils.baileys_auth import folder

    class Os:
        scandir = staticmethod(lambda where: Vanishing(original(where)))

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

    monkeypatch.setattr(folder, "os", Os())
    good(bot_host.state())
    assert ("pre-key", "3") not in database.rows()


def test_times_that_no_calendar_has(bot_host: BotHost, database: TestDatabase) -> None:
    """A mtime in the far future does not end in a traceback."""
    mapping(bot_host, "79110000005", "555000000000005", 1)
    for name in ("lid-mapping-79110000005.json", "lid-mapping-555000000000005_reverse.json"):
        os.utime(bot_host.folder / name, (time.time() + 1e11, time.time() + 1e11))
    good(bot_host.state())
    assert "79110000005" in expiries(database)


@pytest.mark.parametrize("days", [-1, float("nan"), 1e9])
def test_senseless_ttl(bot_host: BotHost, database: TestDatabase, days: float) -> None:
    with bot_host.unchanged(database):
        assert codes(bot_host.state(lid_mapping_ttl_days=days)) == ["lid_mapping_ttl_days"]


def test_largest_login_of_types_is_what_auth_states_says() -> None:
    """The fixture itself: every key type of Baileys is in it."""
    from ansible.module_utils.baileys_auth.names import KEY_TYPES

    assert set(KEY_TYPES) - auth_states_types() == {"contacts-tc-token"}


def auth_states_types() -> set[str]:
    import tempfile

    from ansible.module_utils.baileys_auth.names import Names

    with tempfile.TemporaryDirectory() as folder:
        path = auth_states.make(Path(folder, "x"), 60)
        return {Names().parse(file.name).type for file in path.iterdir()} - {"creds"}
