"""Print as JSON the host's own Node.js and npm, and whether the sandbox has what it needs already.

Arguments: the sandbox's folder of programs, which are not the host's; that of its tools; the lock file's checksum.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

bin_dir, tools_dir = Path(sys.argv[1]), Path(sys.argv[2])


def ask(node: str | None) -> dict[str, object]:
    """Return a Node.js's version and place by its own word: on the PATH may be a version manager's stand-in."""
    script = "JSON.stringify({major: +process.versions.node.split('.')[0], node: process.execPath})"
    answer = node and subprocess.run([node, "-p", script], capture_output=True, text=True, check=False)
    return json.loads(answer.stdout) if answer and answer.returncode == 0 else {"major": 0, "node": ""}


def installed() -> bool:
    """Tell whether pm2 is installed whole, from this lock file, and works together with node and npm."""
    try:
        lock = hashlib.sha256((tools_dir / "package-lock.json").read_bytes()).hexdigest()
    except OSError:
        return False
    # npm writes .package-lock.json last.
    whole = (tools_dir / "node_modules/.package-lock.json").is_file() and (bin_dir / "pm2").exists()
    return whole and lock == sys.argv[3] and (bin_dir / "npm").is_file() and bool(ask(str(bin_dir / "node"))["major"])


path = os.pathsep.join(part for part in os.get_exec_path() if part != str(bin_dir))
npm = shutil.which("npm", path=path)
found = ask(shutil.which("node", path=path))
print(json.dumps({**found, "npm": os.path.realpath(npm) if npm else "", "installed": installed()}))
