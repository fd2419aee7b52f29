"""Print as JSON a free port of 127.0.0.1 for each name, below those that the system gives to outgoing connections."""

import json
import random
import socket
import sys


def free(port: int) -> bool:
    """Tell whether nobody listens there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


ports = (port for port in random.sample(range(20000, 32000), 12000) if free(port))
print(json.dumps({name: next(ports) for name in sys.argv[1:]}))
