"""What the repair finds wrong after its own change, while the bot goes on writing and removing right rows."""

from __future__ import annotations

import pytest
from ansible.module_utils.baileys_auth import repair
from ansible.module_utils.baileys_auth.database import Row
from ansible.module_utils.baileys_auth.errors import AuthStateError
from ansible.module_utils.baileys_auth.names import Key
from ansible.module_utils.baileys_auth.retype import Repair

WRONG, RIGHT, USED, STRANGE = Key("pre", "key-1"), Key("pre-key", "1"), Key("pre-key", "2"), Key("notes", "1")
FOUND = Repair(retyped={WRONG: (RIGHT, b"{}")}, left={STRANGE: "its type and id are no name of a Baileys file"})
BEFORE = {WRONG: b"a", USED: b"b", STRANGE: b"c"}
AFTER = {RIGHT: Row(b"a", None), USED: Row(b"b", None), STRANGE: Row(b"c", None)}


def verify(now: dict[Key, Row]) -> None:
    repair._verify("962302", FOUND, BEFORE, now)


def test_a_row_that_the_bot_has_used_up_or_written_meanwhile_is_no_fault() -> None:
    verify(AFTER)
    verify({key: row for key, row in AFTER.items() if key != USED})
    verify({**AFTER, RIGHT: Row(b"new", None), Key("session", "1.0"): Row(b"d", None)})


@pytest.mark.parametrize(
    "now",
    [
        {**AFTER, WRONG: Row(b"a", None)},
        {key: row for key, row in AFTER.items() if key != RIGHT},
        {key: row for key, row in AFTER.items() if key != STRANGE},
        {**AFTER, STRANGE: Row(b"other", None)},
    ],
    ids=["still misplaced", "right one lost", "left one lost", "left one changed"],
)
def test_what_the_repair_itself_may_not_come_to(now: dict[Key, Row]) -> None:
    with pytest.raises(AuthStateError, match="not as they should be"):
        verify(now)
