"""The pure rules: the TTL of lid-mappings, the three-way plan, which store is right, what a healthy login holds."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import socket
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth import consistency
from ansible.module_utils.baileys_auth.authority import (
    DATABASE,
    FILES,
    Authority,
    Record,
    StateFile,
    decide,
    latest,
    other,
)
from ansible.module_utils.baileys_auth.errors import AuthStateError
from ansible.module_utils.baileys_auth.identity import account, identity_digest
from ansible.module_utils.baileys_auth.lid_mapping import Learnt, Verdict, judge, session_users, unpaired
from ansible.module_utils.baileys_auth.names import Key
from ansible.module_utils.baileys_auth.plan import Plan, make_plan
from hypothesis import given
from hypothesis import strategies as st

DAY = 86_400
NOW = 1_763_780_400.0
TTL = 7.0 * DAY


# TTL


def learnt(partner: str, age: float) -> Learnt:
    return Learnt(partner, round((NOW - age) * 1e9))


@pytest.mark.parametrize(
    ("age", "aged"),
    [(0, False), (6.99 * DAY, False), (TTL - 0.001, False), (TTL, True), (TTL + 0.001, True), (400 * DAY, True)],
)
def test_seven_days_by_mtime(age: float, aged: bool) -> None:
    verdict = judge({"79": learnt("10", age)}, set(), NOW, TTL)["79"]
    assert verdict.aged is aged
    assert verdict.expires_at == pytest.approx(NOW - age + TTL)


def test_ttl_zero_is_for_ever() -> None:
    assert judge({"79": learnt("10", 4000 * DAY)}, set(), NOW, 0) == {"79": Verdict(aged=False, expires_at=None)}


def test_a_pair_shares_the_younger_time() -> None:
    verdicts = judge({"79": learnt("10", 8 * DAY), "10_reverse": learnt("79", 1 * DAY)}, set(), NOW, TTL)
    assert verdicts["79"] == verdicts["10_reverse"] == Verdict(aged=False, expires_at=NOW + 6 * DAY)


def test_halves_that_name_somebody_else_are_judged_alone() -> None:
    mappings = {"79": learnt("10", 8 * DAY), "10_reverse": learnt("80", 1 * DAY)}
    verdicts = judge(mappings, set(), NOW, TTL)
    assert verdicts["79"].aged
    assert not verdicts["10_reverse"].aged


@pytest.mark.parametrize("session", ["79.0", "10_1.0", "10_128.99", "79_129.99", "10.5"])
def test_who_has_a_session_keeps_both_halves_for_ever(session: str) -> None:
    users = session_users([Key("session", session)])
    mappings = {"79": learnt("10", 100 * DAY), "10_reverse": learnt("79", 100 * DAY), "81": learnt("11", 100 * DAY)}
    verdicts = judge(mappings, users, NOW, TTL)
    assert verdicts["79"] == verdicts["10_reverse"] == Verdict(aged=False, expires_at=None)
    assert verdicts["81"].aged


def test_session_users_come_from_sessions_alone() -> None:
    keys = [Key("session", "79.0"), Key("identity-key", "80.0"), Key("pre-key", "81"), Key("session", "10_1.37")]
    assert session_users(keys) == {"79", "10"}


@given(
    st.dictionaries(
        st.integers(1, 6).map(str), st.tuples(st.integers(11, 16).map(str), st.integers(0, 20)), min_size=1
    ),
    st.sets(st.sampled_from(["1", "2", "11", "12"])),
)
def test_both_halves_get_the_same_verdict(pairs: dict[str, tuple[str, int]], users: set[str]) -> None:
    lids = [lid for lid, _ in pairs.values()]
    mappings = {pn: learnt(lid, days * DAY) for pn, (lid, days) in pairs.items()}
    reverse = {
        f"{lid}_reverse": learnt(pn, (days + 3) % 9 * DAY) for pn, (lid, days) in pairs.items() if lids.count(lid) == 1
    }
    verdicts = judge({**mappings, **reverse}, users, NOW, TTL)
    assert verdicts.keys() == {**mappings, **reverse}.keys()
    for pn, (lid, _) in pairs.items():
        if f"{lid}_reverse" in reverse:
            assert verdicts[pn] == verdicts[f"{lid}_reverse"]
        if pn in users or lid in users:
            assert verdicts[pn] == Verdict(aged=False, expires_at=None)


def test_unpaired() -> None:
    assert unpaired({"79": "10", "10_reverse": "79"}) == []
    assert unpaired({"79": "10"}) == ["79"]
    assert unpaired({"10_reverse": "79"}) == ["10_reverse"]
    assert unpaired({"79": "10", "10_reverse": "80"}) == ["10_reverse", "79"]


# The plan: every combination of what the source, the destination and the base hold of one key

KEY = Key("session", "79.0")
OTHER = Key("pre-key", "1")


def one(value: str | None) -> dict[Key, bytes]:
    return {} if value is None else {KEY: value.encode()}


@pytest.mark.parametrize(
    ("source", "destination", "base", "action", "conflict"),
    [
        # no base: what the destination holds, and the source not, is nobody's
        (None, None, None, None, False),
        ("A", None, None, "added", False),
        ("A", "A", None, "unchanged", False),
        ("A", "B", None, "changed", True),
        (None, "B", None, "removed", True),
        # a base that does not know the key
        (None, None, "-", None, False),
        ("A", None, "-", "added", False),
        ("A", "A", "-", "unchanged", False),
        ("A", "B", "-", "changed", True),
        (None, "B", "-", "removed", True),
        # a base that does
        (None, None, "A", None, False),
        ("A", None, "A", "added", True),  # deleted there by somebody
        ("A", "A", "A", "unchanged", False),
        ("A", "B", "A", "changed", True),  # only the destination changed, and the source is right
        ("B", "A", "A", "changed", False),  # only the source changed: it wins
        ("B", "B", "A", "unchanged", False),  # both, to the same
        ("B", "C", "A", "changed", True),  # both, apart
        ("B", None, "A", "added", True),
        (None, "A", "A", "removed", False),  # deleted in the source
        (None, "B", "A", "removed", True),
    ],
)
def test_three_way_table(source: str, destination: str, base: str, action: str | None, conflict: bool) -> None:
    known = None if base is None else {} if base == "-" else one(base)
    plan = make_plan(one(source), one(destination), known)
    groups = {name: getattr(plan, name) for name in ("added", "changed", "removed", "unchanged")}
    assert groups == {name: {KEY} if name == action else set() for name in groups}
    assert plan.conflicts == ({KEY} if conflict else set())
    assert plan.changes is (action in ("added", "changed", "removed"))


def test_the_table_is_every_combination() -> None:
    """Values up to renaming: the source and the destination against the base."""
    rows = test_three_way_table.pytestmark[0].args[1]
    assert len({row[:3] for row in rows}) == len(rows) == 5 + 5 + 10


@pytest.mark.parametrize("destination", [None, "A", "B"])
def test_what_is_left_out_stays_as_it_is(destination: str | None) -> None:
    plan = make_plan({}, one(destination), None, left_out={KEY})
    assert plan == Plan(left_out={KEY})


def test_what_the_ttl_removed_is_not_missed() -> None:
    plan = make_plan(one("A"), {}, one("A"), not_missed={KEY})
    assert (plan.added, plan.conflicts) == ({KEY}, set())
    plan = make_plan(one("A"), one("B"), one("A"), not_missed={KEY})
    assert plan.conflicts == {KEY}


stores = st.dictionaries(st.builds(Key, st.sampled_from(["a", "b"]), st.sampled_from("123")), st.binary(max_size=1))


@given(stores, stores, st.none() | stores)
def test_a_plan_leads_to_the_source(
    source: dict[Key, bytes], destination: dict[Key, bytes], base: dict[Key, bytes] | None
) -> None:
    plan = make_plan(source, destination, base)
    after = {key: value for key, value in destination.items() if key not in plan.removed}
    after.update({key: source[key] for key in plan.added | plan.changed})
    assert after == source
    groups = [plan.added, plan.changed, plan.removed, plan.unchanged]
    assert sum(map(len, groups)) == len(set().union(*groups)) == len(source.keys() | destination.keys())
    assert plan.conflicts <= plan.added | plan.changed | plan.removed
    assert plan.changes == (source != destination)
    # Done again, there is nothing to do.
    assert not make_plan(source, after, source).changes
    # The destination as the last transfer left it is in nobody's way.
    assert not make_plan(source, destination, destination).conflicts


def test_counts_by_type() -> None:
    plan = Plan(added={KEY, Key("session", "80.0")}, removed={OTHER}, left_out={Key("lid-mapping", "1")})
    nothing = dict.fromkeys(("added", "changed", "removed", "unchanged", "left_out"), 0)
    assert plan.by_type() == {
        "lid-mapping": {**nothing, "left_out": 1},
        "pre-key": {**nothing, "removed": 1},
        "session": {**nothing, "added": 2},
    }


# Authority: every combination of the record, the flag, what is there, and whose host it is


def verdict(record: Record | None, flag: str, folder: bool, row: bool, host: str, choice: str | None) -> str:
    try:
        found = decide(record, flag, folder_exists=folder, row_exists=row, host=host, where="company 1", choice=choice)
    except AuthStateError as error:
        return error.problems[0].code
    assert found.evidence
    assert found.record == record
    return found.store


def expected(record: Record | None, flag: str, folder: bool, row: bool, host: str, choice: str | None) -> str:
    """The design's sentences, one by one."""
    if record is None:
        if flag == FILES:
            return FILES
        if row:
            return DATABASE
        return "flag_without_login" if folder and choice != FILES else FILES
    if record.host != host:
        return "owned_elsewhere"
    if record.moving_to is not None:
        return flag
    if record.store == flag:
        return flag
    return choice or "flag_against_record"


