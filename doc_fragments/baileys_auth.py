"""Documentation that the baileys_auth_* modules share."""


class ModuleDocFragment:
    """Options of the app, of the database, of the files, and of both stores."""

    APP = r"""
options:
  processes:
    description: The pm2 processes that own the login.
    type: list
    elements: str
    required: true
  optional_processes:
    description: Those of O(processes) that may not exist.
    type: list
    elements: str
    default: []
  pm2_home:
    description: PM2_HOME of their daemon. C(~/.pm2) of the user by default.
    type: path
  health_url:
    description: The app's health endpoint, which says what store each login is on. Without one, the app is not asked.
    type: str
"""

    DATABASE = r"""
options:
  conninfo:
    description:
      - Where the database is, as libpq reads it, C(postgresql://user:password@host:5432/dbname?sslmode=verify-full).
      - A pooler in transaction mode will do (Supabase's port 6543).
    type: str
  schema:
    description: The schema that holds C(whatsapp_auth) and C(whatsapp_keys).
    type: str
    default: public
requirements:
  - psycopg >= 3.1 on the target, found through C(PYTHONPATH)
"""

    FILES = r"""
options:
  sessions_dir:
    description: The folder that holds one folder C(company_<id>) for each login, as Baileys writes them.
    type: path
    required: true
  state_dir:
    description:
      - Where manifests, staged files and the host's copy of the record are kept.
      - On the file system of O(sessions_dir).
    type: path
    required: true
  company_ids:
    description:
      - The logins, C(962302) or C(company_962302), which are the same.
      - An empty list means every company that has a folder in O(sessions_dir).
    type: list
    elements: str
    default: []
  excluded:
    description: Companies that stay as they are.
    type: list
    elements: str
    default: []
  key_types:
    description:
      - Key types that a newer Baileys writes and this version does not know.
      - A file of any other name is an error, never skipped.
    type: list
    elements: str
    default: []
requirements:
  - Python >= 3.10 on the target
"""

    STORES = r"""
options:
  env_file:
    description: The app's C(.env), whose flag says which store the app reads.
    type: path
    required: true
  flag:
    description: The name of that flag. C(true) means the database.
    type: str
    default: USE_DATABASE_AUTH_STATE
  conflict:
    description:
      - What to do about keys that neither the last transfer put into a store nor the other one holds, and about a flag
        that somebody switched by hand.
      - V(files) and V(database) name the store to keep; the other state is archived first.
    type: str
    choices: [fail, files, database]
    default: fail
  host:
    description:
      - The name under which this host holds a login, so that two hosts sharing a database cannot both take it.
      - The host's own name by default. A record that this host wrote itself stays its own when the name changes.
    type: str
"""

    READS_ONLY = r"""
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: Nothing changes.
  idempotent:
    support: full
    description: It only reads.
"""
