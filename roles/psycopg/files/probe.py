"""Print as JSON which psycopg this Python imports, whether the folder for one is there, and whose that has to be.

What root puts into the app's folder is the app's user's, who could not go on with it otherwise.
"""

import json
import os

folder = os.environ["PYTHONPATH"]
found = {"version": "0", "folder": "", "there": os.path.isdir(folder), "owner": None, "group": None}
if os.geteuid() == 0:
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    status = os.stat(folder)
    found |= {"owner": status.st_uid, "group": status.st_gid}
try:
    import psycopg

    found |= {"version": psycopg.__version__, "folder": str(psycopg.__path__[0])}
except ImportError:
    # Also a package made for another Python: its library does not load.
    pass
print(json.dumps(found))