RECORDS = [
    None,
    *(Record(store, to, "here", "2026-11-22") for store in (FILES, DATABASE) for to in (None, FILES, DATABASE)),
]


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_decide(record: Record | None) -> None:
    for rest in itertools.product(
        (FILES, DATABASE), (False, True), (False, True), ("here", "there"), (None, FILES, DATABASE)
    ):
        assert verdict(record, *rest) == expected(record, *rest), rest


@pytest.mark.parametrize("record", RECORDS[1:], ids=str)
def test_a_record_of_its_own_is_not_another_hosts_after_a_new_name(record: Record) -> None:
    for flag, folder, row in itertools.product((FILES, DATABASE), (False, True), (False, True)):
        facts = {"folder_exists": folder, "row_exists": row, "where": "company 1", "choice": DATABASE}
        renamed = decide(record, flag, host="renamed", ours=True, **facts)
        assert renamed == decide(record, flag, host="here", **facts)
        assert renamed.moved(None, "renamed", "t").host == "renamed"


def test_the_state_file_knows_what_it_wrote_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, record = StateFile(tmp_path / "here"), Record(FILES, None, "here", "t")
    state.write("1", record)
    assert state.wrote("1", record)
    assert not state.wrote("1", Record(FILES, None, "here", "t", 2))
    assert not state.wrote("2", record)
    assert not state.wrote("1", None)
    monkeypatch.setattr(socket, "gethostname", lambda: "clone")
    assert not state.wrote("1", record)
    monkeypatch.undo()
    shutil.copytree(tmp_path / "here", tmp_path / "copy")  # as a server's copy brings it along
    assert StateFile(tmp_path / "copy").record("1") == record
    assert not StateFile(tmp_path / "copy").wrote("1", record)


