"""Print as JSON which wheels run on this Python."""

import json
import platform
import sys

libc, version = platform.libc_ver()
# Wheels for the C library of this host or an older one.
tags = [f"manylinux_2_{minor}" for minor in range(17, 1 + int(version.split(".")[1]))] if libc == "glibc" else []
machine = platform.machine()
print(
    json.dumps(
        {
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "platforms": [f"{tag}_{machine}" for tag in (["manylinux2014", *tags] if tags else ["musllinux_1_2"])],
        }
    )
)
