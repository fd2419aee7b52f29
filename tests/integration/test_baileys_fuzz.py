"""Damage at random: each run ends in success or a named error, and an error leaves the database as it was.

The same damage each time, so that a failure depends on the change and not on luck.
FUZZ=1000 FUZZ_SEED=$RANDOM looks for more.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible.module_utils.baileys_auth import folder as folder_module
from bot_host import COMPANY, BotHost, good
from postgresql_server import TestDatabase

ROUNDS = int(os.environ.get("FUZZ", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

Damage = Callable[[random.Random, Path], None]


def some_file(source: random.Random, folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    return source.choice([*files, folder / "creds.json"] if (folder / "creds.json").is_file() else files)


def truncate(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    data = path.read_bytes()
    path.write_bytes(data[: source.randrange(len(data) + 1)])


def garbage(source: random.Random, folder: Path) -> None:
    some_file(source, folder).write_bytes(source.randbytes(source.randrange(60)))


def flip(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    data = bytearray(path.read_bytes() or b"x")
    data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    path.write_bytes(data)


def zeros(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    path.write_bytes(bytes(path.stat().st_size))


def rename(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    name = list(path.name)
    place = source.randrange(len(name))
    name[place : place + source.randrange(3)] = source.choice(["-", "--", "__", "x", "1", "", "\x01", "é", "::", "@"])
    new = "".join(name).strip("./")
    if new and not (folder / new).exists():
        path.rename(folder / new)


def swap(source: random.Random, folder: Path) -> None:
    one, two = some_file(source, folder), some_file(source, folder)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def remove(source: random.Random, folder: Path) -> None:
    some_file(source, folder).unlink()


def link(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    path.unlink()
    path.symlink_to(source.choice(["/etc/passwd", "creds.json", "nowhere", "."]))


def folder_in_place(source: random.Random, folder: Path) -> None:
    path = some_file(source, folder)
    path.unlink()
    path.mkdir()


VALUES = [
    *("null", "0", '""', "[]", "{}", "[[]]", '"1"', "1.5", "true", '{"a":{"b":[1,2,{"c":null}]}}', '{"type":"Buffer"}'),
    *('{"type":"Buffer","data":[1,2]}', '{"type":"Buffer","data":[300]}', "9007199254740993", "1e999", "-0", "NaN"),
    *('"\\ud800"', '"\\u0000"', '"a\\u0000"', '{"a":1}{"b":2}', '{"a":1,"a":2}', "[" * 3000 + "]" * 3000),
]


def another_value(source: random.Random, folder: Path) -> None:
    some_file(source, folder).write_text(source.choice(VALUES))


def odd_creds(source: random.Random, folder: Path) -> None:
    path = folder / "creds.json"
    try:
        creds = json.loads(path.read_bytes())
        field = source.choice([*creds, "other"])
        creds[field] = source.choice([None, [], {}, 5, "x", [1], {"id": []}, {"public": 5}])
    except (OSError, ValueError, TypeError):
        return
    path.write_text(json.dumps(creds))


def odd_time(source: random.Random, folder: Path) -> None:
    when = source.choice([-1e9, 0, 1, 4e9, 1e11])
    os.utime(some_file(source, folder), (when, when))


DAMAGES: list[Damage] = [truncate, garbage, flip, zeros, rename, swap, remove, link, folder_in_place, another_value,
                         odd_creds, odd_time]  # fmt: skip


def plain(value: Any) -> Any:
    """A JSON value as JavaScript knows it."""
    import base64

    if isinstance(value, dict):
        if len(value) > 1 and value.get("type") == "Buffer" and isinstance(value.get("data"), list):
            return {**value, "data": base64.b64encode(bytes(value["data"])).decode()}
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def what_the_files_hold(host: BotHost) -> dict[str, Any]:
    return {name: plain(value) for name, value in host.values().items()}


def what_the_rows_hold(database: TestDatabase) -> dict[str, Any]:
    def name(kind: str, key: str) -> str:
        return "creds.json" if kind == "creds" else f"{kind}-{key}.json".replace("/", "__").replace(":", "-")

    return {name(*key): plain(json.loads(text)) for key, text in database.rows().items()}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is writing these files: a torn one stays so."""
    monkeypatch.setattr(folder_module, "_TORN_WAITS", (0.001,))