def test_the_later_record_is_the_higher_revision() -> None:
    old, new = Record(FILES, None, "a", "t", 3), Record(DATABASE, None, "a", "t", 4)
    assert latest(old, new) is new
    assert latest(new, old) is new
    assert latest(None, old) is old
    assert latest(None, None) is None


def test_the_next_record() -> None:
    first = Authority(FILES, "the flag is off").moved(DATABASE, "here", "t1")
    assert first == Record(FILES, DATABASE, "here", "t1", 1)
    settled = Authority(DATABASE, "the flag", first).moved(None, "here", "t2")
    assert settled == Record(DATABASE, None, "here", "t2", 2)
    again = Authority(DATABASE, "the record", settled).moved(FILES, "here", "t3")
    assert again == Record(DATABASE, FILES, "here", "t2", 3)  # since when it has held the login
    assert other(FILES) == DATABASE
    assert other(DATABASE) == FILES


# A healthy login


def test_a_missing_app_state_key_is_an_error() -> None:
    assert consistency.errors({"myAppStateKeyId": "AAAA"}, {Key("app-state-sync-key", "AAAA")}) == []
    assert consistency.errors({}, set()) == []
    assert consistency.errors({"myAppStateKeyId": None}, set()) == []
    assert len(consistency.errors({"myAppStateKeyId": "AAAA"}, {Key("app-state-sync-key", "BBBB")})) == 1


