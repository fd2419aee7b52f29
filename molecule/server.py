"""A server of a scenario as an onlooker sees it, over SSH: nothing here asks the playbooks."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from typing import Any

import testinfra

APP = "/opt/ai-admin"
STATE = f"{APP}/.auth-state"
PM2 = "PM2_HOME=/home/bot/.pm2 PATH=/home/bot/programs/bin:$PATH pm2"
FLAG = "USE_DATABASE_AUTH_STATE"
OWNERS = ("ai-admin-worker-v2", "baileys-service")
# The longest first: sender-key-memory-… also starts with sender-key-.
KEY_TYPES = (
    *("app-state-sync-version", "contacts-tc-token", "sender-key-memory", "app-state-sync-key", "identity-key"),
    *("lid-mapping", "device-list", "sender-key", "pre-key", "session", "tctoken"),
)


class Server:
    """One host of the group whatsapp, and the database that it shares."""

    def __init__(self, host: testinfra.host.Host) -> None:
        self.host = host
        self.database = testinfra.get_host("ansible://database", ansible_inventory=host.backend.ansible_inventory)
        (folder,) = self.lines(f"ls {APP}/baileys_sessions")
        self.company = folder.removeprefix("company_")

    def output(self, command: str) -> str:
        """What the app's user is told. Who becomes that user stands in a home that it may not enter."""
        return self.host.check_output(f"cd / && {command}")

    def lines(self, command: str) -> list[str]:
        return self.output(command).splitlines()

    # What it runs

    def processes(self) -> dict[str, dict[str, Any]]:
        """What pm2 lists, by name."""
        listed = self.output(f"{PM2} jlist")
        return {each["name"]: each for each in json.loads(listed[listed.index("[{") :])}

    def starts(self) -> Counter[str]:
        """How often pm2 has started each. (Its own counters begin anew when it starts what was stopped.)"""
        return Counter(re.findall(r"App \[(.+?):\d+\] starting in ", self.output("cat /home/bot/.pm2/pm2.log")))

    def commands(self) -> Counter[str]:
        """Every process of the app's user but sshd's and those of this look, which are one session."""
        look, *processes = [line.split(maxsplit=1) for line in self.lines("ps -o sid= -p $$; ps -u bot -o sid=,args=")]
        return Counter(args for session, args in processes if [session] != look and not args.startswith("sshd:"))

    def health(self) -> dict[str, Any]:
        ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:3100/health').read().decode())"
        (company,) = json.loads(self.output(f"python3 -c {shlex.quote(ask)}"))["companies"]
        return company

    # What it keeps

    def flag_lines(self) -> list[str]:
        return [line for line in self.lines(f"cat {APP}/.env") if FLAG in line]

    def creds(self) -> dict[str, Any]:
        return json.loads(self.output(f"cat {APP}/baileys_sessions/company_{self.company}/creds.json"))

    def files_by_type(self) -> Counter[str]:
        names = self.lines(f"ls {APP}/baileys_sessions/company_{self.company}")
        return Counter(next((type_ for type_ in KEY_TYPES if name.startswith(f"{type_}-")), name) for name in names)

    def sql(self, query: str) -> list[list[str]]:
        url = '"$(cat /root/secrets/database_url)"'
        answer = self.database.check_output(f"psql {url} --no-psqlrc -At -F '|' -c {shlex.quote(query)}")
        return [line.split("|") for line in answer.splitlines()]

    def rows_by_type(self) -> Counter[str]:
        query = f"SELECT key_type, count(*) FROM whatsapp_keys WHERE company_id = '{self.company}' GROUP BY 1"
        return Counter({type_: int(count) for type_, count in self.sql(query)})

    def rows(self) -> dict[str, Any]:
        """The values of the company's keys, by the file that Baileys would have each in."""
        keys = f"FROM whatsapp_keys WHERE company_id = '{self.company}'"
        query = f"SELECT json_agg(json_build_array(key_type || '-' || key_id, value)) {keys}"
        url = '"$(cat /root/secrets/database_url)"'
        answer = self.database.check_output(f"psql {url} --no-psqlrc -At -c {shlex.quote(query)}")
        return {f"{key.replace('/', '__').replace(':', '-')}.json": value for key, value in json.loads(answer)}

    def values(self) -> dict[str, Any]:
        """What the files of the company's folder hold, but for creds.json, by name."""
        return {name: json.loads(text) for name, text in self.login().items() if name != "creds.json"}

    def below(self, folder: str) -> list[tuple[str, str, str]]:
        """Everything in a folder: owner, mode, path."""
        return [tuple(line.split(" ", 2)) for line in self.lines(f"find {folder} -printf '%u %m %p\\n'")]

    def login(self) -> dict[str, str]:
        """The files of the company's folder, by name."""
        return self.texts(f"{APP}/baileys_sessions/company_{self.company}")

    def texts(self, folder: str, *which: str) -> dict[str, str]:
        """The files below a folder that find(1) finds so, by their path there."""
        read = (
            "import json, os, sys; names = sys.stdin.read().split(chr(0))[:-1];"
            " read = lambda name: open(name, errors='replace').read();"
            " print(json.dumps({os.path.relpath(name, sys.argv[1]): read(name) for name in names}))"
        )
        find = " ".join(["find", folder, "-type f", *which, "-print0"])
        return json.loads(self.output(f"{find} | python3 -c {shlex.quote(read)} {folder}"))

    def connections(self) -> list[str]:
        """The URLs of the database, which hold passwords."""
        return self.database.check_output("cat /root/secrets/*_url").splitlines()
