"""Which lines of cron look as if they deleted keys of a login, and where they are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.node_host import cron_jobs

SESSIONS = Path("/opt/ai-admin/baileys_sessions")


@pytest.mark.parametrize(
    "line",
    [
        "0 3 * * * find /opt/ai-admin/baileys_sessions -name 'lid-mapping-*' -mtime +7 -delete",
        "*/30 * * * * node /opt/ai-admin/scripts/cleanup-session-keys.js",
        "0 3 * * * rm -f $SESSIONS/company_962302/*.tmp; : baileys_sessions",
    ],
)
def test_line_that_deletes_keys(tmp_path: Path, line: str) -> None:
    crontab = tmp_path / "root"
    crontab.write_text(f"MAILTO=''\n# find baileys_sessions -delete\n\n{line}\n0 4 * * * logrotate\n")
    assert cron_jobs.cleaning(SESSIONS, [str(crontab)]) == [f"{crontab}, line 4"]


@pytest.mark.parametrize(
    "line",
    [
        "0 4 * * * rm -rf /var/tmp/thumbnails",
        "0 2 * * * tar -czf /backup/baileys.tar.gz /opt/ai-admin/baileys_sessions",
        "0 */2 * * * cd /srv/whatsapp && ansible-runner run /srv/r --playbook monitor.yml --rotate-artifacts 200",
    ],
)
def test_line_that_leaves_them_alone(tmp_path: Path, line: str) -> None:
    crontab = tmp_path / "root"
    crontab.write_text(f"{line}\n")
    assert cron_jobs.cleaning(SESSIONS, [str(crontab)]) == []
