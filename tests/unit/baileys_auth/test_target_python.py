"""What runs on a target runs on Python 3.10 as well, with the standard library alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import auth_states
import pytest

PROJECT = Path(__file__).resolve().parents[3]
VERSIONS = ["python3.10", "python3.11", "python3.12", "python3.13"]

# Everything but what speaks to Ansible or PostgreSQL; backup, damage and restoration of a login with it.
SCRIPT = """
import importlib, json, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
folder, work = Path(sys.argv[2]), Path(sys.argv[3])
for path in sorted(Path(sys.argv[1], "module_utils/baileys_auth").glob("*.py")):
    if path.stem not in ("run", "arguments"):
        importlib.import_module(f"module_utils.baileys_auth.{path.stem}")
from module_utils.baileys_auth import archive, consistency, manifest, names, plan, reader, restore, values
from module_utils.baileys_auth.folder import open_folder

known = names.Names()
with open_folder(folder, known) as opened:
    found = reader.Reader(opened)
    found.read_all()
found.check()
store = manifest.ManifestStore(work)
store.prepare(manifest.Manifest("1", 1.0, found.identity, found.entries))
store.commit("1")
assert store.load("1").digests() == {key: entry.digest for key, entry in found.entries.items()}
backups = archive.Backups(work / "backups", "1")
made, changed = backups.create(folder, known, 1.7e9, None, 5)
assert changed and made.files == len(found.entries)
before = {path.name: path.read_bytes() for path in folder.iterdir()}
(folder / "creds.json").write_text("{")
restore.restore(backups, "newest", folder, work, known)
assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
print(json.dumps([made.digest, made.identity]))
"""


def pythons() -> list[str]:
    """One program for each version that this machine has, those of pyenv as well."""
    found = {}
    for name in VERSIONS:
        kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{name.removeprefix('python')}.*/bin/{name}"))
        for program in [shutil.which(name), *map(str, kept)]:
            # A version manager's stand-in may be there without the version.
            if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
                found[name] = program
    return list(found.values())


def test_every_python_of_this_machine_says_the_same(tmp_path: Path) -> None:
    answers = {}
    for number, program in enumerate(pythons()):
        folder = auth_states.make(tmp_path / str(number) / "company_1", 60)
        command = [program, "-S", "-c", SCRIPT, str(PROJECT), str(folder), str(tmp_path / str(number) / "work")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"
        answers[program] = done.stdout
    if not answers:
        pytest.skip(f"none of {', '.join(VERSIONS)} is here")
    assert len(set(answers.values())) == 1, answers