@pytest.mark.parametrize("part", range(3))
def test_damaged_folders(bot_host: BotHost, database: TestDatabase, tmp_path: Path, part: int) -> None:
    seed = SEED + part
    source = random.Random(seed)
    whole = bot_host.copy_to(tmp_path / "whole")
    good(bot_host.state(lid_mapping_ttl_days=0))
    moved = refused = 0
    for turn in range(max(ROUNDS // 3, 1)):
        shutil.rmtree(bot_host.folder)
        shutil.copytree(whole, bot_host.folder, symlinks=True)
        damages = source.choices(DAMAGES, k=source.choice([1, 1, 2, 4]))
        for damage in damages:
            damage(source, bot_host.folder)
        told = f"FUZZ_SEED={seed} turn {turn}: {[damage.__name__ for damage in damages]}"
        before = database.tables()
        plan = bot_host.state(lid_mapping_ttl_days=0, check=True)
        assert database.tables() == before, told
        answer = bot_host.state(lid_mapping_ttl_days=0)
        assert bool(plan.get("failed")) == bool(answer.get("failed")), (told, plan.get("msg"), answer.get("msg"))
        if answer.get("failed"):
            refused += 1
            assert database.tables() == before, told
            assert answer["problems"], told
            assert all(all(problem.values()) for problem in answer["problems"]), (told, answer["problems"])
        else:
            moved += 1
            assert what_the_rows_hold(database) == what_the_files_hold(bot_host), told
        good(bot_host.info())
    assert moved
    assert refused


def test_damaged_rows_on_the_way_back(bot_host: BotHost, database: TestDatabase) -> None:
    source = random.Random(SEED)
    bot_host.migrate(lid_mapping_ttl_days=0)
    whole = database.run("SELECT key_type, key_id, value::text FROM whatsapp_keys")
    moved = refused = 0
    for turn in range(max(ROUNDS // 3, 1)):
        kind, key, _value = source.choice(whole)
        change = source.choice(
            [
                (
                    "UPDATE whatsapp_keys SET value = %s::jsonb",
                    source.choice(["null", "1", '"x"', "[]", "{}", "1.50", "1e400"]),
                ),
                (
                    "UPDATE whatsapp_keys SET key_id = %s",
                    source.choice(["", "a:b", "x/y", "x\ny", "\\N", "é", "__index", "q" * 300]),
                ),
                (
                    "UPDATE whatsapp_keys SET key_type = %s",
                    source.choice(["", "app", "session", "lid-mapping", "creds"]),
                ),
            ]
        )
        told = f"FUZZ_SEED={SEED} turn {turn}: {change} {kind}"
        try:
            database.run(f"{change[0]} WHERE key_type = %s AND key_id = %s", change[1], kind, key)
        except psycopg.Error:
            continue  # the key is there already, or the value is no JSON
        before = bot_host.files()
        answer = bot_host.state("files", authority="move")
        if answer.get("failed"):
            refused += 1
            assert bot_host.files() == before, told
            assert answer["problems"], told
        else:
            moved += 1
            assert what_the_rows_hold(database) == what_the_files_hold(bot_host), told
        database.run("DELETE FROM whatsapp_keys")
        with database.connection() as connection:
            connection.cursor().executemany(
                "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES (%s, %s, %s, %s::jsonb)",
                [(COMPANY, *row) for row in whole],
            )
        good(bot_host.state("files", authority="move", conflict="database"))
    assert moved
    assert refused


def test_damaged_archives(bot_host: BotHost) -> None:
    """One bit anywhere, a cut anywhere: it is found, and nothing is restored from it."""
    source = random.Random(SEED)
    good(bot_host.backup())
    (archive,) = (bot_host.backups / f"company_{COMPANY}").glob("*.tar")
    whole, before = archive.read_bytes(), bot_host.contents()
    found = 0
    for turn in range(ROUNDS):
        data = bytearray(whole)
        if source.random() < 0.7:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        else:
            del data[source.randrange(len(data)) :]
        archive.write_bytes(data)
        answer = bot_host.backup("verified")
        if answer.get("failed"):
            found += 1
            assert {problem["code"] for problem in answer["problems"]} == {"backup_damaged"}
            assert bot_host.backup("restored")["failed"] is True
        assert bot_host.contents() == before, f"FUZZ_SEED={SEED} turn {turn}"
    assert found > ROUNDS // 2
