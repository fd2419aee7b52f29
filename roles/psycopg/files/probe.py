"""Print as JSON which psycopg this Python imports."""

import json

try:
    import psycopg

    print(json.dumps({"version": psycopg.__version__, "folder": str(psycopg.__path__[0])}))
except ImportError:
    # Also a package made for another Python: its library does not load.
    print(json.dumps({"version": "0", "folder": ""}))
