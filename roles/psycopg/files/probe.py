"""Print as JSON which psycopg this Python imports, and whether the folder that it may come from is there."""

import json
import os

found = {"version": "0", "folder": "", "there": os.path.isdir(os.environ["PYTHONPATH"])}
try:
    import psycopg

    found |= {"version": psycopg.__version__, "folder": str(psycopg.__path__[0])}
except ImportError:
    # Also a package made for another Python: its library does not load.
    pass
print(json.dumps(found))
