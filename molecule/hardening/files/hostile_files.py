"""Sessions whose ids mean something to a shell, a path or SQL. Each holds what another session holds."""

import os
import shutil
from pathlib import Path

session = min(Path().glob("session-*.json"))
for name in (
    "..__..__..__tmp__carried-out",
    "$(touch carried-out)",
    "`touch carried-out`",
    "'; DROP TABLE whatsapp_auth; --",
    '" && touch carried-out #',
):
    shutil.copy(session, f"session-{name}.json")
    os.chmod(f"session-{name}.json", 0o600)
