"""What is masked, and what has to stay readable."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from ansible.module_utils.node_host.mask import mask, mask_number, mask_secrets, mask_value
from hypothesis import example, given
from hypothesis import strategies as st

KEY = base64.b64encode(bytes(range(7, 250, 7))[:32]).decode()
assert len(KEY) == 44

MASKED = [
    ("79686484488", "7968***4488"),
    ("session-79686484488.0.json", "session-7968***4488.0.json"),
    ("session-102765716062358_1.37.json", "session-1027***2358_1.37.json"),
    ("lid-mapping-102765716062358_reverse.json", "lid-mapping-1027***2358_reverse.json"),
    ("79686484488@s.whatsapp.net", "7968***4488@s.whatsapp.net"),
    ("79686484488:12@s.whatsapp.net", "7968***4488:12@s.whatsapp.net"),
    ("sender-key-120363041234567890@g.us--79001234567--0", "sender-key-1203***7890@g.us--7900***4567--0"),
    ("sender-key-79001234567-1612345678@g.us", "sender-key-7900***4567-161***678@g.us"),
    ("+7 (968) 648-44-88", "+7968***4488"),
    ("+7 968 648 44 88, then", "+7968***4488, then"),
    ("call 8 (968) 648-44-88", "call 8968***4488"),
    ("8-968-648-44-88", "8968***4488"),
    ("phone:89686484488 message", "phone:8968***4488 message"),
    ("+4915112345678", "+4915***5678"),
    ("1234567", "12***67"),
    ("company_79686484488", "company_7968***4488"),
    # Room for a phone number beside the letters: no short commit then.
    ("a79686484488", "a7968***4488"),
    ("79686484488a", "7968***4488a"),
    ("postgresql://bot:p%40ss@db.example:5432/bot?sslmode=require next", "postgresql://*** next"),
    ("postgres://db/bot", "postgres://***"),
    ("redis://:hunter2@localhost:6379/0", "redis://***"),
    ("https://me:hunter2@example.org/x", "https://***@example.org/x"),
    ("host=db password=hunter2 user=bot", "host=db password=*** user=bot"),
    ("'password': 'hunter2'", "'password': '***'"),
    ('"SUPABASE_KEY": "abc.def"', '"SUPABASE_KEY": "***"'),
    ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
    ("got eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl", "got <token>"),
    (f'{{"type":"Buffer","data":"{KEY}"}}', '{"type":"Buffer","data":"<base64 32 bytes>"}'),
    (f"key {KEY.rstrip('=')} end", "key <base64 32 bytes> end"),
    ("privKey: <Buffer 05 ab 1f 00>, x", "privKey: <bytes>, x"),
    ("<Buffer 05 ab 1f ... 12 more bytes>", "<bytes>"),
    ("[" + ", ".join(map(str, range(200, 232))) + "]", "<32 bytes>"),
    ("файл session-79686484488.0.json", "файл session-7968***4488.0.json"),
]

KEPT = [
    "Using database auth state for company 962302",
    "company_962302",
    "/opt/ai-admin/baileys_sessions/company_113578301: it is a login too. Add company 113578301 to company_ids",
    "2025-10-07T12:00:00.123456789Z something",
    "2025-10-07 12:00:00,123 [INFO] 337 files",
    "backup_20251007T120000Z.tar.gz",
    "backup_20251007120000",
    "baileys_sessions_final_backup_20251007.tar.gz",
    "http://127.0.0.1:3000/health",
    "pid 123456 port 65535",
    "sha256 " + "3f5a" * 16,
    "commit " + "0a1b2c3d4e" * 4,
    "4dae84383458",
    "0c6612345c63",
    "2ec96682-2347-4ee4-8329-191127557411",
    "/opt/ai-admin/node_modules/baileys/lib/Utils/use-multi-file-auth-state.js:42:13",
    "AAAAAK6J",
    "restart_time 3, uptime 5100 ms",
    "",
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("text", KEPT)
def test_kept(text: str) -> None:
    assert mask(text) == text


def test_known_secrets_are_replaced_wherever_they_are_the_longest_first() -> None:
    assert mask_secrets("a=hunter2&b=hunter2x", ["hunter2", "hunter2x", "", "a"]) == "a=***&b=***"
    assert mask("dsn hunter2", ["hunter2"]) == "dsn ***"


def test_structures_are_masked_with_their_keys() -> None:
    value = {"session-79686484488.0": ["79686484488", 5, None, True], "n": 79686484488}
    assert mask_value(value) == {"session-7968***4488.0": ["7968***4488", 5, None, True], "n": 79686484488}


@given(st.text(alphabet="0123456789", min_size=7, max_size=20))
def test_at_least_three_digits_are_hidden(digits: str) -> None:
    shown = mask_number(digits).replace("***", "")
    assert len(digits) - len(shown) >= 3
    assert mask_number(digits).startswith(digits[:2])


PHONES = st.from_regex(r"\A[1-9][0-9]{9,14}\Z").filter(lambda phone: len(phone) != 14 or phone[:2] != "20")
AROUND = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30)


@given(AROUND, PHONES, AROUND)
@example("sender-key-", "79686484488", "@g.us::79686484488::0")
@example("+", "79686484488", "")
@example("0.", "79686484488", "e5")
@example("a", "1000000000", "a")
@example("ab", "9686484488", "")
@example('{"jid":"', "79686484488", '@s.whatsapp.net"}')
def test_no_phone_number_survives(before: str, phone: str, after: str) -> None:
    """Whatever stands around it, but for more digits (which make it another number)."""
    before, after = re.sub(r"[0-9:,.TZ-]+\Z", " ", before), re.sub(r"\A[0-9]+", " ", after)
    assert phone not in mask(before + phone + after)


@given(st.binary(min_size=32, max_size=64), AROUND)
def test_no_key_survives(key: bytes, around: str) -> None:
    around = re.sub(r"[A-Za-z0-9+/=_-]+\Z", " ", around)
    text = base64.b64encode(key).decode()
    if len(set(text)) > 20:  # what a random key looks like
        assert text not in mask(around + json.dumps({"type": "Buffer", "data": text}))
        assert text not in mask(around + text)


@given(st.one_of(AROUND, st.lists(st.sampled_from([text for text, _ in MASKED] + KEPT), max_size=4).map(" ".join)))
def test_masking_twice_changes_nothing(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_two_numbers_side_by_side_are_both_masked() -> None:
    assert "648-44-88" not in mask("+7 (968) 648-44-88 8-968-648-44-88")


def test_a_long_line_takes_no_time() -> None:
    """No rule may need more than linear time: a log line can be a whole dump."""

    def cost(text: str) -> float:
        begin = time.process_time()
        mask(text)
        return time.process_time() - begin

    for piece in ("a-", "eyJ", "[1,", "password", "<Buffer 00", "+7 ", "x=", "7 ", "aA1", "postgres:", "2025-1"):
        # Four times the text: with a square in it, sixteen times the time.
        assert cost(piece * 40_000) < 8 * cost(piece * 10_000) + 0.5, piece
