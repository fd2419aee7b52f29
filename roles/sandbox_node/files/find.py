"""Print as JSON the host's own Node.js and npm. Arguments: a folder that is ours, and does not count."""

import json
import os
import shutil
import subprocess
import sys

path = os.pathsep.join(part for part in os.get_exec_path() if part != sys.argv[1])
found = {"major": 0, "node": "", "npm": ""}
node = shutil.which("node", path=path)
if node:
    # Its own word for where it is: the one on the PATH may be a version manager's stand-in.
    script = "JSON.stringify({major: +process.versions.node.split('.')[0], node: process.execPath})"
    answer = subprocess.run([node, "-p", script], capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        found |= json.loads(answer.stdout)
        npm = shutil.which("npm", path=path)
        found["npm"] = os.path.realpath(npm) if npm else ""
print(json.dumps(found))
