"""The manifest: what is written comes back, and what is damaged is no manifest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.baileys_auth.manifest import Entry, Manifest, ManifestStore, Signature, set_digest
from ansible.module_utils.baileys_auth.names import Key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

signatures = st.builds(Signature, *[st.integers(0, 2**63)] * 4)
entries = st.builds(
    Entry,
    st.binary(min_size=32, max_size=32),
    st.none() | signatures,
    st.none() | st.text("0123456789", min_size=5, max_size=15),
    st.none() | st.floats(0, 1e12),
)
keys = st.builds(Key, st.sampled_from(["session", "lid-mapping", "pre-key"]), st.text(max_size=12))
manifests = st.builds(
    Manifest,
    st.just("962302"),
    st.floats(0, 1e12),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.dictionaries(keys, entries, max_size=20),
    st.dictionaries(keys, entries, max_size=20),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(manifests)
def test_round_trip(tmp_path: Path, manifest: Manifest) -> None:
    store = ManifestStore(tmp_path)
    store.prepare(manifest)
    assert store.load_next("962302") == manifest
    store.commit("962302")
    assert store.load("962302") == manifest
    assert store.load_next("962302") is None


def big(number: int = 2500) -> Manifest:
    made = {Key("session", f"7900{place}.0"): Entry(bytes([place % 256]) * 32) for place in range(number)}
    out = {Key("lid-mapping", f"7900{place}"): Entry(b"x" * 32, partner="1") for place in range(100)}
    return Manifest("1", 5.0, "i" * 64, made, out)


def test_many_entries(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    store.prepare(big())
    store.commit("1")
    assert store.load("1") == big()
    path = tmp_path / "manifests/company_1.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_none_where_there_is_none(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    assert store.load("1") is None
    assert store.load_next("1") is None
    store.discard("1")


def test_a_damaged_manifest_is_none(tmp_path: Path) -> None:
    store = ManifestStore(tmp_path)
    store.prepare(big(30))
    store.commit("1")
    path = tmp_path / "manifests/company_1.json"
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:cut])
        assert store.load("1") is None, cut
    lines = whole.splitlines(keepends=True)
    for damaged in (
        b"\0" * len(whole),
        whole.replace(b'"format": 1', b'"format": 2'),
        lines[0],
        lines[1],
        whole + lines[1],
        whole.replace(b"session", b"session", 1).replace(b"[[", b"[5, [", 1),
        whole.replace(b'"entries": 30', b'"entries": "30"'),
        whole.replace(b'"entries": 30', b'"entries": -1'),
        whole.replace(b'"entries"', b'"other"'),
        b"[]\n" + lines[1],
        b"\xff" + whole,
        b"5\n",
    ):
        path.write_bytes(damaged)
        assert store.load("1") is None, damaged[:80]


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "manifests/company_1.json").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        ManifestStore(tmp_path).load("1")


def test_prepare_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ManifestStore(tmp_path)
    store.prepare(big(5))

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.prepare(big(9))
    assert store.load_next("1") == big(5)
    assert [path.name for path in (tmp_path / "manifests").iterdir()] == ["company_1.json.next"]


@given(st.dictionaries(keys, st.binary(min_size=32, max_size=32), max_size=6))
def test_the_digest_of_a_set_is_of_its_content_alone(digests: dict[Key, bytes]) -> None:
    assert set_digest(digests) == set_digest(dict(reversed(digests.items())))
    for key in digests:
        assert set_digest({**digests, key: b"\0" * 32}) != set_digest(digests) or digests[key] == b"\0" * 32
        assert set_digest({name: value for name, value in digests.items() if name != key}) != set_digest(digests)
