"""What the benchmark runs on: a PostgreSQL of its own on default settings and Node.js, as the sandbox has them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

PROJECT = Path(__file__).resolve().parents[1]
_BOT = PROJECT / "sandbox" / "bot"


class Sandbox:
    """A folder with both in it, built and removed by the project's own playbooks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {**os.environ, "SANDBOX": str(path), "ANSIBLE_DISPLAY_OK_HOSTS": "false"}
        self.playbook("playbooks/sandbox.yml", "--skip-tags", "app")
        self.database_url = (path / "secrets" / "database_url").read_text().strip()
        admin_url = (path / "secrets" / "admin_url").read_text().strip()
        database = psycopg.conninfo.conninfo_to_dict(self.database_url)["dbname"]
        self._admin = psycopg.connect(admin_url, dbname=database, autocommit=True)
        self.node = path / "bin" / "node"
        self.bot = self._install_bot()
        # The app, where the playbooks have put it there.
        self.app = path / "ai-admin"
        self.health_url = f"http://127.0.0.1:{json.loads((path / 'ports.json').read_text())['health']}/health"

    @property
    def bot_environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "BOT": str(self.bot)}

    def close(self) -> None:
        self._admin.close()
        self.playbook("playbooks/sandbox_clean.yml")

    def version(self) -> str:
        return self._admin.execute("SHOW server_version").fetchone()[0]

    def sql(self, statement: str, *parameters: object) -> int:
        """Run one statement as the server's administrator. Returns how many rows it touched."""
        return self._admin.execute(statement, parameters or None).rowcount

    def drop_tables(self) -> None:
        self.sql("DROP TABLE IF EXISTS whatsapp_keys, whatsapp_auth, whatsapp_auth_authority")

    def settle(self) -> None:
        """Let nothing that was written before be paid for by what is measured next."""
        os.sync()
        self.sql("VACUUM ANALYZE")
        self.sql("CHECKPOINT")

    def pm2(self, *arguments: str) -> None:
        """pm2 of the sandbox, without a variable that it could store."""
        path = os.pathsep.join([str(self.path / "bin"), os.defpath])
        environment = {"PATH": path, "HOME": str(self.path), "PM2_HOME": str(self.path / "pm2")}
        subprocess.run([self.path / "bin" / "pm2", *arguments], env=environment, capture_output=True, check=True)

    def playbook(self, name: str, *options: str) -> None:
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), str(PROJECT / name), *options]
        done = subprocess.run(argv, cwd=PROJECT, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")

    def _install_bot(self) -> Path:
        """The sandbox's bot with its dependencies, kept in .cache for the next time."""
        files = [_BOT / "package.json", _BOT / "package-lock.json"]
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        modules = PROJECT / ".cache" / f"bot-{digest}"
        if not modules.exists():
            building = modules.with_name(f"{modules.name}.{os.getpid()}")
            building.mkdir(parents=True)
            for file in files:
                shutil.copy(file, building)
            subprocess.run([self.path / "bin" / "npm", "ci", "--silent"], cwd=building, check=True)
            building.rename(modules)
        bot = self.path / "bot"
        shutil.rmtree(bot, ignore_errors=True)
        shutil.copytree(_BOT / "src", bot / "src")
        shutil.copy(files[0], bot)
        (bot / "node_modules").symlink_to(modules / "node_modules")
        return bot
