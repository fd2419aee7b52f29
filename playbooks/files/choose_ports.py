"""Choose a free port of 127.0.0.1 for each name, and write them to a file as JSON. Arguments: the file, the names."""

import json
import os
import random
import socket
import sys
from pathlib import Path


def free(port: int) -> bool:
    """Tell whether nobody listens there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# Below those that the system gives to outgoing connections.
ports = (port for port in random.sample(range(20000, 32000), 12000) if free(port))
file = Path(sys.argv[1])
part = file.with_suffix(".part")
part.write_text(json.dumps({name: next(ports) for name in sys.argv[2:]}) + "\n")
os.replace(part, file)
