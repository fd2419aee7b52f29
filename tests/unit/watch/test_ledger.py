"""The ledger: what is done to it is found, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import ledgers
import pytest
from ansible.module_utils.watch import ledger
from ansible.module_utils.watch.ledger import Anchor
from hypothesis import given
from hypothesis import strategies as some

BEGIN = datetime(2026, 11, 24, 22, 0, tzinfo=timezone.utc)
SINCE = {"962302": BEGIN.isoformat()}
ENTRIES = [ledgers.entry(BEGIN + timedelta(hours=2 * number), SINCE) for number in range(6)]
TEXT = ledgers.text(ENTRIES)
LINES = TEXT.splitlines()
ANCHOR = Anchor(len(LINES), ledger.digest(LINES[-1]))


def faults(text: str, anchor: Anchor | None = ANCHOR, key: bytes = ledgers.KEY, host: str = ledgers.HOST) -> list[str]:
    return [problem.code for problem in ledger.read(text, key, host, anchor, "here").faults]


def joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_a_ledger_as_it_was_written_is_whole() -> None:
    chain = ledger.read(TEXT, ledgers.KEY, ledgers.HOST, ANCHOR, "here")
    assert chain.faults == []
    assert [entry["at"] for entry in chain.entries] == [entry["at"] for entry in ENTRIES]
    assert (chain.count, chain.last, chain.keep) == (6, ANCHOR.last, len(TEXT))


def forged() -> str:
    """An entry by somebody who knows everything but the key."""
    chain = ledger.Chain(last=ledger.digest(LINES[-1]), count=len(LINES))
    return ledger.seal(ledgers.entry(BEGIN + timedelta(hours=20), SINCE), b"not the key", chain)


TAMPERED: dict[str, tuple[Callable[[], list[str]], str]] = {
    "a verdict edited": (lambda: [*LINES[:2], ledgers.changed(LINES[2], verdict="bad"), *LINES[3:]], "ledger_edited"),
    "a time edited": (lambda: [ledgers.changed(LINES[0], at="2026-11-17T22:00:00+00:00"), *LINES[1:]], "ledger_edited"),
    "the cut-over edited": (lambda: [ledgers.changed(line, cut_over={}) for line in LINES], "ledger_edited"),
    "the newest edited": (lambda: [*LINES[:-1], ledgers.changed(LINES[-1], clock="real ")], "ledger_edited"),
    "spaces added": (lambda: [LINES[0].replace(":", ": ", 1), *LINES[1:]], "ledger_edited"),
    "a field added": (lambda: [ledgers.changed(LINES[0], more=1), *LINES[1:]], "ledger_edited"),
    "the first removed": (lambda: LINES[1:], "ledger_chain"),
    "one in the middle removed": (lambda: LINES[:2] + LINES[3:], "ledger_chain"),
    "the newest removed": (lambda: LINES[:-1], "ledger_truncated"),
    "the newest three removed": (lambda: LINES[:-3], "ledger_truncated"),
    "all removed": (list, "ledger_truncated"),
    "two swapped": (lambda: [LINES[1], LINES[0], *LINES[2:]], "ledger_chain"),
    "one doubled": (lambda: [*LINES, LINES[-1]], "ledger_chain"),
    "one forged at the end": (lambda: [*LINES, forged()], "ledger_edited"),
    "the newest replaced by a forged one": (lambda: [*LINES[:-1], forged()], "ledger_edited"),
    "one replaced by an older genuine one": (lambda: [*LINES[:3], LINES[1], *LINES[4:]], "ledger_chain"),
    "rubbish at the end": (lambda: [*LINES, "{}"], "ledger_no_entry"),
    "an empty line": (lambda: [*LINES[:3], "", *LINES[3:]], "ledger_no_entry"),
}


@pytest.mark.parametrize(("lines", "code"), TAMPERED.values(), ids=list(TAMPERED))
def test_tampering_is_found(lines: Callable[[], list[str]], code: str) -> None:
    assert code in faults(joined(lines()))


@given(some.data())
def test_any_other_byte_is_found(data: some.DataObject) -> None:
    place = data.draw(some.integers(0, len(TEXT) - 1))
    byte = data.draw(some.characters(codec="ascii").filter(lambda char: char != TEXT[place]))
    assert faults(TEXT[:place] + byte + TEXT[place + 1 :])


@given(some.lists(some.integers(0, len(LINES) - 1), max_size=8))
def test_any_other_choice_of_lines_is_found(chosen: list[int]) -> None:
    """Removed, doubled, moved: whatever is left of genuine lines, only the whole in its order is the ledger."""
    assert bool(faults(joined([LINES[number] for number in chosen]))) == (chosen != list(range(len(LINES))))


def test_another_hosts_ledger_is_found() -> None:
    assert "ledger_of_another_host" in faults(TEXT, host="bot-2")


def test_another_key_fits_nothing() -> None:
    assert faults(TEXT, key=b"another") == ["ledger_edited"] * 6


def test_a_clock_that_was_set_back_is_found() -> None:
    back = ledgers.text([*ENTRIES[:2], ledgers.entry(BEGIN, SINCE)])
    assert faults(back, Anchor(3, ledger.digest(back.splitlines()[-1]))) == ["ledger_order"]


def test_without_an_anchor_only_the_newest_can_be_missed() -> None:
    """Documented: who loses the controller's folder cannot tell a truncated ledger from a shorter one."""
    assert faults(joined(LINES[:-1]), anchor=None) == []
    assert set(faults(joined(LINES[1:]), anchor=None)) == {"ledger_chain"}


# --- Writes that were cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1, 100, -1, None])
def test_a_write_that_was_cut_off_is_no_tampering(written: int | None) -> None:
    """The controller has sealed a line and does not know whether, or how much of it, has reached the disk."""
    pending = LINES[-1]
    anchor = Anchor(5, ledger.digest(LINES[-2]), pending)
    text = joined(LINES[:-1]) + (f"{pending}\n" if written is None else pending[:written])
    chain = ledger.read(text, ledgers.KEY, ledgers.HOST, anchor, "here")
    assert chain.faults == []
    assert len(chain.entries) == (6 if written is None else 5)
    assert chain.keep == len(text if written is None else joined(LINES[:-1]))


def test_half_a_line_of_somebody_elses_is_found() -> None:
    anchor = Anchor(6, ANCHOR.last, json.dumps({"sealed": True}))
    assert faults(TEXT + '{"forged', anchor)[0] == "ledger_no_entry"