def index(jids: object) -> dict:
    return {"token": {"type": "Buffer", "data": base64.b64encode(json.dumps(jids).encode()).decode()}}


def test_warnings() -> None:
    keys = {Key("pre-key", "10"), Key("tctoken", "1@lid")}
    assert consistency.warnings({"nextPreKeyId": 11}, keys, {"1": "2", "2_reverse": "1"}, index(["1@lid"])) == []
    found = consistency.warnings({"nextPreKeyId": 12}, keys, {"1": "2"}, index(["1@lid", "2@lid"]))
    assert ["pre-key" in found[0], "1 of 1" in found[1], "1 jid" in found[2], len(found)] == [True, True, True, 3]


@pytest.mark.parametrize("number", [None, 0, 1, "12", [1], True])
def test_a_next_pre_key_that_says_nothing(number: object) -> None:
    assert consistency.warnings({"nextPreKeyId": number}, set(), {}, None) == []


@pytest.mark.parametrize(
    "broken", [None, {}, [], "x", {"token": None}, {"token": {"data": "%%%"}}, index(5), index({"a": 1}), index([1])]
)
def test_a_broken_index_is_read_as_an_empty_one(broken: object) -> None:
    assert consistency.missing_tc_tokens(broken, set()) == 0


# Identity

CREDS = {"registrationId": 7, "signedIdentityKey": {"public": {"type": "Buffer", "data": "AQID"}}, "me": {"id": "x"}}


def test_identity_is_what_the_bot_computes() -> None:
    """The digest that the stand-in bot's own test holds for the same creds."""
    assert identity_digest(CREDS) == "55d0c4e566ff1f501b5e565f8319433c5e571e085e74691e0d3acd84dbcda050"


def test_identity_changes_with_each_part_and_with_nothing_else() -> None:
    digests = {
        identity_digest({**CREDS, **change})
        for change in (
            {},
            {"registrationId": 8},
            {"signedIdentityKey": {"public": {"type": "Buffer", "data": "AQIE"}}},
            {"me": {"id": "y"}},
            {"me": None},
        )
    }
    assert len(digests) == 5
    assert identity_digest({**CREDS, "nextPreKeyId": 5, "me": {"id": "x", "name": "n"}}) == identity_digest(CREDS)


@pytest.mark.parametrize(
    "change",
    [
        {"registrationId": None},
        {"registrationId": "7"},
        {"signedIdentityKey": None},
        {"signedIdentityKey": {"public": {"data": ""}}},
        {"signedIdentityKey": {"public": [1]}},
        {"signedIdentityKey": {"public": {"data": [1]}}},
    ],
)
def test_no_identity(change: dict) -> None:
    with pytest.raises(ValueError, match="registrationId"):
        identity_digest({**CREDS, **change})


@pytest.mark.parametrize("me", [None, {}, [], "x", {"id": None}, {"id": 5}, {"id": ["x"]}])
def test_no_account(me: object) -> None:
    assert account({"me": me}) is None
