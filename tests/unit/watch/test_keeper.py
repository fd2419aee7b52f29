"""The controller's key, anchor and clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import ledgers
import pytest
from ansible.module_utils.node_host.problems import HostError
from ansible.module_utils.watch import keeper, observe
from ansible.module_utils.watch.append import append
from ansible.module_utils.watch.keeper import Keeper

SINCE = {"962302": "2026-11-24T22:00:00+00:00"}
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
TEXT = ledgers.text([ledgers.entry(NOW, SINCE)])


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    key = Keeper(folder, "a").key(make=True)
    assert len(key) == 32
    assert Keeper(folder, "b").key(make=True) == key
    assert (folder.stat().st_mode & 0o777, (folder / "key").stat().st_mode & 0o777) == (0o700, 0o600)


def test_without_its_key_a_controller_checks_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="has no key"):
        Keeper(tmp_path, "a").read(TEXT)


def test_a_key_from_the_vault_is_written_nowhere(tmp_path: Path) -> None:
    hold = Keeper(tmp_path / "monitor", "bot-1", "a secret of the vault")
    line = hold.seal(ledgers.entry(NOW, SINCE), hold.read(""))
    hold.written(line)
    assert hold.read(f"{line}\n").faults == []
    assert not (tmp_path / "monitor" / "key").exists()
    assert "a secret" not in "".join(path.read_text() for path in (tmp_path / "monitor").iterdir())


def test_key_that_monitor_has_made_can_move_into_the_vault(tmp_path: Path) -> None:
    """As the remedy has it, where the pass runs on another controller."""
    made = Keeper(tmp_path / "monitor", "bot-1")
    line = made.seal(ledgers.entry(NOW, SINCE), made.read("", make=True))
    moved = Keeper(tmp_path / "elsewhere", "bot-1", (tmp_path / "monitor" / "key").read_text())
    assert moved.read(f"{line}\n").entries


def test_the_anchor_follows_what_is_written(tmp_path: Path) -> None:
    state = tmp_path / "app/.auth-state"
    hold = Keeper(tmp_path / "monitor", "bot-1")
    for number in range(3):
        text = (state / "ledger.jsonl").read_text() if number else ""
        chain = hold.read(text, make=number == 0)
        assert chain.faults == []
        line = hold.seal(ledgers.entry(NOW + timedelta(hours=number), SINCE), chain)
        append(state, line, chain.size, chain.keep, renew=False)
        hold.written(line)
    assert (state / "ledger.jsonl").stat().st_mode & 0o777 == 0o600
    lines = (state / "ledger.jsonl").read_text().splitlines(keepends=True)
    assert [each.code for each in hold.read("".join(lines[:2])).faults] == ["ledger_truncated"]
    assert [each.code for each in hold.read("").faults] == ["ledger_truncated"]


def test_two_passes_at_once_do_not_write_over_each_other(tmp_path: Path) -> None:
    hold = Keeper(tmp_path / "monitor", "bot-1")
    first, second = (hold.seal(ledgers.entry(NOW, SINCE), hold.read("", make=True)) for _ in range(2))
    append(tmp_path / "state", first, 0, 0, renew=False)
    with pytest.raises(HostError, match="another pass has written"):
        append(tmp_path / "state", second, 0, 0, renew=False)
    with hold.alone(), pytest.raises(HostError, match="another pass is under way"), hold.alone():
        pass


def test_a_truncation_is_found_until_an_entry_has_told_of_it(tmp_path: Path) -> None:
    """The one that would have is sealed, and the host is gone before it is written."""
    hold = ledgers.keep(tmp_path / "monitor", [ledgers.entry(NOW, SINCE)] * 3, tmp_path / "ledger.jsonl")
    shorter = "".join((tmp_path / "ledger.jsonl").read_text().splitlines(keepends=True)[:2])
    for _ in range(2):
        chain = hold.read(shorter)
        assert [each.code for each in chain.faults] == ["ledger_truncated"]
        line = hold.seal(ledgers.entry(NOW, SINCE), chain)
    assert hold.read(f"{shorter}{line}\n").faults == []


@pytest.mark.parametrize("written", [False, True])
def test_a_new_ledger_that_nobody_knows_to_be_written(tmp_path: Path, written: bool) -> None:
    hold = ledgers.keep(tmp_path / "monitor", [ledgers.entry(NOW, SINCE)] * 2, tmp_path / "ledger.jsonl")
    text = observe.read_ledger(tmp_path)
    line = hold.seal(ledgers.entry(NOW, SINCE), hold.read(text), renew=True)
    assert hold.read(f"{line}\n" if written else text).faults == []


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    hold = Keeper(tmp_path / "monitor", "bot-1")
    first = hold.seal(ledgers.entry(NOW, SINCE), hold.read("", make=True))
    append(tmp_path, first, 0, 0, renew=False)
    hold.written(first)
    torn = hold.seal(ledgers.entry(NOW, SINCE), hold.read(f"{first}\n"))
    (tmp_path / "ledger.jsonl").write_text(f"{first}\n{torn[:77]}")
    chain = hold.read((tmp_path / "ledger.jsonl").read_text())
    again = hold.seal(ledgers.entry(NOW, SINCE), chain)
    append(tmp_path, again, chain.size, chain.keep, renew=False)
    hold.written(again)
    assert hold.read((tmp_path / "ledger.jsonl").read_text()).faults == []


def test_a_new_ledger_keeps_the_old_one(tmp_path: Path) -> None:
    hold = Keeper(tmp_path / "monitor", "bot-1")
    (tmp_path / "ledger.jsonl").write_text("damaged\n")
    chain = hold.read("damaged\n", make=True, renew=True)
    line = hold.seal(ledgers.entry(NOW, SINCE), chain, renew=True)
    aside = append(tmp_path, line, chain.size, chain.keep, renew=True)
    hold.written(line)
    assert aside is not None
    assert Path(aside).read_text() == "damaged\n"
    assert hold.read((tmp_path / "ledger.jsonl").read_text()).faults == []


@pytest.mark.parametrize(
    "damage", [lambda data: data.replace(b"good", b"g\xf6\xf6d"), lambda data: data.replace(b"\n", b"\r\n")]
)
def test_a_ledger_that_is_no_text_of_ours_is_damaged_and_can_be_renewed(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """A broken byte, or an editor of another system: its size is the file's all the same."""
    hold = ledgers.keep(tmp_path / "monitor", [ledgers.entry(NOW, SINCE)], tmp_path / "ledger.jsonl")
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    chain = hold.read(observe.read_ledger(tmp_path))
    assert "ledger_edited" in [each.code for each in chain.faults]
    line = hold.seal(ledgers.entry(NOW, SINCE), chain, renew=True)
    assert append(tmp_path, line, chain.size, chain.keep, renew=True) is not None


# --- The clock -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A project with its sandbox's inventory, and a sandbox whose clock is a week ahead."""
    (tmp_path / "inventory/sandbox").mkdir(parents=True)
    (tmp_path / "inventory/production").mkdir()
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox/ports.json").write_text("{}")
    (tmp_path / "sandbox/clock").write_text(str(7 * 86400))
    return tmp_path


def clock(
    root: Path, *inventories: str, app: str = "sandbox/ai-admin", more: str = "", transport: str = "local"
) -> tuple[float, str]:
    """(days from now, whose clock)."""
    named = [str(root / each) for each in inventories]
    at, whose = keeper.now(named, root, [str(root / app), str(root / (more or app))], transport)
    return round((at - datetime.now(timezone.utc)).total_seconds() / 86400, 2), whose


def test_the_sandboxs_own_file_moves_its_clock(sandbox: Path) -> None:
    assert clock(sandbox, "inventory/sandbox") == (7.0, "sandbox")


def test_nothing_else_moves_it(sandbox: Path) -> None:
    """Another inventory, one more inventory, a host that is not this machine, an app that is not the sandbox's."""
    real = (0.0, "real")
    assert clock(sandbox, "inventory/production") == real
    assert clock(sandbox, "inventory/sandbox", "inventory/production") == real
    assert clock(sandbox, "inventory/sandbox", transport="ssh") == real
    assert clock(sandbox, "inventory/sandbox", app="opt/ai-admin") == real
    assert clock(sandbox) == real
    # Variables that lead out of the sandbox, by name or by a link.
    (sandbox / "opt/ai-admin").mkdir(parents=True)
    (sandbox / "sandbox/link").symlink_to(sandbox / "opt/ai-admin")
    assert clock(sandbox, "inventory/sandbox", more="opt/ai-admin/baileys_sessions") == real
    assert clock(sandbox, "inventory/sandbox", more="sandbox/../opt/ai-admin") == real
    assert clock(sandbox, "inventory/sandbox", app="sandbox/link") == real
    (sandbox / "sandbox/ports.json").unlink()
    assert clock(sandbox, "inventory/sandbox") == real
